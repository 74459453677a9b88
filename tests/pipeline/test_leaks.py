"""Key bytes are in no pipeline graph, output, log, message or exception; planted leaks are found."""

from __future__ import annotations

import base64
import bz2
import hmac
import logging
import pickle
import zlib
from multiprocessing.connection import Connection
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.keystore import DatasetKey, KeyRef, KeyStore
from lpe.pipeline.seal.data_key import DataKey
from lpe.transforms import labels
from lpe.transforms.dofns import EncryptImages, Example
from lpe.transforms.keyed import CipherSpec
from tests.secret_bytes import found, kek_key, prf_keys
from tests.tamper.owner import write_images

SPEC = CipherSpec("lpe-100", salt="leaks/1")
EXAMPLES = [Example(f"x{i}", np.full((4, 4, 3), i, np.uint8), i) for i in range(3)]


def secrets(keystore: str) -> list[bytes]:
    """All that must not leak: PRF keys, the KEK, and what ciphers are made from."""
    store = KeyStore(keystore)
    derived = [store.open("patients").compute(SPEC.context((4, 4, 3)), 32)]
    return [*prf_keys(keystore, "patients").values(), kek_key(keystore), *derived]


_BY_BEAM = ("--runner=DirectRunner",)


@pytest.fixture
def graphs(monkeypatch) -> list[bytes]:
    """The proto of every pipeline that runs, with its options, and all that other processes are sent."""
    taken: list[bytes] = []
    run = beam.Pipeline.run

    def recorded(self, *args, **kwargs):
        proto = self.to_runner_api(use_fake_coders=True)
        taken.append(proto.SerializeToString() + repr(self._options.get_all_options()).encode())
        return run(self, *args, **kwargs)

    send = Connection.send

    def sent(self, value):
        taken.append(pickle.dumps(value))
        send(self, value)

    monkeypatch.setattr(beam.Pipeline, "run", recorded)
    monkeypatch.setattr(Connection, "send", sent)
    return taken


SECRET_LABELS = (
    "lpe/v2|mac|",
    "lpe/v1|seal|",
    "lpe/v1|labels|",
    "lpe/v2|order|",
    "lpe/v1|lpe-100|",
    "lpe/v1|data-key|",
)
"""What the PRF contexts begin with whose values are secret, see `lpe.transforms.labels`; all others are published."""


@pytest.fixture
def derived(monkeypatch) -> dict[str, set[bytes]]:
    """What is computed of keys while jobs run, the keys of MACs too, by the label; of each a few."""
    taken: dict[str, set[bytes]] = {label: set() for label in SECRET_LABELS}
    compute, mac = DatasetKey.compute, DataKey.mac

    def computed(self, context, length):
        value = compute(self, context, length)
        for label, values in taken.items():
            if context.decode().startswith(label) and len(values) < 5:
                values.add(value)
        return value

    def of_data_key(self, message):
        for secret in tuple(taken["lpe/v1|data-key|"]):
            taken["lpe/v2|mac|"].add(hmac.digest(secret, labels.data_key_mac(self.salt), "sha256"))
        return mac(self, message)

    monkeypatch.setattr(DatasetKey, "compute", computed)
    monkeypatch.setattr(DataKey, "mac", of_data_key)
    return taken


@pytest.mark.parametrize(
    ("scope", "where"), [("dataset", _BY_BEAM), ("image", _BY_BEAM), ("dataset", ("--workers", "2"))]
)
def test_whole_jobs_leak_nothing(lpe, keystore, tmp_path, graphs, caplog, derived, scope, where):
    caplog.set_level(logging.DEBUG)
    words = ("--keystore", keystore, "--json", "--debug")
    printed = []
    source = write_images(tmp_path / "images", 60)
    for command in (
        ("encrypt", "--source", source, "--output", tmp_path / "enc" / "s", "--key", "patients",
         "--scope", scope, "--hide-labels", "--seal", *where),
        ("decrypt", "--source", f"dataset:{tmp_path}/enc/s", "--output", tmp_path / "back" / "s", *where),
        ("verify", tmp_path / "enc" / "s", "--against", f"dataset:{tmp_path}/back/s", *where),
        ("show", tmp_path / "enc" / "s", "--output", tmp_path / "enc" / "grid.png"),
        ("keys", "rotate", "patients"),
    ):  # fmt: skip
        outcome = lpe(*command, *words)
        assert outcome.code == 0, outcome
        printed.append(outcome.out + outcome.err)
    assert len(graphs) >= 3
    assert all(derived.values()), derived.keys()
    wanted = [*secrets(keystore), *(value for values in derived.values() for value in values)]
    for graph in graphs:
        assert not found(wanted, graph)
    for path in [p for folder in ("enc", "back") for p in (tmp_path / folder).rglob("*") if p.is_file()]:
        assert not found(wanted, path.read_bytes()), path
    assert not found(wanted, "\n".join([*printed, caplog.text]).encode())


