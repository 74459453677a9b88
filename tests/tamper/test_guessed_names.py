"""Guessed file names: whoever knows all of them, but neither image nor key, learns nothing from what is published."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Iterator

import pytest

import lpe
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.sources import open_source
from lpe.transforms import labels
from tests.tamper import editing
from tests.tamper.owner import CLASSES, KEYSET, Owner, write_images

TRAIN = 60


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Owner:
    """Who encrypts a folder with hidden labels, at once and by way of an ingested dataset."""
    owner = Owner(tmp_path_factory.mktemp("guesses") / "tree")
    lpe.KeyStore(owner.keystore).create(KEYSET)
    source = write_images(owner.root / "images" / "shapes", TRAIN, 6)
    owner.encrypt(source, "at once", hide_labels=True)
    plain = owner.ingest(source, "plain").dataset.directory
    owner.encrypt(f"dataset:{plain}", "ingested", hide_labels=True)
    return owner


def names(owner: Owner, kind: str) -> dict[str, str]:
    """The truth: by the id of each training image, its file's name."""
    pixels = {}
    with open_source(f"folder:{owner.root / 'images' / 'shapes'}", lpe.ReadOptions()) as source:
        source.arrange(bytes(32))
        for batch in source.slice("train", range(TRAIN)).batches(TRAIN, lambda bad: pytest.fail(str(bad))):
            pixels |= {image.tobytes(): name for name, image in zip(batch.names, batch.images, strict=True)}
    owner_back = f"back of {kind}"
    if not owner.version(owner_back).exists():
        owner.decrypt(kind, owner_back)
    shards = editing.read(owner.version(owner_back)).shards["train"]
    return {e.id: pixels[e.image.tobytes()] for examples in shards for e in examples}


def guessed_orders(owner: Owner) -> Iterator[tuple[str, list[str]]]:
    """Every order that can be computed from names and all that is published, without the images and the key."""
    guesses = [f"train/{c}/{c}-{n:04d}.png" for n in range(TRAIN) for c in (CLASSES[n % len(CLASSES)],)]
    yield "as they are named", sorted(guesses)
    yield "sha256 of the path", sorted(guesses, key=lambda n: hashlib.sha256(n.encode()).digest())
    manifests = [
        json.loads((owner.version(k) / "encryption.json").read_bytes()) for k in ("at once", "ingested")
    ]
    published = {
        text for manifest in manifests for text in (manifest["job"], manifest["origin"], manifest["salt"])
    }
    # The digest that the folder would have, if its files were empty: contents are not known.
    empty = hashlib.sha256()
    for name in sorted(guesses):
        empty.update(f"{name}\0{hashlib.sha256(b'').hexdigest()}\n".encode())
    for digest in (*published, "", empty.hexdigest()):
        secrets = {
            "the order's label": hashlib.sha256(labels.unkeyed_order(digest)).digest(),
            "the keyed label": hashlib.sha256(labels.keyed_order(digest)).digest(),
            "itself": hashlib.sha256(digest.encode()).digest(),
            "raw": bytes.fromhex(digest),
        }
        for how, secret in secrets.items():
            yield f"{how} of {digest[:8]}", by_hash(guesses, secret)


def by_hash(names: list[str], secret: bytes) -> list[str]:
    """Names in the order that a folder has under a secret."""
    return sorted(names, key=lambda n: hashlib.blake2b(n.encode(), key=secret, digest_size=16).digest())


@pytest.mark.parametrize("kind", ["at once", "ingested"])
def test_no_order_of_guessed_names_tells_which_image_is_whose(owner, kind):
    truth = [name for _, name in sorted(names(owner, kind).items())]
    assert len(truth) == TRAIN
    for how, order in guessed_orders(owner):
        assert sorted(order) == sorted(truth)
        right = sum(a == b for a, b in zip(order, truth, strict=True))
        # One name in its place is expected of a random order; nine or more come once in a million.
        assert right < 9, f"{right} of {TRAIN} names by {how}"
        classes = sum(a.split("/")[1] == b.split("/")[1] for a, b in zip(order, truth, strict=True))
        # A third is expected: 20, with a standard deviation of 3.7.
        assert classes < 20 + 6 * 3.7, f"{classes} of {TRAIN} classes by {how}"


def test_the_attack_finds_everything_with_the_right_secret(owner):
    """The test above can fail: who has the key, or for ingested data every image, computes the order."""
    with open_source(f"folder:{owner.root / 'images' / 'shapes'}", lpe.ReadOptions()) as source:
        digest = source.digest()
    for kind, secret in (
        ("at once", owner.key.open().order_secret(digest)),
        ("ingested", hashlib.sha256(labels.unkeyed_order(digest)).digest()),
    ):
        truth = [name for _, name in sorted(names(owner, kind).items())]
        assert by_hash(truth, secret) == truth


