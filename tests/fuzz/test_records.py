"""Shards that are damaged or hostile: framing, Examples, and images within them."""

import gzip
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from lpe.pipeline import records
from lpe.pipeline.records import RecordFormat, example_proto, tfrecord
from lpe.pipeline.records.bad_records import BadRecord
from lpe.transforms.errors import DataError
from tests.fuzz.budget import fuzz
from tests.fuzz.mutations import HUGE_NUMBERS, mutated
from tests.fuzz.trial import check_line, trial
from tests.pipeline.records.examples import FORMAT, SHAPE, as_set, framed, read, some

WRITTEN = some(6, classes=1000)
FILE = records.encode(WRITTEN, FORMAT)
ZIPPED = gzip.compress(FILE, mtime=0)
ONE = records.encode(some(1), FORMAT)[tfrecord.HEADER : -tfrecord.FOOTER]
ENCODED = RecordFormat(None, "png")


def note(record: BadRecord) -> None:
    """Leaves a bad record out; what would be said of it is one line."""
    check_line(f"{record.where}: {record.reason}")


def entry(key: bytes, feature: bytes) -> bytes:
    """A feature of an Example, by protobuf's rules."""
    return field(1, field(1, key) + field(2, feature))


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def in_example(payload: bytes) -> bytes:
    """An Example with an encoded image."""
    features = (
        entry(b"id", field(1, field(1, b"train-0"))),
        entry(b"image", field(1, field(1, payload))),
        entry(b"label", field(3, field(1, b"\x01"))),
    )
    return field(1, b"".join(features))


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(some(1, shape=(9, 7, 3)).images[0]).save(out, kind)
    return out.getvalue()


PICTURES = [picture(kind) for kind in ("png", "jpeg", "bmp", "gif")]


@fuzz(150)
@given(mutated(FILE))
def test_nothing_comes_out_of_a_damaged_shard_that_was_not_written(data):
    for batch in trial(lambda: read(data, on_bad_record=note)) or []:
        assert as_set(batch) <= as_set(WRITTEN)


@fuzz(40)
@given(mutated(ZIPPED))
def test_nothing_comes_out_of_a_damaged_gzip_shard_that_was_not_written(data):
    for batch in trial(lambda: read(data, on_bad_record=note)) or []:
        assert as_set(batch) <= as_set(WRITTEN)


@fuzz(40)
@given(st.sampled_from(HUGE_NUMBERS), st.binary(max_size=64), st.booleans())
def test_a_length_that_lies_takes_no_memory(length, rest, compressed):
    data = tfrecord.header(length & (2**64 - 1)) + rest
    data = FILE + (gzip.compress(data) if compressed else data)
    trial(lambda: read(data, on_bad_record=note), memory=64 << 20)


@fuzz(150)
@given(mutated(ONE))
@example(ONE.replace(b"\x1a\x03\x0a\x01", b"\x1a\x0c\x0a\x0a" + b"\xff" * 9))
def test_a_hostile_example_is_read_as_protobuf_does_or_refused(data):
    """Whoever can write a shard can make its checksums right."""
    batches = trial(lambda: read(framed(data) * 3, on_bad_record=note)) or []
    parsed = example_proto.parse(data)
    for batch in batches:
        assert batch.images.shape[1:] == SHAPE
        assert parsed is not None
        assert [parsed["image"], parsed["label"]] == [[batch.images[0].tobytes()], [batch.labels[0]]]
        assert [name.encode() for name in batch.ids] == parsed["id"] * 3
    for key, span in (example_proto.value_spans(data) or {}).items():
        assert parsed is not None
        assert parsed[key] == span.values(data)


@fuzz(100)
@given(st.sampled_from(PICTURES).flatmap(mutated))
def test_a_damaged_image_in_a_record_is_decoded_or_refused(payload):
    for batch in trial(lambda: read(framed(in_example(payload)), ENCODED, on_bad_record=note)) or []:
        assert batch.images.dtype == np.uint8
        assert batch.images.shape[-1] == 3


def test_what_is_said_of_sound_images_is_nothing():
    for payload in PICTURES:
        (batch,) = read(framed(in_example(payload)), ENCODED)
        assert batch.images.shape == (1, 9, 7, 3)


def png(width: int, height: int, *, depth: int = 8, colour: int = 2, data: bytes = b"") -> bytes:
    """A PNG file that claims to be of a size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def refused(data: bytes, fmt: RecordFormat = ENCODED) -> str:
    """What is said of a file's first record."""
    notes: list[BadRecord] = []
    assert trial(lambda: read(data, fmt, on_bad_record=notes.append), memory=256 << 20) == []
    note(notes[0])
    return notes[0].reason


