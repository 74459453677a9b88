"""Encoders of learned reductions: in the folder that their owner fitted them to, and in the key store.

An encoder is a secret like a key. In the key store it lies hidden under the key of the datasets that it made, as
`encoders/KEYSET.KEY.DIGEST.bin`, from before the first of them is published until the key is destroyed.
"""

from __future__ import annotations

from lpe.pipeline import storage
from lpe.pipeline.keystore import DatasetKey
from lpe.pipeline.keystore.encoders_path import encoder_path
from lpe.pipeline.storage.documents import read_bounded
from lpe.transforms import labels
from lpe.transforms.errors import DataError, KeyStoreError
from lpe.transforms.reductions import Chain
from lpe.transforms.reductions.encoder import MOST_BYTES, Encoder
from lpe.transforms.reductions.learned import Learned

ENCODER_FILE = "encoder.bin"
_RESTORE = "restore it from a copy of the key store"
_SALT = "encoders"
"""In place of a dataset's: an encoder is that of many datasets."""
_HIDING_BYTES = 64
"""More than hiding adds."""


def read_encoder(directory: str) -> Encoder:
    """The encoder that `lpe fit-reduction` wrote.

    Raises:
      DataError: there is none, or the file is damaged.
      KeyStoreError: others than its owner may access the file.
    """
    path = storage.join(directory, ENCODER_FILE)
    if not storage.exists(path):
        raise DataError(f"{path}: missing; name the folder that lpe fit-reduction wrote")
    storage.check_private(path)
    content = read_bounded(path, "fit one anew: lpe fit-reduction", most=MOST_BYTES)
    return Encoder.from_bytes(content, path)


def keep_encoders(chain: Chain, key: DatasetKey, keystore: str) -> None:
    """Keeps the encoders of a chain under the key of a dataset that is about to be published; may be called again.

    Args:
      chain: the reductions, opened.
      key: the dataset's.
      keystore: the URI of the key store that the key is of.
    """
    for step in chain.steps:
        if isinstance(step, Learned):
            digest = step.encoder.digest
            path = encoder_path(keystore, key.name, key.id, digest)
            content, context = step.encoder.to_bytes(), labels.hidden_encoder(digest)
            storage.write_atomic(path, key.hide(_SALT, content, context), private=True)


def kept_encoder(digest: str, key: DatasetKey, keystore: str) -> Encoder:
    """An encoder that is kept under a dataset's key.

    Args:
      digest: the encoder's.
      key: the dataset's.
      keystore: the URI of the key store that the key is of.

    Raises:
      KeyStoreError: it is missing, or was changed.
    """
    path = encoder_path(keystore, key.name, key.id, digest)
    if not storage.exists(path):
        raise KeyStoreError(f"{path}: missing, and no image can be reduced without this encoder; {_RESTORE}")
    hidden = read_bounded(path, _RESTORE, KeyStoreError, MOST_BYTES + _HIDING_BYTES)
    try:
        content = key.reveal(_SALT, hidden, labels.hidden_encoder(digest))
        encoder = Encoder.from_bytes(content, path)
    except (KeyStoreError, DataError) as error:
        raise KeyStoreError(f"{path}: not what was written there; {_RESTORE}") from error
    if encoder.digest != digest:
        raise KeyStoreError(f"{path}: another encoder than the dataset names; {_RESTORE}")
    return encoder
