"""Small inputs stay cheap: each is refused, or read, within bounds on memory and time."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.sources.archive import FileTree
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.folder import FolderSource
from lpe.pipeline.sources.imagefile import decode_image
from lpe.pipeline.sources.limits import MOST_PIXELS, PIXELS_CEILING, Limits
from lpe.transforms.errors import DataError, UsageError
from tests.pipeline.sources import hostile, images
from tests.pipeline.sources.reading import everything

ROOT = Path(__file__).resolve().parents[3]

COST = """
import json, resource, sys, time
import numpy, PIL.Image
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources import open_source
from lpe.transforms.errors import DataError
PIL.Image.init()
def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before, started, answers = used(), time.process_time(), []
with open_source(sys.argv[1], ReadOptions(image_size="any")) as source:
    for batch in source.slice("train", numpy.arange(source.info.splits["train"])).batches(8, answers.append):
        pass
print(json.dumps([used() - before, time.process_time() - started, [answer.reason for answer in answers]]))
"""


def cost_of(uri: str) -> tuple[float, float, list[str]]:
    """Megabytes, seconds and bad records of reading a source."""
    ran = subprocess.run(
        [sys.executable, "-c", COST, uri], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ran.stdout, ran.stderr[-2000:]
    megabytes, seconds, reasons = json.loads(ran.stdout)
    return megabytes, seconds, reasons


def test_images_that_cost_too_much_are_bad_records(tmp_path):
    pictures = {
        "pixels.png": (hostile.png_of(13_300, 13_300), "13300x13300 pixels"),
        "tags.tiff": (hostile.tiff_of_tags(), "metadata are out of proportion"),
        "scans.jpg": (hostile.jpeg_of_scans(), "scans, more than"),
        "other.bmp": (images.encoded(images.pixels(1), "sgi"), "no image"),
    }
    files = {f"a/{name}": data for name, (data, _) in pictures.items()}
    files["a/exif.jpg"] = hostile.jpeg_of_exif()
    files["a/exif.avif"] = hostile.avif_of_exif()
    files["a/comment.gif"] = hostile.gif_of_comment()
    assert sum(map(len, files.values())) < 25 << 20
    megabytes, seconds, reasons = cost_of(f"folder:{images.write(tmp_path / 'd', files)}")
    assert len(reasons) == len(pictures)
    for _, part in pictures.values():
        assert any(part in reason for reason in reasons), reasons
    assert megabytes < 250
    assert seconds < 20


def test_hidden_metadata_leave_the_pixels_as_they_are():
    photo = Image.fromarray(images.pixels(1, (40, 30, 3)))
    exif = Image.Exif()
    exif[0x010E] = "a description"
    for form in ("jpeg", "png", "webp", "tiff"):
        plain, described = io.BytesIO(), io.BytesIO()
        photo.save(plain, form)
        photo.save(described, form, exif=exif)
        assert len(described.getvalue()) > len(plain.getvalue())
        pixels = decode_image(described.getvalue(), ReadOptions())
        assert np.array_equal(pixels, decode_image(plain.getvalue(), ReadOptions()))
        assert np.array_equal(pixels, np.asarray(Image.open(described).convert("RGB")))


@pytest.mark.parametrize(
    "form", ["avif", "bmp", "gif", "jpeg", "jpeg2000", "png", "ppm", "tga", "tiff", "webp"]
)
def test_the_limit_on_pixels_can_be_raised_and_lowered(form):
    data = images.encoded(images.pixels(1, (10, 12, 3)), form)
    assert decode_image(data, ReadOptions(limits=Limits(pixels=120))).shape == (10, 12, 3)
    with pytest.raises(
        DataError, match="has 10x12 pixels, more than 119; raise that with lpe ingest --max-pixels"
    ):
        decode_image(data, ReadOptions(limits=Limits(pixels=119)))


def test_an_image_as_large_as_the_limit_is_read():
    assert decode_image(hostile.png_of(8192, 8192), ReadOptions(grey=True)).shape == (8192, 8192, 1)
    above = hostile.png_of(8193, 8192)
    assert MOST_PIXELS < 8193 * 8192
    with pytest.raises(DataError, match="more than 67108864"):
        decode_image(above, ReadOptions(grey=True))
    assert decode_image(above, ReadOptions(grey=True, limits=Limits(PIXELS_CEILING))).shape == (8193, 8192, 1)


@pytest.mark.parametrize(
    "limits", [{"pixels": 0}, {"pixels": PIXELS_CEILING + 1}, {"members": 0}, {"unpacked_bytes": 0}]
)
def test_limits_out_of_range_are_refused(limits):
    with pytest.raises(UsageError, match="--max-"):
        Limits(**limits)


MEMBER = hostile.tar_member(b"a/x.png", images.encoded(images.pixels(1)))
ARCHIVES = {
    "zeros in a member": hostile.tar_header(b"a/y.png", 1 << 32),
    "zeros after the end": MEMBER + bytes(1024),
}


@pytest.mark.parametrize("start", ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_that_unpacks_without_end_is_refused(tmp_path, start):
    archive = hostile.packed_zeros(tmp_path / "d.tar.gz", 300 << 20, start)
    assert archive.stat().st_size < 1 << 20
    ran = subprocess.run(
        [sys.executable, "-c", COST, f"folder:{archive}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    line = ran.stderr.splitlines()[-1]
    assert (
        f"{archive}: unpacks to more than 268435456 bytes; raise that with lpe ingest --max-unpacked-bytes"
        in line
    )


def test_headers_that_grow_are_refused(tmp_path):
    (tmp_path / "d.tar").write_bytes(hostile.pax_that_overlaps())
    limits = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "import sys; sys.argv[1] = 'folder:' + sys.argv[1]\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", limits + COST, tmp_path / "d.tar"],
        capture_output=True, text=True, cwd=ROOT, check=False,
        env={"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert "d.tar: damaged or cut off (a header's fields are garbled)" in ran.stderr


def test_what_an_archive_may_unpack_to_follows_its_size():
    assert Limits().unpacked(1000) == 256 << 20
    assert Limits().unpacked(1 << 30) == 50 << 30
    assert Limits(unpacked_bytes=7).unpacked(1 << 30) == 7


def test_unpacking_and_members_have_limits_that_can_be_raised(tmp_path):
    files = {f"{'ab'[i % 2]}/{i}.png": images.encoded(images.pixels(i)) for i in range(10)}
    archive = str(images.pack(files, tmp_path / "d.tar.gz"))
    size = sum(len(data) for data in files.values())
    with pytest.raises(DataError, match=f"unpacks to more than {size} bytes"):
        FileTree(archive, Limits(unpacked_bytes=size))
    with pytest.raises(
        DataError, match=r"d\.tar\.gz: more than 9 files; raise that with lpe ingest --max-members"
    ):
        FileTree(archive, Limits(members=9))
    options = ReadOptions(limits=Limits(members=10, unpacked_bytes=1 << 20))
    with FolderSource(archive, options) as raised, FolderSource(archive, ReadOptions()) as usual:
        assert raised.digest() == usual.digest()
        assert np.array_equal(everything(raised, "train").images, everything(usual, "train").images)


def test_many_members_take_little_memory(tmp_path):
    directories = hostile.tar_header(b"d/", 0, b"5") * 100_000
    files = b"".join(hostile.tar_header(b"a/%d.txt" % i, 0) for i in range(20_000))
    (tmp_path / "d.tar").write_bytes(directories + files + MEMBER + bytes(1024))
    megabytes, seconds, _ = cost_of(f"folder:{tmp_path / 'd.tar'}")
    assert megabytes < 50
    assert seconds < 20


def test_limits_are_raised_on_the_command_line_and_change_nothing_else(tmp_path, lpe):
    files = {f"{'ab'[i % 2]}/{i}.png": images.encoded(images.pixels(i)) for i in range(10)}
    archive = images.pack(files, tmp_path / "d.tar.gz")
    command = ("ingest", "--source", f"folder:{archive}", "--output", tmp_path / "plain" / "d")
    for option, limit in (("--max-pixels", 63), ("--max-members", 9), ("--max-unpacked-bytes", 1000)):
        refused = lpe(*command, option, limit)
        assert refused.code == 1
        assert f"raise that with lpe ingest {option}" in " ".join(refused.err.split())
    assert lpe(*command, "--json").json["status"] == "ok"
    raised = lpe(*command, "--max-pixels", 64, "--max-members", 10, "--max-unpacked-bytes", 100_000, "--json")
    assert raised.json["status"] == "skipped"  # it is the same job