def published(owner: Owner, kind: str) -> str:
    """All that a trainer receives but the ciphertext, as text: metadata, names of files, what was hidden."""
    version = owner.version(kind)
    parts = [path.name for path in version.iterdir()]
    parts += [p.read_text() for p in version.iterdir() if ".tfrecord" not in p.name]
    manifest = json.loads((version / "encryption.json").read_bytes())
    parts += [base64.b64decode(manifest[field]).hex() for field in ("source", "sealed_class_names")]
    return "\n".join(parts)


@pytest.mark.parametrize("kind", ["at once", "ingested"])
def test_nothing_published_confirms_a_guess_at_every_image(owner, kind, caplog):
    """An adversary who has the very folder computes every digest that needs no key: none of them is published."""
    folder = owner.root / "images" / "shapes"
    with open_source(f"folder:{folder}", lpe.ReadOptions()) as source:
        content = source.digest()
    plain = open_dataset(str(owner.home("plain")))
    manifest = json.loads((owner.version("plain") / "manifest.json").read_bytes())
    digests = {content, plain.digest(), plain.origin, manifest["job"], manifest["source_digest"]}
    digests |= {shard["sha256"] for part in manifest["shards"].values() for shard in part}
    digests |= {shard["crc32c"] for part in manifest["shards"].values() for shard in part}
    digests |= {hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.png")}
    digests |= {hashlib.sha256(digest.encode()).hexdigest() for digest in {*digests}}
    for digest, make in itertools.product({content, plain.digest()}, KEYLESS):
        digests.add(make(digest))
    text = published(owner, kind)
    assert not [digest for digest in digests if digest in text or digest[:12] in text.replace(digest, "")]
    assert not [c for c in (*CLASSES, ".png") if c in text]
    # Nor do two encryptions of one folder say that they are of one folder.
    kinds = ("at once", "ingested")
    first, second = (json.loads((owner.version(k) / "encryption.json").read_bytes()) for k in kinds)
    for field in ("job", "salt", "source", "sealed_class_names"):
        assert first[field] != second[field]


KEYLESS: tuple[Callable[[str], str], ...] = (
    lambda digest: hashlib.sha256(labels.job(digest)).hexdigest(),
    lambda digest: hashlib.sha256(labels.origin(digest)).hexdigest(),
    lambda digest: hashlib.sha256(labels.unkeyed_order(digest)).hexdigest(),
    lambda digest: hashlib.sha256(labels.keyed_order(digest)).hexdigest(),
)
"""What is made of a digest, if its key were none."""


@pytest.mark.parametrize("other", ["another key", "another image"])
def test_what_is_published_depends_on_key_and_images(owner, other, tmp_path):
    """With all else equal, one image or the key changes every published field that could confirm a guess."""
    them = Owner(tmp_path / "tree")
    lpe.KeyStore(them.keystore).create(KEYSET)
    source = write_images(them.root / "images" / "shapes", TRAIN, 6)
    if other == "another image":
        them = Owner(owner.root.parent / "same key")
        them.home("x").parent.mkdir(parents=True, exist_ok=True)
        key, read = owner.key, lpe.ReadSpec(source)
        first = next((tmp_path / "tree" / "images" / "shapes" / "train" / "cat").iterdir())
        first.write_bytes(
            next((tmp_path / "tree" / "images" / "shapes" / "train" / "dog").iterdir()).read_bytes()
        )
    else:
        key, read = them.key, lpe.ReadSpec(source)
    job = lpe.JobSpec(read, str(tmp_path / "enc" / "shapes"))
    theirs = lpe.encrypt(job, lpe.CipherChoice("cpbe-100", hide_labels=True), key).dataset
    ours = open_dataset(str(owner.home("at once")))
    for field in ("job", "origin", "salt", "source", "sealed_class_names"):
        assert theirs.encryption[field] != ours.encryption[field], field


def test_work_directory_and_log_tell_no_name(owner, tmp_path, caplog):
    """What lies in a home while a job works, and what it logs, where the home is a bucket that others read."""
    caplog.set_level(logging.DEBUG, "lpe")
    source = f"folder:{owner.root / 'images' / 'shapes'}"
    with open_source(source, lpe.ReadOptions()) as opened:
        digest = opened.digest()
    seen: list[str] = []
    home = tmp_path / "shapes"
    job = lpe.JobSpec(
        lpe.ReadSpec(source),
        str(home),
        progress=lambda done, total: seen.extend(
            f"{p.relative_to(home)} {p.read_text(errors='replace') if p.suffix == '.json' else ''}"
            for p in home.rglob("*")
            if p.is_file()
        ),
    )
    lpe.encrypt(job, lpe.CipherChoice("cpbe-100", hide_labels=True), owner.key)
    text = "\n".join([*seen, *(record.getMessage() for record in caplog.records if record.name == "lpe")])
    assert seen
    for secret in (*CLASSES, ".png", digest, digest[:12]):
        assert secret not in text