def test_failures_leak_nothing(lpe, keystore, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    wanted = secrets(keystore)
    kek = Path(keystore) / "kek.json"
    text = kek.read_text()
    printed = []
    for spoiled in (text[:-30], text.replace('"key"', '"kye"'), text.replace("Aes", "Bes"), "{"):
        kek.write_text(spoiled)
        outcome = lpe("keys", "list", "patients", "--keystore", keystore, "--debug")
        assert outcome.code == 1
        printed.append(outcome.out + outcome.err)
    assert not found(wanted, "\n".join([*printed, caplog.text]).encode())


@pytest.fixture
def sealed(lpe, keystore, tmp_path) -> tuple[Path, bytes]:
    """A sealed dataset's home, and its data key."""
    home = tmp_path / "enc" / "s"
    words = ("--output", home, "--keystore", keystore, "--key", "patients", "--seal")
    assert lpe("encrypt", "--source", "synthetic:70", *words).code == 0
    salt = open_dataset(str(home)).encryption["salt"]
    return home, KeyStore(keystore).open("patients").compute(f"lpe/v1|data-key|{salt}".encode(), 32)


def test_a_data_key_is_in_the_exported_file_alone(lpe, keystore, tmp_path, sealed, graphs, caplog):
    caplog.set_level(logging.DEBUG)
    home, data_key = sealed
    exported, with_keys = tmp_path / "data-key.json", ("--keystore", keystore)
    printed = []
    for command in (
        ("keys", "export", "patients", "--dataset", home, "--output", exported, *with_keys),
        (
            "unseal",
            "--source",
            f"dataset:{home}",
            "--output",
            tmp_path / "open" / "s",
            "--data-key",
            exported,
        ),
        ("decrypt", "--source", f"dataset:{home}", "--output", tmp_path / "back" / "s", *with_keys),
        ("verify", home, "--against", f"dataset:{tmp_path}/back/s", *with_keys),
        ("show", home, "--output", tmp_path / "grid.png", *with_keys),
        ("reencrypt", home, "--cipher", "le", *with_keys),
    ):
        beams = _BY_BEAM if command[0] in ("unseal", "decrypt", "verify", "reencrypt") else ()
        outcome = lpe(*command, *beams, "--json", "--debug")
        assert outcome.code == 0, outcome
        printed.append(outcome.out + outcome.err)
    assert len(graphs) == 4
    wanted = [data_key, *secrets(keystore)]
    for graph in graphs:
        assert not found(wanted, graph)
    leaking = [p for p in tmp_path.rglob("*") if p.is_file() and found([data_key], p.read_bytes())]
    assert leaking == [exported]
    assert not found(secrets(keystore), exported.read_bytes())
    assert not found(wanted, "\n".join([*printed, caplog.text]).encode())


def test_a_spoiled_data_key_is_not_quoted(lpe, keystore, tmp_path, sealed, caplog):
    caplog.set_level(logging.DEBUG)
    home, data_key = sealed
    exported = tmp_path / "data-key.json"
    assert (
        lpe(
            "keys", "export", "patients", "--dataset", home, "--output", exported, "--keystore", keystore
        ).code
        == 0
    )
    text = exported.read_text()
    printed = []
    for spoiled in (text[:-30], text.replace('"key"', '"kye"'), text.replace("AesGcm", "AesEax"), text[1:]):
        exported.write_text(spoiled)
        outcome = lpe(
            "unseal",
            "--source",
            f"dataset:{home}",
            "--output",
            tmp_path / "o" / "s",
            "--data-key",
            exported,
            "--debug",
        )
        assert (outcome.code, "not a data key" in outcome.err) == (1, True)
        printed.append(outcome.out + outcome.err)
    assert not found([data_key], "\n".join([*printed, caplog.text]).encode())


def test_the_per_image_transform_leaks_nothing(keystore, graphs):
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        examples = pipeline | beam.Create(EXAMPLES).with_output_types(Example)
        _ = examples | EncryptImages(SPEC, KeyRef(keystore, "patients"))
    assert len(graphs) == 1
    assert not found(secrets(keystore), graphs[0])


class Holder(beam.DoFn):
    """A DoFn that carries what it should not."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret

    def process(self, element):
        yield self.secret


def pair(element, side):
    return element, side


SECRET = bytes(range(100, 132))


@pytest.mark.parametrize(
    "leak",
    [
        lambda p: p | beam.Create([1]) | beam.ParDo(Holder(SECRET)),
        lambda p: p | beam.Create([1]) | beam.Map(lambda _, kept=bytes(SECRET): kept),
        lambda p: p | beam.Create([SECRET]),
        lambda p: p | beam.Create([1]) | SECRET.hex() >> beam.Map(str),
        lambda p: p | beam.Create([1]) | base64.b64encode(b"x" + SECRET).decode() >> beam.Map(str),
        lambda p: p | beam.Create([1]) | beam.Map(pair, beam.pvalue.AsList(p | "s" >> beam.Create([SECRET]))),
    ],
    ids=["attribute", "argument", "element", "hex label", "base64 label", "side input"],
)  # fmt: skip
def test_planted_leaks_are_found(graphs, leak):
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        leak(pipeline)
    assert found([SECRET], graphs[0])


@pytest.mark.parametrize(
    "wrapped",
    [
        SECRET,
        zlib.compress(SECRET),
        b"abc " + base64.b64encode(bz2.compress(b"...." + SECRET)),
        base64.urlsafe_b64encode(zlib.compress(base64.b64encode(SECRET))),
        b"text " + SECRET.hex().upper().encode(),
    ],
)
def test_wrapped_secrets_are_found(wrapped):
    assert found([SECRET], wrapped)
    assert not found([bytes(32 - i for i in range(32))], wrapped)
