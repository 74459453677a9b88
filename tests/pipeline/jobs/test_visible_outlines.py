"""The note of encrypt where outlines stay visible, and what it says of other schemes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.jobs.spec import CipherChoice
from lpe.pipeline.jobs.visible_outlines import outlines_note
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.plan import ReadSpec, open_plan
from lpe.transforms.reductions import parse
from tests.pipeline.running import encrypt


@pytest.fixture
def photos(tmp_path):
    """Discs of 64 to 75 pixels a side: images of different shapes, in two classes."""
    random = np.random.RandomState(3)
    for i in range(8):
        down, right = np.mgrid[0 : 64 + i, 0 : 64 + i % 4 * 4] / 64
        inside = (down - random.rand()) ** 2 + (right - random.rand()) ** 2 < 0.1
        image = np.where(inside[..., None], random.randint(0, 40, 3), random.randint(90, 250, 3))
        folder = tmp_path / "photos" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        noisy = np.clip(image + random.randn(*image.shape) * 3, 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(folder / f"{i}.png")
    return f"folder:{tmp_path / 'photos'}"


def note(source: str, choice: CipherChoice, reduction: str = "", **options: object) -> str:
    """The note's line, or an empty one."""
    with open_plan(ReadSpec(source, ReadOptions(**options))) as plan:
        return "".join(outlines_note(plan, choice, parse(reduction).apply if reduction else None))


@pytest.mark.parametrize("scope", ["dataset", "image"])
def test_what_hides_outlines_is_named(photos, scope):
    square = {"image_size": (64, 64)}
    line = note(photos, CipherChoice("cpbe-50", scope=scope), **square)
    assert " under cpbe-50 at 64x64 pixels (correlation of blurred images and ciphertexts 0." in line
    assert line.endswith("; --cipher cpbe-100 --param channels=independent hides them from the eye")
    # The next scheme of its kind shows them as well, and is not named.
    assert "--cipher ele hides" in note(photos, CipherChoice("lpe-50", scope=scope), **square)
    for hiding in (CipherChoice("ele"), CipherChoice("cpbe-100", {"channels": "independent"})):
        assert note(photos, hiding, **square) == ""


def test_images_of_many_shapes_are_looked_at_as_they_are(photos):
    line = note(photos, CipherChoice("lpe-50"), image_size="any")
    assert " under lpe-50 (correlation" in line
    # Sides of 65 pixels have no blocks of 4.
    assert "--cipher ele" not in line
    assert "--cipher cpbe-100 --param channels=independent hides" in line


def test_large_images_are_looked_at_in_part(photos):
    assert " at 601x602 pixels" in note(photos, CipherChoice("cpbe-50"), image_size=(601, 602))


def test_nothing_is_said_where_nothing_is_to_be_hidden(photos):
    assert note(photos, CipherChoice("lpe-50", seal=True), image_size=(64, 64)) == ""
    assert note(photos, CipherChoice("plain"), image_size=(64, 64)) == ""


def test_reduced_images_are_compared_with_the_whole_ones(photos):
    assert note(photos, CipherChoice("cpbe-50"), "thumbnail=8", image_size=(64, 64)) == ""
    assert "cpbe-50" in note(photos, CipherChoice("cpbe-50"), "thumbnail=32", image_size=(64, 64))


def test_images_that_cannot_be_read_are_left_to_the_job(photos, tmp_path):
    for path in (tmp_path / "photos" / "a").iterdir():
        path.write_bytes(b"\x89PNG no image")
    assert "lpe-50" in note(photos, CipherChoice("lpe-50"), image_size=(64, 64))


def test_encrypt_says_it_once(lpe, keystore, photos, tmp_path):
    home = tmp_path / "enc" / "photos"
    words = ("--image-size", "64x64", "--cipher", "lpe-50")
    first = encrypt(lpe, keystore, photos, home, *words).json
    assert any("under lpe-50 at 64x64" in line for line in first["notes"])
    assert encrypt(lpe, keystore, photos, home, *words).json["notes"] == []
    added = tmp_path / "photos" / "a" / "new.png"
    Image.open(tmp_path / "photos" / "a" / "0.png").rotate(90).save(added)
    more = encrypt(lpe, keystore, photos, home, *words[:2], "--append").json
    assert any("under lpe-50" in line for line in more["notes"])
