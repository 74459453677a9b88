"""What the figures mean, in plain words. A scheme that nothing here breaks is never called secure."""

from __future__ import annotations

from lpe.pipeline.audit.attacking import Audited, Result
from lpe.pipeline.audit.quality import Quality

_BROKEN_EXACT = 0.99
_BROKEN_PSNR, _BROKEN_SSIM = 30.0, 0.9
_SEEN_DB, _SEEN_SSIM = 2.0, 0.2
"""How far above the floor what is restored must be for a person to see something in it."""


def verdict(audited: Audited) -> str:
    """One or two sentences on an encryption."""
    if audited.target.cipher == "plain":
        return "No encryption: the images are there for all to see."
    sentences = []
    alone = audited.best("ciphertext-only")
    if alone is not None and _broken(alone.quality):
        sentences.append(f"Broken from ciphertexts alone {_with(alone)}.")
    elif alone is not None and _seen(alone.quality, audited):
        each = "each image by itself" if alone.images == 1 else f"{_images(alone.images)}"
        sentences.append(f"Partly broken from ciphertexts alone ({each}, no key): {_figures(alone.quality)}.")
    learned = audited.best("learned")
    if learned is not None and _seen(learned.quality, audited):
        sentences.append(f"A trained network gives {_figures(learned.quality)}.")
    for adversary, kind in (("known-plaintext", "known"), ("chosen-plaintext", "chosen")):
        found = audited.best(adversary)
        if found is not None and _broken(found.quality):
            sentences.append(f"Broken {_with(found, kind)}.")
    return " ".join(sentences) or "Not broken by these attacks."


def _broken(found: Quality) -> bool:
    return found.exact >= _BROKEN_EXACT or (found.psnr >= _BROKEN_PSNR and found.ssim >= _BROKEN_SSIM)


def _seen(found: Quality, audited: Audited) -> bool:
    floors = (audited.floor, audited.ciphertext)
    return (
        found.psnr >= max(f.psnr for f in floors) + _SEEN_DB
        and found.ssim >= max(f.ssim for f in floors) + _SEEN_SSIM
    )


def _with(result: Result, kind: str = "") -> str:
    """How many images it takes, and what they give."""
    first = next(images for images, found in result.curve if _broken(found))
    begin = "" if first == result.images else f"from {_images(first, kind)} on; "
    return (
        f"{begin}with {_images(result.images, kind)}, in {result.seconds:.1f} s: {_figures(result.quality)}"
    )


def _images(count: int, kind: str = "") -> str:
    return " ".join(filter(None, [str(count), kind, "image" if count == 1 else "images"]))


def _figures(found: Quality) -> str:
    if found.exact == 1:
        return "every byte of unseen images is right"
    return f"{found.psnr:.1f} dB, SSIM {found.ssim:.2f}, {min(found.exact, 0.999):.1%} of the bytes exact"
