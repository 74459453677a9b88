"""The labels' bytes are part of the format: every row of the table at the head of `labels`, word for word."""

from __future__ import annotations

import hashlib
import inspect
import re

import numpy as np
import pytest

from lpe.transforms import labels
from lpe.transforms.augment import Augmentation
from lpe.transforms.batch import ImageBatch

ROWS = re.findall(r"^ {4}(lpe/v[12]\S*)  +(\S.*)$", labels.__doc__ or "", re.MULTILINE)

# Row of the table, the label that a function gives, what the row says of the same values.
KNOWN = [
    (
        "lpe/v1|CIPHER|PARAMETERS|SALT|HxWxC[|IMAGE-ID]",
        labels.cipher_secret("lpe-100", {"channels": "shared", "chain": "row"}, "5a17", (32, 24, 3)),
        b"lpe/v1|lpe-100|chain=row,channels=shared|5a17|32x24x3",
    ),
    (
        "lpe/v1|CIPHER|PARAMETERS|SALT|HxWxC[|IMAGE-ID]",
        labels.cipher_secret("le", {}, "5a17", (4, 8, 1), "train-0000042"),
        b"lpe/v1|le||5a17|4x8x1|train-0000042",
    ),
    (
        "lpe/v2|pool|CIPHER|PARAMETERS|SALT|HxWxC|INDEX",
        labels.pool_secret("pbe", {"pool": "8", "colour": "false"}, "5a17", (4, 8, 3), 7),
        b"lpe/v2|pool|pbe|colour=false,pool=8|5a17|4x8x3|7",
    ),
    ("lpe/v2|pooled|SALT|IMAGE-ID", labels.pool_index("5a17", "Zoë"), b"lpe/v2|pooled|5a17|Zo\xc3\xab"),
    ("lpe/v1/FIELD/COUNTER", f"{labels.key_field('mu')}0".encode(), b"lpe/v1/mu/0"),
    ("lpe/v1|check|SALT", labels.key_check("5a17"), b"lpe/v1|check|5a17"),
    ("lpe/v1|labels|SALT", labels.label_order("5a17"), b"lpe/v1|labels|5a17"),
    ("lpe/v1|data-key|SALT", labels.data_key("5a17"), b"lpe/v1|data-key|5a17"),
    ("lpe/v1|data-key-check|SALT", labels.data_key_check("5a17"), b"lpe/v1|data-key-check|5a17"),
    ("lpe/v1|seal|SALT", labels.class_names_key("5a17"), b"lpe/v1|seal|5a17"),
    ("lpe/v1/seal", labels.HIDDEN_CLASS_NAMES, b"lpe/v1/seal"),
    (
        "lpe/v1/sealed|SALT|IMAGE-ID",
        labels.sealed_image_of_format_1("5a17", "Zoë"),
        b"lpe/v1/sealed|5a17|Zo\xc3\xab",
    ),
    (
        "lpe/v2/sealed|SALT|LABEL|IMAGE-ID",
        labels.sealed_image("5a17", "Zoë", 3),
        b"lpe/v2/sealed|5a17|3|Zo\xc3\xab",
    ),
    (
        "lpe/v2/keyset/NAME|KEK-URI",
        labels.keyset("patients", "kek.json"),
        b"lpe/v2/keyset/patients|kek.json",
    ),
    ("lpe/v1/keyset/NAME", labels.unbound_keyset("patients"), b"lpe/v1/keyset/patients"),
    ("lpe/v1/log/NAME", labels.audit_log("patients"), b"lpe/v1/log/patients"),
    ("lpe/v2|job|FINGERPRINT", labels.job("f1"), b"lpe/v2|job|f1"),
    ("lpe/v2|salt|VERSION|JOB", labels.dataset_salt("1.0.0", "a0b"), b"lpe/v2|salt|1.0.0|a0b"),
    ("lpe/v2|origin|DIGEST", labels.origin("d19e57"), b"lpe/v2|origin|d19e57"),
    ("lpe/v2|order|DIGEST", labels.keyed_order("d19e57"), b"lpe/v2|order|d19e57"),
    ("lpe/v2/order|DIGEST", labels.unkeyed_order("d19e57"), b"lpe/v2/order|d19e57"),
    ("lpe/v2/source", labels.HIDDEN_SOURCE, b"lpe/v2/source"),
    ("lpe/v2/names|JOB", labels.hidden_names("a0b"), b"lpe/v2/names|a0b"),
    (
        "lpe/v2/names|JOB|SPLIT|SHARD",
        labels.hidden_names_of_shard("a0b", "train", 3),
        b"lpe/v2/names|a0b|train|3",
    ),
    ("lpe/v2|mac|SALT", labels.dataset_mac("5a17"), b"lpe/v2|mac|5a17"),
    ("lpe/v2|data-key-mac|SALT", labels.data_key_mac("5a17"), b"lpe/v2|data-key-mac|5a17"),
    ("lpe/v2/receipt|", labels.RECEIPT, b"lpe/v2/receipt|"),
    (
        "lpe/v1/augment|SEED|COPY|IMAGE-ID",
        labels.augmented_copy(7, 2, "train-0000042"),
        b"lpe/v1/augment|7|2|train-0000042",
    ),
    ("lpe/v2|noise", labels.NOISE_SECRET, b"lpe/v2|noise"),
    ("lpe/v2/noise", labels.HIDDEN_NOISE_SECRET, b"lpe/v2/noise"),
    (
        "lpe/v2/noise|REDUCTION|HxWxC|SHA-256",
        labels.noise("noise=32", (4, 6, 3), b"\x07"),
        b"lpe/v2/noise|noise=32|4x6x3|\x07",
    ),
    ("lpe/v2/encoder|DIGEST", labels.hidden_encoder("d19e57"), b"lpe/v2/encoder|d19e57"),
    ("lpe/v2|offer|SALT", labels.offer_key("5a17"), b"lpe/v2|offer|5a17"),
    ("lpe/v2|model-key|SALT", labels.model_key("5a17"), b"lpe/v2|model-key|5a17"),
    ("lpe/v2/release|SHA-256", labels.released_data_key("d19e57"), b"lpe/v2/release|d19e57"),
    ("lpe/v2/model|SHA-256", labels.sealed_model("d19e57"), b"lpe/v2/model|d19e57"),
]


