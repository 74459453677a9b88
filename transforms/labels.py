"""Domain-separation labels: every context under which `lpe` derives, checks, seals or hashes something.

A label keeps what is computed for one purpose apart from what is computed for another under the same key. Their
bytes are part of the format: another implementation needs this table, and a change makes old data unreadable.

    label                                              used as
    lpe/v1|CIPHER|PARAMETERS|SALT|HxWxC[|IMAGE-ID]     PRF context of a cipher's secret
    lpe/v2|pool|CIPHER|PARAMETERS|SALT|HxWxC|INDEX     PRF context of the secret of one of a pool of keys
    lpe/v2|pooled|SALT|IMAGE-ID                        PRF context of which key of the pool an image has
    lpe/v1/FIELD/COUNTER                               HKDF-Expand info of a field of key material
    lpe/v1|check|SALT                                  PRF context of a key's check value
    lpe/v1|labels|SALT                                 PRF context of the order of hidden classes
    lpe/v1|data-key|SALT                               PRF context of a dataset's data key
    lpe/v1|data-key-check|SALT                         HMAC message of a data key's check value
    lpe/v1|seal|SALT                                   PRF context of the AES-SIV key that hides class names
    lpe/v1/seal                                        associated data of hidden class names
    lpe/v1/sealed|SALT|IMAGE-ID                        associated data of a sealed image, format 1
    lpe/v2/sealed|SALT|LABEL|IMAGE-ID                  associated data of a sealed image
    lpe/v2/keyset/NAME|KEK-URI                         associated data of a wrapped keyset
    lpe/v1/keyset/NAME                                 the same, where the metadata is of format version 1
    lpe/v1/log/NAME                                    SHA-256 preimage that starts a keyset's audit log
    lpe/v2|job|FINGERPRINT                             PRF context of an encrypting job's public fingerprint
    lpe/v2|salt|VERSION|JOB                            PRF context of a dataset's salt
    lpe/v2|origin|DIGEST                               PRF context of what stands for a dataset's first source
    lpe/v2|order|DIGEST                                PRF context of the order of a folder's files
    lpe/v2/order|DIGEST                                SHA-256 preimage of that order where there is no key
    lpe/v2/source                                      associated data of the hidden digests of a dataset's source
    lpe/v2/names|JOB                                   associated data of the hidden names of a dataset's images
    lpe/v2/names|JOB|SPLIT|SHARD                       the same, of one shard
    lpe/v2|mac|SALT                                    PRF context of the key of a dataset's MAC
    lpe/v2|data-key-mac|SALT                           HMAC message: the key of the MAC under a data key
    lpe/v2/receipt|                                    start of the MAC's message for a finished shard's receipt
    lpe/v1/augment|SEED|COPY|IMAGE-ID                  BLAKE2b preimage of an augmented copy's random numbers
    lpe/v2|noise                                       PRF context of the secret that noise is drawn from
    lpe/v2/noise                                       associated data of that secret, hidden under a dataset's key
    lpe/v2/noise|REDUCTION|HxWxC|SHA-256               SHAKE-256 message, after that secret: an image's noise
    lpe/v2/encoder|DIGEST                              associated data of an encoder that is hidden in the key store
    lpe/v2|offer|SALT                                  PRF context of the key of the MACs of offers of a data key
    lpe/v2|model-key|SALT                              PRF context of the private key that opens an owner's models
    lpe/v2/release|SHA-256                             HPKE info of a released data key, after its offer's SHA-256
    lpe/v2/model|SHA-256                               HPKE info of a sealed model, after its header's SHA-256

A salt of format 1 has 32 hex digits, one of format 2 has 64. What a dataset's key computes is bound to the salt, so
no dataset of one format can be passed off as one of the other. An encoder is many datasets' and is hidden under the
word `encoders` in place of a salt. PARAMETERS are sorted and joined by commas,
`name=value`; texts are UTF-8, numbers decimal.
"""

from __future__ import annotations

from collections.abc import Mapping

from lpe.transforms.image_shape import ImageShape

HIDDEN_CLASS_NAMES = b"lpe/v1/seal"
"""Associated data of class names that are hidden under a dataset's key (AES-SIV)."""
HIDDEN_SOURCE = b"lpe/v2/source"
"""Associated data of the digests of a dataset's source that are hidden under its key (AES-SIV)."""
NOISE_SECRET = b"lpe/v2|noise"
"""The PRF context of the secret that noise is drawn from."""
HIDDEN_NOISE_SECRET = b"lpe/v2/noise"
"""Associated data of that secret, hidden under a dataset's key (AES-SIV)."""
RECEIPT = b"lpe/v2/receipt|"
"""Start of the message of a MAC when it is of a finished shard's receipt; when of a manifest, that starts with `{`."""


def cipher_secret(
    cipher: str,
    params: Mapping[str, str],
    salt: str,
    image_shape: ImageShape,
    image_id: str | None = None,
) -> bytes:
    """The PRF context of a cipher's secret, for a dataset, or for one image where `image_id` is given.

    Args:
      cipher: the scheme's name, e.g. `lpe-100`.
      params: all of its public parameters, in any order.
      salt: the dataset's salt, without `|`.
      image_shape: (H, W, C).
      image_id: the image's id, with key scope `image`.
    """
    settings = ",".join(f"{name}={value}" for name, value in sorted(params.items()))
    parts = ["lpe/v1", cipher, settings, salt, "x".join(map(str, image_shape))]
    if image_id is not None:
        parts.append(image_id)
    return "|".join(parts).encode()


