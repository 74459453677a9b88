"""Learnable image encryption schemes behind one interface; needs NumPy alone.

    from transforms import ciphers
    cipher = ciphers.create("lpe-100", secret=secret, image_shape=(32, 32, 3))
    ciphertext = cipher.encrypt(images)      # uint8 [N,H,W,C] -> uint8 [N,H,W,C]
    assert (cipher.decrypt(ciphertext) == images).all()

None of these schemes gives confidentiality; `attacks` shows what each one gives away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lpe.transforms.ciphers import cpbe, ele, etc, le, lpe, pbe, plain
from lpe.transforms.ciphers.base import Cipher, Shape
from lpe.transforms.errors import CipherError, LpeError

__all__ = ["Cipher", "CipherError", "LpeError", "Shape", "create", "names", "resolve_params", "scheme"]

_SCHEMES: dict[str, type[Any]] = {
    "plain": plain.Plain,
    "le": le.Le,
    "ele": ele.Ele,
    "etc": etc.Etc,
    "pbe": pbe.Pbe,
    "cpbe-50": cpbe.Cpbe,
    "cpbe-100": cpbe.Cpbe,
    "lpe-50": lpe.Lpe,
    "lpe-100": lpe.Lpe,
}


def names() -> list[str]:
    """The names that `create` knows."""
    return list(_SCHEMES)


def scheme(name: str) -> type[Cipher]:
    """The class of a scheme. Raises CipherError for an unknown name."""
    if name not in _SCHEMES:
        raise CipherError(f"unknown cipher {name!r}; choose one of {', '.join(_SCHEMES)}")
    return _SCHEMES[name]


def resolve_params(name: str, params: Mapping[str, str | bool]) -> dict[str, str]:
    """All public parameters of scheme `name`: those given, and the others' defaults.

    Raises:
      CipherError: an unknown parameter, or a value that it does not take.
    """
    known = scheme(name).default_params()
    given = {key: str(value).lower() if isinstance(value, bool) else value for key, value in params.items()}
    for key, value in given.items():
        if key not in known:
            raise CipherError(f"{name} has no parameter {key!r}; it has {', '.join(known) or 'none'}")
        if value not in known[key]:
            raise CipherError(f"{name}: {key} must be {' or '.join(known[key])}, not {value!r}")
    return {key: given.get(key, values[0]) for key, values in known.items()}


def create(
    name: str,
    *,
    image_shape: Shape,
    secret: bytes | None = None,
    key: Any = None,
    secrets: Sequence[bytes] | None = None,
    **params: str | bool,
) -> Cipher:
    """A cipher for images of one shape, from a secret or from explicit key material.

    Args:
      name: one of `names()`.
      image_shape: (H, W, C).
      secret: 32 bytes; one key for all images.
      key: the scheme's own `Key`, instead of a secret.
      secrets: 32 bytes for each image of a batch, instead of one secret (scope `image`).
      **params: the scheme's public parameters.

    Raises:
      CipherError: an unknown name, a parameter, shape or key that the scheme does not admit.
    """
    made = scheme(name)
    resolved = resolve_params(name, params)
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise CipherError(f"image_shape must be (H, W, C), all at least 1, not {image_shape}")
    made.check_shape(image_shape, resolved)
    if sum(given is not None for given in (secret, key, secrets)) != 1:
        raise CipherError("give exactly one of secret, key and secrets")
    if key is not None:
        keys = [key]
    else:
        keys = made.derive_keys(
            [secret] if secret is not None else list(secrets or ()), image_shape, resolved
        )
    return made(name, image_shape, resolved, keys)  # type: ignore[arg-type]
