"""The secret bytes of a key store, for tests that look for them where they must not be."""

from __future__ import annotations

import base64
import bz2
import contextlib
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import tink
from tink import (
    aead,
    cleartext_keyset_handle,
    json_proto_keyset_format,
    prf,
    proto_keyset_format,
    secret_key_access,
)
from tink.proto import hkdf_prf_pb2, tink_pb2

_PREFIX = 12


def prf_keys(keystore: str, name: str) -> dict[int, bytes]:
    """The raw PRF keys of a keyset, opened with Tink alone."""
    directory = Path(keystore)
    aead.register()
    prf.register()
    kek = cleartext_keyset_handle.read(tink.JsonKeysetReader((directory / "kek.json").read_text()))
    handle = json_proto_keyset_format.parse_encrypted(
        (directory / f"{name}.json").read_text(),
        kek.primitive(aead.Aead),
        f"lpe/v2/keyset/{name}|kek.json".encode(),
    )
    clear = tink_pb2.Keyset.FromString(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
    return {
        key.key_id: hkdf_prf_pb2.HkdfPrfKey.FromString(key.key_data.value).key_value
        for key in clear.key
        if key.status != tink_pb2.DESTROYED
    }


def kek_key(keystore: str) -> bytes:
    """The serialised key of the local KEK file."""
    value = json.loads((Path(keystore) / "kek.json").read_text())
    return base64.b64decode(value["key"][0]["keyData"]["value"])


def needles(secret: bytes) -> list[bytes]:
    """What a secret may look like: raw, hex, base64 at its three alignments, and a prefix of each."""
    start = secret[:_PREFIX]
    out = [start, start.hex().encode(), start.hex().upper().encode(), repr(start)[2:-1].encode()]
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        inner = text[4 * (shift > 0) : len(text) // 4 * 4 - 4]
        out += [inner[:_PREFIX], inner.replace(b"+", b"-").replace(b"/", b"_")[:_PREFIX]]
    return out


def unwrapped(data: bytes, depth: int = 4) -> Iterator[bytes]:
    """`data`, and whatever is compressed or base64 inside it, recursively."""
    yield data
    if not depth:
        return
    for decompress in (zlib.decompress, bz2.decompress, gzip.decompress):
        with contextlib.suppress(Exception):
            yield from unwrapped(decompress(data), depth - 1)
    for text in re.findall(rb"[A-Za-z0-9+/_-]{24,}={0,2}", data):
        for alphabet in (None, b"-_"):
            for start in range(2):
                with contextlib.suppress(Exception):
                    piece = text[start:]
                    piece = piece[: len(piece) // 4 * 4]
                    inner = base64.b64decode(piece, altchars=alphabet, validate=True)
                    if inner != data:
                        yield from unwrapped(inner, depth - 1)


def found(secrets: Iterable[bytes], data: bytes) -> bool:
    """Whether any of the secrets is anywhere in `data`, in any wrapping."""
    wanted = [needle for secret in secrets for needle in needles(secret)]
    return any(needle in layer for layer in unwrapped(data) for needle in wanted)