@pytest.mark.parametrize(("row", "label", "expected"), KNOWN)
def test_a_label_has_the_bytes_of_its_row(row, label, expected):
    assert label == expected
    assert row in {label for label, _ in ROWS}


def test_the_table_is_complete():
    assert [label for label, _ in ROWS] == list(dict.fromkeys(row for row, _, _ in KNOWN))
    functions = [value for _, value in inspect.getmembers(labels, inspect.isfunction)]
    constants = [name for name in vars(labels) if name.isupper()]
    assert len(functions) + len(constants) == len(ROWS)


def test_the_order_of_parameters_does_not_matter():
    one = labels.cipher_secret("lpe-100", {"a": "1", "b": "2"}, "5a17", (4, 4, 3))
    assert one == labels.cipher_secret("lpe-100", {"b": "2", "a": "1"}, "5a17", (4, 4, 3))


def test_labels_of_one_salt_are_all_different():
    made = [label for _, label, _ in KNOWN]
    assert len(set(made)) == len(made)


def test_an_augmented_copy_is_drawn_from_its_label():
    """BLAKE2b of the label, 24 bytes: rows, columns and flip, 8 bytes little-endian each."""
    image = np.random.default_rng(0).integers(1, 256, (8, 8, 3), np.uint8)
    augmentation = Augmentation(("crop", "flip"), 3, seed=7)
    made = augmentation.apply(ImageBatch(["train-0000042"], image[None], np.zeros(1, np.int64)), 2).images[0]
    digest = hashlib.blake2b(b"lpe/v1/augment|7|2|train-0000042", digest_size=24).digest()
    down, right, flip = (int.from_bytes(digest[i : i + 8], "little") for i in (0, 8, 16))
    window = np.pad(image, ((4, 4), (4, 4), (0, 0)))[down % 9 :, right % 9 :][:8, :8]
    assert (made == (window[:, ::-1] if flip % 2 else window)).all()
