"""A Tink keyset of one key that is made from bytes of ours, without a prefix on what it computes."""

from __future__ import annotations

import tink
from tink import proto_keyset_format, secret_key_access
from tink.proto import tink_pb2


def single_key(key_type: str, message: bytes, kind: int = tink_pb2.KeyData.SYMMETRIC) -> tink.KeysetHandle:
    """The handle of a keyset with one key.

    Args:
      key_type: the name of the key's message in Tink, e.g. `AesGcmKey`.
      message: the key, serialised.
      kind: whether it is symmetric, private or public.
    """
    data = tink_pb2.KeyData(type_url=type_url(key_type), value=message, key_material_type=kind)
    key = tink_pb2.Keyset.Key(
        key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW
    )
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[key]).SerializeToString()
    if kind == tink_pb2.KeyData.ASYMMETRIC_PUBLIC:
        return proto_keyset_format.parse_without_secret(keyset)
    return proto_keyset_format.parse(keyset, secret_key_access.TOKEN)


def type_url(key_type: str) -> str:
    """The full name of a type of key in Tink."""
    return f"type.googleapis.com/google.crypto.tink.{key_type}"