def pool_secret(
    cipher: str, params: Mapping[str, str], salt: str, image_shape: ImageShape, index: int
) -> bytes:
    """The PRF context of the secret of key `index` of a dataset's pool; the other arguments as of `cipher_secret`."""
    shared = cipher_secret(cipher, params, salt, image_shape).removeprefix(b"lpe/v1|")
    return b"lpe/v2|pool|" + shared + f"|{index}".encode()


def pool_index(salt: str, image_id: str) -> bytes:
    """The PRF context of which key of the dataset's pool an image has."""
    return f"lpe/v2|pooled|{salt}|{image_id}".encode()


def key_field(field: str) -> str:
    """The HKDF info of a field of key material, to be followed by a decimal counter."""
    return f"lpe/v1/{field}/"


def key_check(salt: str) -> bytes:
    """The PRF context of a key's check value for the dataset with this salt."""
    return f"lpe/v1|check|{salt}".encode()


def label_order(salt: str) -> bytes:
    """The PRF context of the order of a dataset's hidden classes."""
    return f"lpe/v1|labels|{salt}".encode()


def data_key(salt: str) -> bytes:
    """The PRF context of the data key that seals a dataset."""
    return f"lpe/v1|data-key|{salt}".encode()


def data_key_check(salt: str) -> bytes:
    """The HMAC message of a data key's check value."""
    return f"lpe/v1|data-key-check|{salt}".encode()


def class_names_key(salt: str) -> bytes:
    """The PRF context of the AES-SIV key that hides a dataset's class names."""
    return f"lpe/v1|seal|{salt}".encode()


def sealed_image(salt: str, image_id: str, label: int) -> bytes:
    """The associated data of a sealed image."""
    return f"lpe/v2/sealed|{salt}|{label}|{image_id}".encode()


def sealed_image_of_format_1(salt: str, image_id: str) -> bytes:
    """The associated data of a sealed image in a dataset of format 1, where its label is not bound."""
    return f"lpe/v1/sealed|{salt}|{image_id}".encode()


def keyset(name: str, kek: str) -> bytes:
    """The associated data of a wrapped keyset.

    Args:
      name: the keyset's, without `|`.
      kek: the URI of its key-encryption key, as its metadata records it.
    """
    return f"lpe/v2/keyset/{name}|{kek}".encode()


def unbound_keyset(name: str) -> bytes:
    """The associated data of a wrapped keyset whose metadata is of format version 1."""
    return f"lpe/v1/keyset/{name}".encode()


def audit_log(name: str) -> bytes:
    """The SHA-256 preimage that a keyset's audit log starts from."""
    return f"lpe/v1/log/{name}".encode()


def job(fingerprint: str) -> bytes:
    """The PRF context of the public fingerprint of a job that encrypts."""
    return f"lpe/v2|job|{fingerprint}".encode()


def dataset_salt(version: str, job: str) -> bytes:
    """The PRF context of the salt of a dataset version that a job writes."""
    return f"lpe/v2|salt|{version}|{job}".encode()


def origin(digest: str) -> bytes:
    """The PRF context of what stands, in public, for the source with this digest."""
    return f"lpe/v2|origin|{digest}".encode()


def keyed_order(digest: str) -> bytes:
    """The PRF context of the order of the files of a folder with this digest."""
    return f"lpe/v2|order|{digest}".encode()


def unkeyed_order(digest: str) -> bytes:
    """The SHA-256 preimage of the order of the files of a folder with this digest, where there is no key."""
    return f"lpe/v2/order|{digest}".encode()


def hidden_names(job: str) -> bytes:
    """Associated data of the hidden map of ids to original names of the version that a job writes (AES-SIV)."""
    return f"lpe/v2/names|{job}".encode()


def hidden_names_of_shard(job: str, split: str, index: int) -> bytes:
    """Associated data of that map for one shard, while the version is being written."""
    return f"lpe/v2/names|{job}|{split}|{index}".encode()


def dataset_mac(salt: str) -> bytes:
    """The PRF context of the key of a dataset's MAC."""
    return f"lpe/v2|mac|{salt}".encode()


def data_key_mac(salt: str) -> bytes:
    """The HMAC message from which a data key makes the key of its MAC."""
    return f"lpe/v2|data-key-mac|{salt}".encode()


def augmented_copy(seed: int, copy: int, image_id: str) -> bytes:
    """The BLAKE2b preimage of the random numbers of an image's augmented copy."""
    return f"lpe/v1/augment|{seed}|{copy}|{image_id}".encode()


def noise(reduction: str, image_shape: tuple[int, ...], digest: bytes) -> bytes:
    """The SHAKE-256 message, after the secret, of an image's noise.

    Args:
      reduction: the reduction, as it is written in a chain.
      image_shape: (H, W, C).
      digest: SHA-256 of the image's bytes.
    """
    return f"lpe/v2/noise|{reduction}|{'x'.join(map(str, image_shape))}|".encode() + digest


def hidden_encoder(digest: str) -> bytes:
    """Associated data of the encoder with this digest, hidden under the key of the datasets that it made (AES-SIV)."""
    return f"lpe/v2/encoder|{digest}".encode()


def offer_key(salt: str) -> bytes:
    """The PRF context of the key of the MACs of offers of a dataset's data key."""
    return f"lpe/v2|offer|{salt}".encode()


def model_key(salt: str) -> bytes:
    """The PRF context of the private key that opens the models which a program trained on a dataset."""
    return f"lpe/v2|model-key|{salt}".encode()


def released_data_key(offer: str) -> bytes:
    """The HPKE info of a released data key; `offer` is SHA-256 (hex) of the offer that it answers."""
    return f"lpe/v2/release|{offer}".encode()


def sealed_model(digest: str) -> bytes:
    """The HPKE info of a model that is encrypted to its owner; `digest` is SHA-256 (hex) of what stands before it."""
    return f"lpe/v2/model|{digest}".encode()
