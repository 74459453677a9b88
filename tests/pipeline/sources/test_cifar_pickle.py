"""Pickles of CIFAR's python layout: what any Python and NumPy wrote is read, and nothing else is built."""

from __future__ import annotations

import pickle
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lpe.pipeline.sources import pickled
from lpe.pipeline.sources.cifar import CifarSource
from lpe.pipeline.sources.cifar_pickle import as_array, as_labels, as_texts, read_pickle
from lpe.pipeline.sources.ranges import ByteRange
from lpe.transforms.errors import DataError
from tests.pipeline.sources import images
from tests.pipeline.sources.reading import everything

ROOT = Path(__file__).resolve().parents[3]
LABELS, DATA = images.cifar_batch(1, 3)
BATCH = {"data": DATA, "labels": LABELS.tolist(), "filenames": ["a.png", "é.png", "c.png"]}


def read(path: Path, data: bytes) -> dict[str, object]:
    path.write_bytes(data)
    return read_pickle(ByteRange(str(path), 0, len(data)), "batch")


def text2(text: bytes) -> bytes:
    """A text as Python 2 wrote it."""
    return (b"U" + bytes([len(text)]) if len(text) < 256 else b"T" + struct.pack("<I", len(text))) + text


DTYPE = b"cnumpy\ndtype\n" + text2(b"u1") + b"K\x00K\x01\x87R"
DTYPE_STATE = b"(K\x03" + text2(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"


def array2(core: bytes = b"numpy.core", dtype: bytes = DTYPE + DTYPE_STATE, raw: bytes = DATA.tobytes(),
           shape: bytes = b"K\x03M\x00\x0c\x86", order: bytes = b"\x89") -> bytes:  # fmt: skip
    """An array as Python 2 wrote it: protocol 2, texts for bytes."""
    return (
        b"c" + core + b".multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text2(b"b") + b"\x87R"
        + b"(K\x01" + shape + dtype + order + text2(raw) + b"tb"
    )  # fmt: skip


NAMES = b"".join(text2(name) for name in (b"a.png", b"\xe9.png", b"c.png"))


def batch2(array: bytes, names: bytes = NAMES) -> bytes:
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in LABELS.tolist()) + b"e"
    return (
        b"\x80\x02}(" + text2(b"data") + array + text2(b"labels") + labels
        + text2(b"filenames") + b"](" + names + b"eu."
    )  # fmt: skip


def check(value: dict[str, object]) -> None:
    assert np.array_equal(as_array(value["data"]), DATA)
    assert np.array_equal(as_labels(value["labels"]), LABELS)
    assert as_texts(value["filenames"]) == BATCH["filenames"]


@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_what_python_2_wrote(tmp_path, core):
    check(read(tmp_path / "x", batch2(array2(core))))
    columns = DATA.T.tobytes()
    check(read(tmp_path / "x", batch2(array2(core, raw=columns, order=b"\x88"))))


def test_what_python_2_wrote_in_lines(tmp_path):
    # Its protocol 0, a line a value, with Python's own notation of texts.
    data = (
        b"(dp0\nS'labels'\np1\n(lp2\nI" + b"\naI".join(b"%d" % label for label in LABELS.tolist()) + b"\nas"
        + b"S'filenames'\np3\n(lp4\nS'a.png'\np5\naS'\\xe9.png'\naS\"c.png\"\nas"
        + b"S'data'\np6\ncnumpy.core.multiarray\n_reconstruct\np7\n(cnumpy\nndarray\np8\n(I0\ntS'b'\np9\ntRp10\n"
        + b"(I1\n(L3L\nI3072\ntcnumpy\ndtype\np11\n(S'u1'\nI0\nI1\ntRp12\n(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\n"
        + b"S" + repr(DATA.tobytes())[1:].encode() + b"\np13\ntbs."
    )  # fmt: skip
    check(read(tmp_path / "x", data))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("keys", ["str", "bytes"])
def test_what_python_3_writes(tmp_path, protocol, order, keys):
    batch = {**BATCH, "data": np.asarray(DATA, order=order)}
    if keys == "bytes":
        batch = {key.encode(): value for key, value in batch.items()}
    for core in (b"numpy._core", b"numpy.core"):
        data = pickle.dumps(batch, protocol)
        if core == b"numpy.core":
            data = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            if protocol >= 4:
                # The name's length stands before it.
                data = pickle.dumps(batch, protocol, fix_imports=False)
                for module in (b"multiarray", b"numeric"):
                    new, old = b"numpy._core." + module, b"numpy.core." + module
                    data = data.replace(bytes([len(new)]) + new, bytes([len(old)]) + old)
        check(read(tmp_path / "x", data))


