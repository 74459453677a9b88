"""A choice of cipher, applied to the images that a job reads."""

from __future__ import annotations

from typing import Any

from lpe.pipeline.dataset.writer import NewVersion
from lpe.pipeline.encryption.metadata import Encryption, SourceDigests, new_encryption
from lpe.pipeline.jobs.spec import CipherChoice
from lpe.pipeline.jobs.write import read_settings
from lpe.pipeline.keystore import DatasetKey
from lpe.pipeline.records import FileFormat, RecordFormat
from lpe.pipeline.seal import spec as seal
from lpe.pipeline.sources.imagefile import DECODER
from lpe.pipeline.sources.plan import Plan, ReadSpec
from lpe.transforms import ciphers
from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.keyed import CipherSpec, check_scope


def encryption_settings(choice: CipherChoice, key: DatasetKey, read: ReadSpec) -> dict[str, Any]:
    """The settings of an encryption that are part of a job's identity.

    Raises:
      CipherError: unknown ones.
      UsageError: a scope that the cipher does not go with.
    """
    params = ciphers.resolve_params(choice.name, choice.params)
    check_scope(choice.name, params, choice.scope)
    # Another decoder may give other pixels, which must not meet the same image's key.
    decoder = {"decoder": DECODER} if choice.scope == "image" else {}
    return {
        **decoder,
        "cipher": choice.name,
        "params": params,
        "scope": choice.scope,
        "hide_labels": choice.hide_labels,
        "seal": choice.seal,
        "key": [key.name, key.id],
        "keep_ids": read.keep_ids,
        **read_settings(read),
    }


def chosen_encryption(
    choice: CipherChoice,
    key: DatasetKey,
    version: NewVersion,
    class_names: tuple[str, ...],
    sealed_shape: ImageShape | None,
    source: SourceDigests,
) -> Encryption:
    """Describes the encryption of a version that is about to be written, under a salt of its own.

    Args:
      choice: the cipher and what else was asked for.
      key: the key to encrypt under.
      version: the version.
      class_names: the true ones.
      sealed_shape: see `stored_format`.
      source: digests of what the images are made from.
    """
    salt = key.dataset_salt(version.version, version.identity.job)
    params = ciphers.resolve_params(choice.name, choice.params)
    spec = CipherSpec(choice.name, salt, choice.scope, params)
    return new_encryption(key, spec, class_names if choice.hide_labels else None, sealed_shape, source)


def published_class_names(class_names: tuple[str, ...], choice: CipherChoice) -> tuple[str, ...]:
    """The class names of the encrypted dataset: the true ones, or numbers if they are to be hidden."""
    return tuple(str(i) for i in range(len(class_names))) if choice.hide_labels else class_names


def stored_format(
    plan: Plan, choice: CipherChoice, file_format: FileFormat
) -> tuple[RecordFormat, ImageShape | None]:
    """How encrypted images are stored, in files of a kind; and their shape within the seal, None without one.

    Raises:
      CipherError: the images' shape does not go with the cipher.
      UsageError: images of many shapes cannot be sealed.
    """
    if plan.image_shape is not None:
        params = ciphers.resolve_params(choice.name, choice.params)
        ciphers.scheme(choice.name).check_shape(plan.image_shape, params)
    if not choice.seal:
        return plan.output_format(file_format), None
    if plan.image_shape is None:
        raise UsageError("--seal needs images of one shape; ingest them with --image-size HEIGHTxWIDTH")
    stored = seal.sealed_shape(plan.image_shape)
    return RecordFormat(stored, "raw", stored[2], file_format=file_format), plan.image_shape
