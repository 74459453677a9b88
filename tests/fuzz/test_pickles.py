"""CIFAR's layouts, damaged and made up: what is read is an array of bytes, whatever the pickle says."""

import pickle
import tempfile
from pathlib import Path

import hypothesis
import numpy as np
from hypothesis import strategies as st

from lpe.pipeline.sources import pickled
from lpe.pipeline.sources.cifar import CifarSource
from lpe.pipeline.sources.cifar_pickle import as_array, as_labels, as_texts, read_pickle
from lpe.pipeline.sources.ranges import ByteRange
from tests.fuzz.budget import fuzz
from tests.fuzz.mutations import HUGE_NUMBERS, mutated
from tests.fuzz.trial import trial
from tests.pipeline.sources import images
from tests.pipeline.sources.reading import everything

# Small, so that changes meet more than pixels.
DATA = np.arange(12, dtype=np.uint8).reshape(3, 4)
BATCH = {
    "data": DATA,
    "labels": [1, 0, 9],
    "filenames": ["a.png", "b.png", "é.png"],
    "other": (None, True, {}),
}
PICKLES = [
    pickle.dumps(BATCH, protocol).replace(b"numpy._core.multiarray", core)
    for protocol in range(4)
    for core in (b"numpy._core.multiarray", b"numpy.core.multiarray")
] + [pickle.dumps(BATCH, protocol) for protocol in (4, 5)]


def read(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        value = read_pickle(ByteRange(file.name, 0, len(data)), "batch")
    assert isinstance(value, dict)
    array, labels = as_array(value.get("data")), as_labels(value.get("labels"))
    assert array is None or (type(array), array.dtype, array.ndim) == (np.ndarray, np.uint8, 2)
    assert labels is None or labels.dtype == np.uint8
    assert all(isinstance(name, str) for name in as_texts(value.get("filenames")) or [])


@fuzz(40)
@hypothesis.given(st.sampled_from(PICKLES).flatmap(mutated))
def test_damaged_pickles(data):
    trial(lambda: read(data))


_line = st.one_of(
    st.sampled_from([b"1\n", b"-1\n", b"00\n", b"01\n", b"L\n", b"'a'\n", b"'\\x\n", b"\\u0\n", b"\n"]),
    st.sampled_from(HUGE_NUMBERS).map(lambda number: b"%d\n" % number),
)
_name = st.sampled_from(
    [
        b"numpy\nndarray",
        b"numpy\ndtype",
        b"numpy.core.multiarray\n_reconstruct",
        b"_codecs\nencode",
        b"os\nsystem",
    ]
)
_argument = st.binary(max_size=9) | st.sampled_from([b"\x00", b"\x01", b"\xff" * 4, b"\x01a", b"\x01\0\0\0a"])
_step = st.one_of(
    st.sampled_from([bytes([code]) for code in range(256)]),
    st.sampled_from(sorted(pickled._STEPS)),
    st.tuples(st.sampled_from([b"I", b"L", b"S", b"V", b"p", b"g"]), _line).map(b"".join),
    st.tuples(st.sampled_from([b"K", b"M", b"J", b"U", b"T", b"C", b"B", b"X", b"\x8c", b"q", b"h"]), _argument).map(
        b"".join
    ),
    _name.map(lambda name: b"c" + name + b"\n"),
    st.sampled_from([b"}(U\x04data", b"U\x06labels](", b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"]),
)  # fmt: skip


@fuzz(40)
@hypothesis.given(st.lists(_step, max_size=40).map(b"".join))
def test_pickles_of_any_instructions(steps):
    trial(lambda: read(b"\x80\x02" + steps + b"."))


PYTHON, BINARY = (images.cifar10(python, 2) for python in (True, False))


def open_and_read(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        images.write(Path(folder), files)
        with CifarSource(folder) as source:
            for split in source.info.splits:
                read = everything(source, split)
                assert read.images.shape[1:] == (32, 32, 3)
                assert len(set(read.names)) == len(read.names)
                assert set(read.labels.tolist()) <= set(range(10))


@fuzz(20)
@hypothesis.given(st.data())
def test_damaged_layouts(data):
    files = dict(data.draw(st.sampled_from([PYTHON, BINARY])))
    name = data.draw(st.sampled_from(sorted(files)))
    files[name] = data.draw(mutated(files[name]))
    trial(lambda: open_and_read(files))