def test_read_only_arrays_and_unused_values(tmp_path):
    data = DATA.copy()
    data.setflags(write=False)
    batch = {
        **BATCH,
        "data": data,
        "batch_label": "1 of 5",
        "num_cases": 10**9,
        "other": ({}, None, True, -5),
    }
    check(read(tmp_path / "x", pickle.dumps(batch, 5)))


def test_the_images_are_those_of_the_binary_layout(tmp_path):
    files = images.cifar10(True)
    for name, data in files.items():
        value = pickle.loads(data.replace(b"numpy.core.", b"numpy._core."))
        files[name] = pickle.dumps(value, 5)
    with (
        CifarSource(str(images.write(tmp_path / "a", files))) as python,
        CifarSource(str(images.write(tmp_path / "b", images.cifar10(False)))) as binary,
    ):
        assert np.array_equal(everything(python, "train").images, everything(binary, "train").images)


# ------------------------------------------------------------ hostile

POINTERS = b"\x41" * 3072 * 3
OBJECT = DTYPE.replace(text2(b"u1"), text2(b"O8"))
NONE = b"J\xff\xff\xff\xff"


def state(flags: int, middle: bytes = b"NNN" + NONE * 2, more: bytes = b"", version: int = 3) -> bytes:
    """A dtype's state: its flags say whether elements are pointers that are counted, and pickled as a list."""
    return b"(K" + bytes([version]) + text2(b"|") + middle + b"K" + bytes([flags]) + more + b"tb"


COUNTED = 0x3D  # and not pickled as a list: any bytes are taken for pointers
VOID = DTYPE.replace(text2(b"u1"), text2(b"V8"))
FIELDS = b"N" + text2(b"a") + b"\x85}" + text2(b"a") + OBJECT + state(0x3F) + b"K\x00\x86sK\x08K\x01"
PART = OBJECT + state(0x3F) + b"K\x01\x85\x86NNK\x08K\x01"
POINTER = {"raw": b"\x41" * 8, "shape": b"K\x01\x85"}

# Each shows its pointers when it is printed.
CRASHING = {
    "pointers by a dtype's state": array2(dtype=OBJECT + state(COUNTED), **POINTER),
    "pointers by a dtype's second state": array2(dtype=OBJECT + b"q\x05" + state(0), **POINTER)
        + b"h\x05" + state(COUNTED),
    "fields": array2(dtype=VOID + state(COUNTED, FIELDS), **POINTER),
    "a part-array": array2(dtype=VOID + state(COUNTED, PART), **POINTER),
    "metadata": array2(dtype=OBJECT + state(COUNTED, more=b"}", version=4), **POINTER),
    "two states of an array": array2() + b"(K\x01K\x01\x85" + OBJECT + state(COUNTED) + b"\x89"
        + text2(POINTER["raw"]) + b"tb",
}  # fmt: skip
ARRAYS = {
    "an array of objects": array2(dtype=OBJECT + state(0x3F)),
    "bytes of objects' size": array2(dtype=DTYPE + state(COUNTED)),
    "metadata of bytes": array2(dtype=DTYPE + state(0, more=b"}", version=4)),
    "a part-array of bytes": array2(dtype=DTYPE + state(0, DTYPE + DTYPE_STATE + b"K\x01\x85\x86NN" + NONE * 2)),
    "a larger shape": array2(shape=b"K\x7fM\x00\x0c\x86"),
    "a shape of the same size": array2(shape=b"J\xfd\xff\xff\xffJ\x00\xf4\xff\xff\x86"),
    "a huge shape": array2(shape=b"\x8a\x08" + bytes(7) + b"\x10K\x10\x86"),
    "no bytes": array2(raw=b""),
    "an array of no content": b"cnumpy\nndarray\nJ\x40\x0d\x03\x00M\x00\x0c\x86" + text2(b"u1") + b"\x86R",
    "a list of bytes": b"](" + text2(DATA.tobytes()) + b"e",
    "strings of one's own": array2(dtype=DTYPE.replace(text2(b"u1"), text2(b"i1")) + DTYPE_STATE),
    "floats": array2(dtype=DTYPE.replace(text2(b"u1"), text2(b"f8")) + DTYPE_STATE, shape=b"K\x03M\x80\x01\x86"),
    "a dtype without a state": array2(dtype=DTYPE),
}  # fmt: skip

INGEST = """
import sys
from lpe.pipeline.sources.cifar import CifarSource
from lpe.transforms.errors import DataError
for path in sys.argv[1:]:
    print(path, end=" ", flush=True)
    try:
        CifarSource(path)
    except DataError as error:
        print(error)
    else:
        print("was read")
"""


def folder(path: Path, batch: bytes) -> Path:
    files = images.cifar10(True, 3)
    files["cifar-10-batches-py/data_batch_1"] = batch
    return images.write(path, files)


