"""cifar:PATH — the official layouts, and what is wrong with others."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from lpe.pipeline.sources.cifar import CifarSource
from lpe.transforms.errors import DataError
from tests.pipeline.sources import images
from tests.pipeline.sources.reading import everything, failing

LAYOUTS = [(name, python) for name in ("cifar10", "cifar100") for python in (False, True)]


def files_of(name: str, python: bool) -> dict[str, bytes]:
    return images.cifar10(python) if name == "cifar10" else images.cifar100(python)


@pytest.mark.parametrize("form", ["folder", "inner folder", "tar", "tar.gz"])
@pytest.mark.parametrize(("name", "python"), LAYOUTS)
def test_all_official_layouts_give_the_same_images(tmp_path, name, python, form):
    files = files_of(name, python)
    if "folder" in form:
        path = images.write(tmp_path, files)
        path = next(path.iterdir()) if form == "inner folder" else path
    else:
        path = images.pack(files, tmp_path / f"cifar.{form}")
    with CifarSource(str(path)) as source:
        per_file, seeds = (6, range(5)) if name == "cifar10" else (20, range(1))
        classes = 10 if name == "cifar10" else 100
        assert source.info.name == name
        assert dict(source.info.splits) == {"train": per_file * len(seeds), "test": per_file}
        assert len(source.info.class_names) == classes
        expected = [images.cifar_batch(seed, per_file, classes) for seed in seeds]
        got = everything(source, "train")
        assert np.array_equal(got.labels, np.concatenate([labels for labels, _ in expected]))
        planes = np.concatenate([data for _, data in expected]).reshape(-1, 3, 32, 32)
        assert np.array_equal(got.images, planes.transpose(0, 2, 3, 1))
        assert len(set(got.names)) == len(got.names)
        if not python:
            assert got.names[1].endswith(".bin#1")


def test_slices_are_small_values_that_read_anywhere(tmp_path):
    source = CifarSource(str(images.pack(images.cifar10(False, 300), tmp_path / "c.tar.gz")))
    whole = everything(source, "train")
    positions = np.array([0, 5, 299, 300, 301, 899, 1499])
    frozen = pickle.dumps(source.slice("train", positions))
    assert len(frozen) < 4000
    (first, *rest) = pickle.loads(frozen).batches(2, failing)
    assert len(first.images) == 2
    assert np.array_equal(np.concatenate([b.images for b in (first, *rest)]), whole.images[positions])
    assert np.concatenate([b.offsets for b in (first, *rest)]).tolist() == list(range(7))
    source.close()


def test_temporary_files_go_when_the_source_is_closed(tmp_path):
    open_files = Path("/proc/self/fd")
    archive = images.pack(images.cifar10(True), tmp_path / "c.tar.gz")
    before = len(list(open_files.iterdir()))
    with CifarSource(str(archive)) as source:
        assert source.temporary
        assert len(list(open_files.iterdir())) == before + 7
    assert len(list(open_files.iterdir())) == before
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(DataError):
        CifarSource(str(archive))
    assert len(list(open_files.iterdir())) == before


def test_the_digest_is_of_the_content(tmp_path):
    one = images.write(tmp_path / "a", images.cifar10(False))
    two = images.write(tmp_path / "b", images.cifar10(False))
    assert CifarSource(str(one)).digest() == CifarSource(str(two)).digest()
    file = two / "cifar-10-batches-bin" / "test_batch.bin"
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert CifarSource(str(one)).digest() != CifarSource(str(two)).digest()


def test_a_label_out_of_range_is_a_bad_record(tmp_path):
    files = images.cifar10(False)
    data = bytearray(files["cifar-10-batches-bin/data_batch_2.bin"])
    data[3073 * 4] = 77
    files["cifar-10-batches-bin/data_batch_2.bin"] = bytes(data)
    source = CifarSource(str(images.write(tmp_path, files)))
    with pytest.raises(
        DataError, match=r"data_batch_2.bin, record 4: label 77 for 10 classes.*--on-bad-record"
    ):
        everything(source, "train")
    notes = []
    got = list(source.slice("train", np.arange(30)).batches(100, notes.append))
    assert sum(len(batch.names) for batch in got) == 29
    assert np.concatenate([batch.offsets for batch in got]).tolist() == [i for i in range(30) if i != 10]


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.99, -1])
@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_a_cut_off_archive_is_named(tmp_path, keep, ending):
    archive = images.pack(images.cifar10(False, 60), tmp_path / f"c.{ending}")
    data = archive.read_bytes()
    archive.write_bytes(
        data[: int(len(data) * keep)] if keep > 0 else data[: -10241 if ending == "tar" else -1]
    )
    with pytest.raises(DataError, match=r"c\.tar.*(cut off|incomplete)"):
        CifarSource(str(archive))


def test_a_flipped_bit_in_a_compressed_archive_is_found(tmp_path):
    archive = images.pack(images.cifar10(False, 60), tmp_path / "c.tar.gz")
    data = bytearray(archive.read_bytes())
    for at in range(200, len(data), len(data) // 20):
        data[at] ^= 16
        archive.write_bytes(bytes(data))
        with pytest.raises(DataError, match=r"c\.tar\.gz"):
            CifarSource(str(archive))
        data[at] ^= 16


@pytest.mark.parametrize("python", [False, True])
def test_damaged_and_missing_files_are_named(tmp_path, python):
    end = "" if python else ".bin"
    folder = "cifar-10-batches-py" if python else "cifar-10-batches-bin"
    files = images.cifar10(python)
    cut = {**files, f"{folder}/data_batch_3{end}": files[f"{folder}/data_batch_3{end}"][:-100]}
    with pytest.raises(DataError, match=f"data_batch_3{end}.*cut off"):
        CifarSource(str(images.write(tmp_path / "cut", cut)))
    less = {name: data for name, data in files.items() if "data_batch_4" not in name}
    with pytest.raises(DataError, match=f"incomplete, data_batch_4{end} missing"):
        CifarSource(str(images.write(tmp_path / "less", less)))
    with pytest.raises(DataError, match="none of CIFAR's official layouts"):
        CifarSource(str(images.write(tmp_path / "other", {"a/b.txt": b"x"})))
    with pytest.raises(DataError, match="no such file"):
        CifarSource(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="neither a directory nor"):
        CifarSource(str(images.write(tmp_path, {"c.7z": b"x"}) / "c.7z"))


class Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("file", ["data_batch_2", "batches.meta"])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    files = images.cifar10(True)
    files[f"cifar-10-batches-py/{file}"] = pickle.dumps({"data": Evil(), "label_names": Evil()}, protocol=2)
    with pytest.raises(DataError, match=rf"{file}: refused: it asks to run \w+\.system"):
        CifarSource(str(images.write(tmp_path / "c", files)))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("value", [[1, 2], {"data": 3}, {"data": np.zeros((2, 3072)), "labels": [1, 2]}])
def test_a_pickle_of_something_else_is_refused(tmp_path, value):
    files = images.cifar10(True)
    files["cifar-10-batches-py/data_batch_1"] = images.python2_pickle(value)
    with pytest.raises(DataError, match="data_batch_1: not"):
        CifarSource(str(images.write(tmp_path / "c", files)))


def test_pickles_that_python_3_wrote_again(tmp_path):
    files = images.cifar10(True)
    for name, data in files.items():
        value = pickle.loads(data.replace(b"numpy.core.", b"numpy._core."))
        files[name] = pickle.dumps({key.encode(): content for key, content in value.items()}, protocol=2)
    with CifarSource(str(images.write(tmp_path / "bytes", files))) as source:
        assert source.info.class_names == tuple(images.CLASSES)
        assert everything(source, "train").names[7] == "data_batch_2/data_batch_2_1.png"


def test_names_that_repeat_give_way_to_record_numbers(tmp_path):
    files = images.cifar10(True)
    value = pickle.loads(files["cifar-10-batches-py/test_batch"].replace(b"numpy.core.", b"numpy._core."))
    files["cifar-10-batches-py/test_batch"] = images.python2_pickle({**value, "filenames": ["x.png"] * 6})
    with CifarSource(str(images.write(tmp_path / "c", files))) as source:
        assert everything(source, "test").names == [f"test_batch#{i}" for i in range(6)]


def test_two_datasets_in_one_folder_are_not_mixed(tmp_path):
    for python in (False, True):
        images.write(tmp_path, images.cifar10(python))
    with pytest.raises(
        DataError, match=r"several CIFAR datasets \(cifar-10-batches-bin, cifar-10-batches-py\)"
    ):
        CifarSource(str(tmp_path))
    with CifarSource(str(tmp_path / "cifar-10-batches-py")) as source:
        assert source.info.splits["train"] == 30


@pytest.mark.parametrize("python", [False, True])
def test_class_names_must_be_complete(tmp_path, python):
    files = images.cifar10(python)
    if python:
        files["cifar-10-batches-py/batches.meta"] = images.python2_pickle({"label_names": images.CLASSES[:9]})
    else:
        files["cifar-10-batches-bin/batches.meta.txt"] = "\n".join(images.CLASSES[:9]).encode()
    with pytest.raises(DataError, match=r"batches\.meta.*: 9 class names, not 10"):
        CifarSource(str(images.write(tmp_path, files)))


def test_a_batch_without_any_good_record_is_left_out(tmp_path):
    files = images.cifar10(False)
    name = "cifar-10-batches-bin/test_batch.bin"
    files[name] = b"".join(b"\xff" + files[name][i * 3073 + 1 : (i + 1) * 3073] for i in range(6))
    source = CifarSource(str(images.write(tmp_path, files)))
    notes = []
    assert not list(source.slice("test", np.arange(6)).batches(4, notes.append))
    assert len(notes) == 6


def test_the_real_archive(shared: Path):
    with CifarSource(str(shared / "cifar-10-binary-6k.tar.gz")) as source:
        assert dict(source.info.splits) == {"train": 5085, "test": 1017}
        assert source.info.class_names[:3] == ("airplane", "automobile", "bird")
        got = everything(source, "test")
        # The first test image is the well-known cat.
        assert source.info.class_names[got.labels[0]] == "cat"
        assert got.images[0, 0, 0].tolist() == [158, 112, 49]