@fuzz(20)
@given(*[st.sampled_from([1, 2, 8191, 13_300, 60_000, 2**31 - 1, 2**31, 2**32 - 1])] * 2, st.booleans())
def test_a_claimed_size_takes_no_memory(width, height, fixed):
    fmt = RecordFormat((9, 7, 3), "png") if fixed else ENCODED
    data = framed(in_example(png(width, height, data=zlib.compress(bytes(1 << 20), 9))))
    for batch in trial(lambda: read(data, fmt, on_bad_record=note), memory=256 << 20) or []:
        assert batch.images.nbytes <= 1 << 20


def test_a_small_file_of_many_pixels_is_refused_before_it_is_decoded():
    rows = zlib.compress(bytes(13_300 * (3 * 13_300 + 1)), 9)
    assert "more than 67108864" in refused(framed(in_example(png(13_300, 13_300, data=rows))))
    assert "13300" in refused(
        framed(in_example(png(13_300, 13_300, data=rows))), RecordFormat((9, 7, 3), "png")
    )


def test_an_image_of_16_bits_is_refused_not_clipped():
    rows = zlib.compress((b"\x00" + b"\x12\x34" * 2) * 2)
    assert "more than 8 bits" in refused(framed(in_example(png(2, 2, depth=16, colour=0, data=rows))))


def test_a_jpeg_of_endless_scans_is_refused():
    jpeg = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(jpeg, "jpeg", progressive=True)
    scans = jpeg.getvalue()
    last = scans[scans.rindex(b"\xff\xda") : -2]
    assert "scans" in refused(framed(in_example(scans[:-2] + last * 300 + scans[-2:])))


@pytest.mark.parametrize("name", ["EPS", "TIFF", "PPM", "ICNS"])
def test_formats_that_no_dataset_has_are_not_opened(name):
    out = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(out, name)
    assert refused(framed(in_example(out.getvalue()))) == "its image is no PNG, JPEG, BMP or GIF"


def test_large_images_come_in_small_batches():
    side = 2048
    payload = framed(in_example(png(side, side, data=zlib.compress(bytes(side * (3 * side + 1)), 9))))
    sizes = [len(batch) for batch in read(payload * 12, ENCODED)]
    assert sum(sizes) == 12
    assert max(sizes) * side * side * 3 <= 64 << 20


@pytest.mark.parametrize(
    "content",
    [
        field(1, entry(b"image", field(1, b"\x0a\x00" * (12 << 20)))),
        field(1, entry(b"label", field(3, field(1, b"\x01" * (24 << 20))))),
        field(1, b"".join(entry(b"%07d" % i, b"") for i in range(2_000_000))),
        b"\x0a\x00" * (12 << 20),
    ],
    ids=["values", "integers", "features", "empty"],
)
def test_millions_of_values_take_little_memory_and_time(content):
    assert "not a tf.train.Example" in refused(framed(content))


def test_a_large_example_in_the_plain_layout_is_read():
    fmt = RecordFormat((4096, 2048, 3))
    images = np.zeros((1, 4096, 2048, 3), np.uint8)
    images[0, 7, 7, 7 % 3] = 9
    big = framed(in_example(images[0].tobytes()))
    (batch,) = read(big, fmt)
    assert np.array_equal(batch.images, images)
    (batch,) = read(framed(in_example(PICTURES[0] + bytes(24 << 20))), ENCODED)  # bytes after a PNG's end
    assert batch.labels.tolist() == [1]


def test_records_whose_lengths_vary_cunningly_are_read_in_linear_time():
    """Runs a little longer than what is looked at first."""
    piece = framed(b"") * 33 + framed(b"x")
    data = piece * ((4 << 20) // len(piece))
    assert trial(lambda: sum(len(rows) for rows, _ in tfrecord.frames(io.BytesIO(data), "x")), seconds=10)


def test_a_gzip_bomb_takes_no_more_memory_than_a_record():
    zeros = tfrecord.header(900 << 20)
    bomb = gzip.compress(zeros + bytes(64 << 20))
    tracemalloc.start()
    with pytest.raises(DataError, match="at most"):
        read(bomb)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("shape", "encoding", "channels"),
    [((2**31, 2**31, 4), "raw", 4), ((0, 4, 3), "raw", 3), ((60_000, 60_000, 3), "raw", 3), (None, "png", 4)],
)
def test_a_format_that_no_images_have_is_refused(shape, encoding, channels):
    with pytest.raises(DataError):
        RecordFormat(shape, encoding, channels)