def test_what_numpy_would_crash_on_is_refused(tmp_path):
    refusable = {name: batch2(array2(), array + NAMES) for name, array in CRASHING.items()}
    refusable |= {name: batch2(array) for name, array in ARRAYS.items()}
    folders = [folder(tmp_path / name, batch) for name, batch in refusable.items()]
    folders.append(folder(tmp_path / "good", batch2(array2(raw=POINTERS))))
    ran = subprocess.run(
        [sys.executable, "-c", INGEST, *folders], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ran.returncode == 0, ran
    *refused, good = ran.stdout.splitlines()
    assert good.endswith("was read")
    for where, line in zip(folders, refused, strict=False):
        assert re.fullmatch(
            rf"{where} {where}: data_batch_1: (not an official batch|damaged or cut off).*; get the archive again",
            line,
        )
    assert len(refused) == len(refusable)


N = 300_000
PICKLES = {
    "200,000 images in 400 KB": b"\x80\x02}(" + text2(b"data") + ARRAYS["an array of no content"] + text2(b"labels")
        + b"](" + b"K\x01" * 200_000 + b"eu.",
    "colliding keys": b"\x80\x02}(" + b"".join(b"\x8a\x08" + struct.pack("<q", i * (2**61 - 1) % 2**63) + b"N"
        for i in range(N)) + b"u.",
    "colliding keys of tuples": b"\x80\x02}(" + b")\x85" * N + b"u.",
    "colliding places": b"\x80\x02N" + b"".join(b"p%d\n" % (i * (2**61 - 1) % 10**19) for i in range(N)) + b".",
    "places far apart": b"\x80\x02Nr\xff\xff\xff\xff.",
    "nested lists": b"\x80\x02" + b"]" * N + b"a" * (N - 1) + b".",
    "nested tuples": b"\x80\x02}(" + text2(b"data") + b")" + b"\x85" * 900_000 + b"u.",
    "nested marks": b"(" * N + b"t" * N + b".",
    "laughs": b"\x80\x02}" + text2(b"data") + b"]q\x00(NNNNNNNNNNe" + b"".join(
        b"](" + b"h" + bytes([i]) + b"h" + bytes([i]) * 1 + b"eq" + bytes([i + 1]) for i in range(200)) + b"s.",
    "itself": b"\x80\x02}q\x00(" + text2(b"data") + b"h\x00" + text2(b"labels") + b"]q\x01h\x01a"
        + text2(b"filenames") + b"h\x01u.",
    "too many steps": b"\x80\x02" + b"]" * 3_000_000 + b".",
    "a long number": b"I" + b"9" * 1_000_000 + b"\n.",
    "a long number of bytes": b"\x8b\xff\xff\xff\x7f" + b"\xff" * 100,
    "a huge text": b"\x8d" + b"\xff" * 7 + b"\x7f.",
    "a huge frame": b"\x80\x04\x95" + b"\xff" * 8 + b"N.",
    "one text as bytes again and again": b"\x80\x02]X\x40\x42\x0f\x00" + b"x" * 1_000_000 + b"q\x000" + b"(" + (
        b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R" * 2000) + b"e.",
    "a set": b"\x80\x04\x8f(K\x01\x90.",
    "a float": b"F1e5\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "an object elsewhere": b"P1\n.",
    "no value": b".",
    "a state of nothing": b"\x80\x02N)b.",
    "a call of no function": b"\x80\x02N)R.",
    "a class to make": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "a newer protocol": b"\x80\x06N.",
    "empty": b"",
}  # fmt: skip


@pytest.mark.parametrize("data", PICKLES.values(), ids=PICKLES)
def test_what_costs_too_much_is_refused_soon(tmp_path, data):
    files = folder(tmp_path / "c", data)
    started = time.process_time()
    with pytest.raises(DataError, match=r"data_batch_1: .*; get the archive again") as refusal:
        CifarSource(str(files))
    assert time.process_time() - started < 20
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(
    "name", [b"os\nsystem", b"numpy.core\nload", b"numpy\ndtype.type", b"builtins\neval", b"numpy.f2py\nx\x1b[1m"]
)  # fmt: skip
def test_names_are_never_looked_up(tmp_path, name):
    for data in (b"c" + name + b"\n.", b"\x80\x04" + b"".join(b"\x8c" + bytes([len(part)]) + part
                                                              for part in name.split(b"\n")) + b"\x93."):  # fmt: skip
        with pytest.raises(DataError, match="refused: it asks to run") as refusal:
            read(tmp_path / "x", data)
        assert "\x1b" not in str(refusal.value)


def test_calls_stay_what_the_pickle_says():
    value = pickled.load(b"cnumpy\nndarray\n(I3\ntR(S'state'\ntb.", frozenset({"numpy.ndarray"}))
    assert (value.name, value.args, value.state) == ("numpy.ndarray", (3,), (b"state",))
