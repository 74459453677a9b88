"""All that jobs staged in a cloud, and what must not be in it: keys and plain pixels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tink import aead, json_proto_keyset_format, prf, proto_keyset_format, secret_key_access
from tink.proto import hkdf_prf_pb2, tink_pb2

from lpe.transforms.keyed import CipherSpec
from tests.pipeline.cloud import KEYS, STAGED, Cloud
from tests.pipeline.running import contents
from tests.plain_pixels import forms, rows
from tests.secret_bytes import needles, unwrapped
from tests.servers.dataflow import Dataflow

SHAPE = (32, 32, 3)


def staged(cloud: Cloud, *services: Dataflow) -> dict[str, bytes]:
    """Every object below the places for staged and temporary files, and every body that was sent, by name."""
    objects = {path: data for place in STAGED for path, data in cloud.bucket.below(place).items()}
    bodies = {
        f"body of {job.body['name']}": json.dumps(job.body).encode()
        for service in services
        for job in service.jobs
    }
    return {**objects, **bodies}


def key_bytes(cloud: Cloud) -> list[bytes]:
    """The key-encryption key, the PRF keys that it wraps, and all secrets that were derived for the datasets."""
    prf.register()
    resource = cloud.kek.removeprefix("gcp-kms://")
    handle = json_proto_keyset_format.parse_encrypted(
        cloud.bucket.read(f"{KEYS}/patients.json").decode(),
        _Kek(cloud.kms.keys[resource]),
        f"lpe/v2/keyset/patients|{cloud.kek}".encode(),
    )
    clear = tink_pb2.Keyset.FromString(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
    keys = [hkdf_prf_pb2.HkdfPrfKey.FromString(key.key_data.value).key_value for key in clear.key]
    functions = handle.primitive(prf.PrfSet).all()
    manifests = [
        json.loads(data)
        for path, data in cloud.bucket.below("gs://bucket/").items()
        if path.endswith("/encryption.json")
    ]
    specs = [(CipherSpec(each["cipher"], each["salt"]), each["key"]["id"]) for each in manifests]
    derived = [functions[key].compute(spec.context(SHAPE), 32) for spec, key in specs]
    assert len(keys) == 2
    assert derived
    return [cloud.kms.keys[resource], *keys, *derived]


class _Kek(aead.Aead):
    """What the key service does with a key, with the key itself."""

    def __init__(self, key: bytes) -> None:
        self._key = AESGCM(key)

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        raise NotImplementedError

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        return self._key.decrypt(ciphertext[:12], ciphertext[12:], associated_data)


def pixels(home: Path) -> list[bytes]:
    """Pixels of every image of a plain dataset."""
    images = (np.frombuffer(data, np.uint8).reshape(SHAPE) for data, _ in contents(home).values())
    return rows(images, each=2)


def leaking(objects: dict[str, bytes], secrets: Sequence[bytes], plain: Sequence[bytes]) -> set[str]:
    """The names of the objects in which there is something of either, in any form and wrapping."""
    search = _Search(
        [form for secret in secrets for form in needles(secret)] + [f for line in plain for f in forms(line)]
    )
    return {name for name, data in objects.items() if any(map(search.finds, unwrapped(data)))}


class _Search:
    """Looks for any of very many byte strings, of 8 bytes at least, by their first 8."""

    def __init__(self, wanted: Sequence[bytes]) -> None:
        self._by_start: dict[int, list[bytes]] = {}
        for each in wanted:
            self._by_start.setdefault(int.from_bytes(each[:8], "little"), []).append(each)
        self._starts = np.array(sorted(self._by_start), np.uint64)

    def finds(self, data: bytes) -> bool:
        """Whether one of them is in `data`."""
        if len(data) < 8:
            return False
        eights = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), 8)
        starts = np.ascontiguousarray(eights).view("<u8")[:, 0]
        at = self._starts.searchsorted(starts).clip(max=len(self._starts) - 1)
        met = {*starts[self._starts[at] == starts].tolist()}
        return any(each in data for start in met for each in self._by_start[start])
