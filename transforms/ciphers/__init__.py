"""Learnable image encryption schemes behind one interface; needs NumPy alone.

    from lpe.transforms import ciphers
    cipher = ciphers.create("lpe-100", secret=secret, image_shape=(32, 32, 3))
    ciphertext = cipher.encrypt(images)      # uint8 [N,H,W,C] -> uint8 [N,H,W,C]
    assert (cipher.decrypt(ciphertext) == images).all()

    scheme      paper's reference                      parameters (default first)
    lpe-50/100  the proposed scheme, eqs 1 to 4        chain: raster, row; channels: shared, independent
    cpbe-50/100 Ahmad & Shin 2022 [6]                  channels: shared, independent
    pbe         Sirichotedumrong et al. 2019 [3]       colour: false, true; pool: 1, 2, 4, 8, 16
    le          Tanaka 2018 [2]
    ele         Madono et al. 2020 [4]
    etc         block scrambling as compared in [4]
    vit-block   none: Qi et al. 2022, for ViT      block: 4, 8, 16; inner: shared, own; signs: true, false
    plain       none: the identity, for baselines

The paper is I. Ahmad and S. Shin's, whose scheme is `lpe`. One module a scheme, with its `Key` (explicit key material)
and its `Cipher`. None of these schemes gives confidentiality; `lpe.transforms.attacks` shows what each gives away.
`register`, or an entry point of the group `lpe.ciphers`, adds one of your own; `conformance.CipherTests` tests it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lpe.transforms.ciphers.base import Cipher
from lpe.transforms.ciphers.registry import names, register, scheme
from lpe.transforms.errors import CipherError, LpeError, did_you_mean
from lpe.transforms.image_shape import ImageShape

__all__ = [
    "Cipher",
    "CipherError",
    "ImageShape",
    "LpeError",
    "create",
    "names",
    "register",
    "resolve_params",
    "scheme",
]


def resolve_params(name: str, params: Mapping[str, str | bool]) -> dict[str, str]:
    """All public parameters of a scheme: those given, and the others' defaults, without `later_params` at theirs.

    Args:
      name: one of `names()`.
      params: some of the scheme's parameters; True and False mean "true" and "false".

    Raises:
      CipherError: an unknown name or parameter, or a value that it does not take.
    """
    made = scheme(name)
    known = made.default_params()
    given = {key: str(value).lower() if isinstance(value, bool) else value for key, value in params.items()}
    for key, value in given.items():
        if key not in known:
            raise CipherError(
                f"{name} has no parameter {key!r}; it has {', '.join(known) or 'none'}{did_you_mean(key, known)}"
            )
        if value not in known[key]:
            hint = did_you_mean(value, known[key])
            raise CipherError(f"{name}: {key} must be {' or '.join(known[key])}, not {value!r}{hint}")
    return {
        key: given.get(key, values[0])
        for key, values in known.items()
        if key not in made.later_params or given.get(key, values[0]) != values[0]
    }


def create(
    name: str,
    *,
    image_shape: ImageShape,
    secret: bytes | None = None,
    key: Any = None,
    secrets: Sequence[bytes] | None = None,
    **params: str | bool,
) -> Cipher:
    """A cipher for images of one shape, from a secret or from explicit key material.

    Args:
      name: one of `names()`.
      image_shape: (H, W, C), each at least 1.
      secret: 32 bytes; one key for all images.
      key: the scheme's own `Key`, instead of a secret.
      secrets: 32 bytes for each image of a batch, instead of one secret (scope `image`, and pools of keys).
      **params: the scheme's public parameters.

    Raises:
      CipherError: an unknown name, a parameter, shape or key that the scheme does not admit.
    """
    scheme_class = scheme(name)
    resolved = resolve_params(name, params)
    if len(list(image_shape)) != 3 or min(image_shape) < 1:
        raise CipherError(f"image_shape must be (H, W, C), all at least 1, not {image_shape}")
    scheme_class.check_shape(image_shape, resolved)
    if sum(given is not None for given in (secret, key, secrets)) != 1:
        raise CipherError("give exactly one of secret, key and secrets")
    if secrets is None and (pool := scheme_class.pool(resolved)) > 1:
        raise CipherError(
            f"{name} shares images out among {pool} keys by their ids, which are not known here; "
            "give secrets, one for each image"
        )
    if key is not None:
        keys = [key]
    else:
        keys = scheme_class.derive_keys(
            [secret] if secret is not None else list(secrets or ()), image_shape, resolved
        )
    return scheme_class(name, image_shape, resolved, keys)
