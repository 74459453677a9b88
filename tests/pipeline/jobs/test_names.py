"""The original names of a dataset's images: kept on the owner's side, and given back."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import lpe
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.encryption.names import HiddenMap, read_names
from lpe.pipeline.keystore import KeyStore
from tests.pipeline.running import refused

NAMES = [
    "train/cat/ann.png",
    "train/cat/2024/ann.png",
    "train/cat/ANN.bmp",
    "train/dog/ann.png",
    "train/dog/bob.bmp",
    "train/dog/bob.png",
    "test/cat/carol.png",
    "test/dog/carol.png",
]
FILES = {
    "train/cat/2024/ann.png",
    "train/cat/ANN.bmp.png",
    "train/cat/ann.png.png",
    "train/dog/ann.png",
    "train/dog/bob.bmp.png",
    "train/dog/bob.png.png",
    "test/cat/carol.png",
    "test/dog/carol.png",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images, encrypted with hidden labels by its owner."""
    root = tmp_path_factory.mktemp("names")
    rng = np.random.default_rng(0)
    for name in NAMES:
        path = root / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    KeyStore(str(root / "keys")).create("owner")
    encrypt(root, f"folder:{root / 'photos'}", "photos", hide_labels=True)
    return root


def encrypt(root: Path, source: str, name: str, **choice: object) -> lpe.Dataset:
    spec = lpe.JobSpec(lpe.ReadSpec(source), str(root / "enc" / name))
    key = lpe.KeyRef(str(root / "keys"), "owner")
    return lpe.encrypt(spec, lpe.CipherChoice("lpe-100", **choice), key).dataset


def names_of(root: Path, name: str) -> dict[str, str]:
    dataset = open_dataset(str(root / "enc" / name))
    table = read_names(dataset, Encryption.of(dataset, ""), str(root / "keys"))
    assert table is not None
    return dict(zip(table["id"].to_pylist(), table["name"].to_pylist(), strict=True))


def pixels(directory: Path) -> dict[str, bytes]:
    found = {}
    for path in directory.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            with Image.open(path) as image:
                found[path.relative_to(directory).as_posix()] = np.asarray(image).tobytes()
    return found


def test_names_are_kept_and_stand_nowhere_in_clear(root):
    assert sorted(names_of(root, "photos").values()) == sorted(NAMES)
    kept = [*(root / "enc").rglob("*"), *(root / "keys").rglob("*")]
    for path in kept:
        assert not path.is_file() or not any(
            n in path.read_bytes() for n in (b"ann.", b"ANN.", b"bob.", b"carol.")
        )
    files = [*(root / "keys" / "names").iterdir()]
    assert len(files) == 1
    assert files[0].stat().st_mode & 0o777 == 0o600


def test_files_come_back_under_their_names(root, lpe):
    directory = root / "files"
    command = (
        "decrypt",
        "--source",
        root / "enc/photos",
        "--keystore",
        root / "keys",
        "--as-files",
        directory,
    )
    first = lpe(*command, "--json")
    assert first.json["images"] == len(NAMES)
    assert first.json["notes"] == []
    restored, original = pixels(directory), pixels(root / "photos")
    assert set(restored) == FILES
    assert sorted(restored.values()) == sorted(original.values())
    assert restored["train/cat/2024/ann.png"] == original["train/cat/2024/ann.png"]
    # Run again, it writes what is missing and nothing else.
    (directory / "test/cat/carol.png").unlink()
    before = (directory / "test/dog/carol.png").stat().st_mtime_ns
    assert lpe(*command).code == 0
    assert pixels(directory) == restored
    assert (directory / "test/dog/carol.png").stat().st_mtime_ns == before


def test_decrypted_data_has_its_map_of_names_again(root, lpe):
    home = root / "back" / "photos"
    outcome = lpe(
        "decrypt", "--source", root / "enc/photos", "--keystore", root / "keys", "--output", home, "--json"
    )
    assert outcome.json["notes"] == []
    table = pq.read_table(home / "1.0.0" / "ids.parquet")
    assert dict(zip(table["id"].to_pylist(), table["name"].to_pylist(), strict=True)) == names_of(
        root, "photos"
    )
    # And what is encrypted from there takes it along.
    encrypt(root, f"dataset:{home}", "again")
    assert names_of(root, "again") == names_of(root, "photos")


def test_appended_images_have_names_and_are_told_by_their_files(root, lpe, tmp_path):
    store = tmp_path / "keys"
    KeyStore(str(store)).create("owner")
    folder = tmp_path / "photos"
    shutil.copytree(root / "photos", folder)
    home = tmp_path / "enc" / "photos"
    words = (
        "encrypt",
        "--source",
        f"folder:{folder}",
        "--output",
        home,
        "--keystore",
        store,
        "--key",
        "owner",
    )
    assert lpe(*words).code == 0
    shutil.copy(root / "photos/test/dog/carol.png", folder / "train/dog/dave.png")  # as it is elsewhere
    Image.new("RGB", (8, 8), "red").save(folder / "train/cat/eve.png")
    outcome = lpe(*words, "--append", "--json")
    assert any(
        "9 images are there already (by the content of their files)" in n for n in outcome.json["notes"]
    )
    found = {}
    for version in ("1.0.0", "1.0.1"):
        dataset = open_dataset(str(home / version))
        table = read_names(dataset, Encryption.of(dataset, ""), str(store))
        found[version] = sorted(table["name"].to_pylist())
    assert found == {"1.0.0": sorted(NAMES), "1.0.1": sorted([*NAMES, "train/cat/eve.png"])}
    assert not any(b"eve." in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_without_a_map_ids_are_the_names(root, lpe, tmp_path):
    dataset = encrypt(root, "synthetic:12", "shapes")
    Path(HiddenMap.of(dataset, Encryption.of(dataset, ""), str(root / "keys")).path).unlink()
    words = ("decrypt", "--source", root / "enc/shapes", "--keystore", root / "keys", "--json")
    outcome = lpe(*words, "--as-files", tmp_path / "files")
    assert "names are not known" in outcome.json["notes"][0]
    assert {name.rpartition("/")[2] for name in pixels(tmp_path / "files")} >= {"train-0000000.png"}
    assert "names are not known" in lpe(*words, "--output", tmp_path / "back" / "shapes").json["notes"][0]


def test_a_changed_map_is_refused(root, lpe, tmp_path):
    dataset = encrypt(root, f"folder:{root / 'photos'}", "changed")
    file = Path(HiddenMap.of(dataset, Encryption.of(dataset, ""), str(root / "keys")).path)
    data = bytearray(file.read_bytes())
    data[20] ^= 1
    file.write_bytes(data)
    words = ("decrypt", "--source", root / "enc/changed", "--keystore", root / "keys")
    refused(lpe(*words, "--as-files", tmp_path / "files"), file.name, "not what was written there")
    refused(lpe(*words, "--output", tmp_path / "back" / "photos"), file.name, "not what was written there")
    assert not (tmp_path / "back" / "photos" / "1.0.0").exists()


def test_the_directory_must_be_its_own(root, lpe, tmp_path):
    words = ("decrypt", "--source", root / "enc/photos", "--keystore", root / "keys")
    refused(lpe(*words, "--as-files", root / "photos"), "photos", "holds other files")
    refused(lpe(*words), "--output HOME", "--as-files DIR", code=2)
    refused(lpe(*words, "--as-files", tmp_path, "--output", tmp_path), "--as-files DIR", code=2)
    refused(lpe(*words, "--as-files", tmp_path, "--format", "parquet"), "--format", code=2)
    (tmp_path / "file").write_text("")
    refused(lpe(*words, "--as-files", tmp_path / "file"), "file", "a directory that is new or empty")


def test_names_go_with_their_dataset_from_key_to_key(root, lpe):  # the last: it destroys a key
    encrypt(root, f"folder:{root / 'photos'}", "moved")
    before, folder = names_of(root, "moved"), root / "keys" / "names"
    first = KeyStore(str(root / "keys")).keys("owner")[0].id
    lpe("keys", "rotate", "owner", "--keystore", root / "keys")
    lpe("reencrypt", root / "enc/moved", "--keystore", root / "keys", "--retire-after", "0d")
    assert not (root / "enc/moved/1.0.0").exists()
    assert names_of(root, "moved") == before
    (later,) = [path for path in folder.iterdir() if f".{first}." not in path.name]
    # What was hidden under a key goes with it.
    assert len([*folder.iterdir()]) > 1
    lpe("keys", "destroy", "owner", first, "--keystore", root / "keys", "--force")
    assert [*folder.iterdir()] == [later]
    assert names_of(root, "moved") == before
