"""The verdict on an encryption, in plain words. A scheme that nothing here breaks is never called secure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lpe.pipeline.audit.quality import Quality

if TYPE_CHECKING:
    from lpe.pipeline.audit.results import AttackResult, Reidentification, SchemeAudit
    from lpe.transforms.attacks.base import Adversary

AS_IT_IS = "the image as it is"
"""What identifies a photograph where neither an attack nor statistics are needed."""
_BROKEN_EXACT = 0.99
_BROKEN_PSNR, _BROKEN_SSIM = 30.0, 0.9
_VISIBLE_DB, _VISIBLE_SSIM = 2.0, 0.2
"""How far above the floor what is restored must be for a person to see something in it."""
_LEARN_FROM_PLAINTEXT: tuple[tuple[Adversary, str], ...] = (
    ("known-plaintext", "known"),
    ("chosen-plaintext", "chosen"),
)


def verdict(scheme: SchemeAudit) -> str:
    """Some sentences on an encryption."""
    sentences = [_of_attacks(scheme)]
    if scheme.reidentification is not None and (scheme.target.cipher != "plain" or scheme.target.reduction):
        sentences.append(_of_photographs(scheme, scheme.reidentification))
    return " ".join(sentences)


def _of_attacks(scheme: SchemeAudit) -> str:
    if scheme.target.cipher == "plain":
        return _without_a_key(scheme)
    if not scheme.results:
        return "Not attacked: none of these attacks is meant for it."
    sentences = []
    alone = scheme.best("ciphertext-only")
    if alone is not None and _broken(alone.quality):
        sentences.append(f"Broken from ciphertexts alone {_effort_and_figures(alone)}.")
    elif alone is not None and _visible(alone.quality, scheme):
        evidence = "each image by itself" if alone.images == 1 else _images(alone.images)
        sentences.append(
            f"Partly broken from ciphertexts alone ({evidence}, no key): {_figures(alone.quality)}."
        )
    learned = scheme.best("learned")
    if learned is not None and _visible(learned.quality, scheme):
        sentences.append(f"A trained network gives {_figures(learned.quality)}.")
    for adversary, kind in _LEARN_FROM_PLAINTEXT:
        best = scheme.best(adversary)
        if best is not None and _broken(best.quality):
            sentences.append(f"Broken {_effort_and_figures(best, kind)}.")
    return " ".join(sentences) or "Not broken by these attacks."


def _without_a_key(scheme: SchemeAudit) -> str:
    if not scheme.target.reduction:
        return "No encryption: the images are there for all to see."
    best = max(
        (result for result in scheme.results if result.adversary in ("ciphertext-only", "learned")),
        key=lambda result: result.quality.psnr,
        default=None,
    )
    shown = f"at {_likeness(scheme.ciphertext if best is None else best.quality)}"
    by = "just enlarged" if best is None else f"by {best.attack}"
    return f"No encryption: what {scheme.target.reduction} leaves of the images is there for all to see, {shown} {by}."


def _of_photographs(scheme: SchemeAudit, found: Reidentification) -> str:
    """How well a photograph is known again; its best attack is named, or the statistic that does it."""
    attack = next((result for result in scheme.results if result.attack == found.by), None)
    if attack is not None:
        learnt = f", which has {attack.images} ciphertexts" if attack.images > 1 else ""
        by = f"what {attack.attack} restores{learnt}"
    else:
        by = f"comparing {found.by}" if found.by == AS_IT_IS else f"its {found.by}"
    released = "released image" if scheme.target.cipher == "plain" else "ciphertext"
    median = "" if found.first > 0.5 else f"; in half of all cases it is among the first {found.median:,.0f}"
    return (
        f"Who holds {found.candidates:,} photographs and one {released} names the right one in {found.first:.0%} of "
        f"cases (floor {found.floor:.1%}), by {by}{median}."
    )


def analyst_sentence(scheme: SchemeAudit) -> str:
    """One sentence on what an analyst gets who has ciphertexts and nothing else."""
    if scheme.target.cipher == "plain":
        return "There is no encryption: whoever has the images sees them."
    alone = scheme.best("ciphertext-only")
    if alone is None or not (_broken(alone.quality) or _visible(alone.quality, scheme)):
        return "An analyst with these ciphertexts and no key restored nothing to be seen by the attacks here."
    return (
        f"An analyst with {alone.images} of these ciphertexts and no key restores unseen ones in "
        f"{alone.seconds:.1f} s: {_figures(alone.quality)}."
    )


def _broken(quality: Quality) -> bool:
    exact = max(quality.exact, quality.exact_reduced or 0)
    return exact >= _BROKEN_EXACT or (quality.psnr >= _BROKEN_PSNR and quality.ssim >= _BROKEN_SSIM)


def _visible(quality: Quality, scheme: SchemeAudit) -> bool:
    floors = (scheme.floor, scheme.ciphertext)
    return (
        quality.psnr >= max(floor.psnr for floor in floors) + _VISIBLE_DB
        and quality.ssim >= max(floor.ssim for floor in floors) + _VISIBLE_SSIM
    )


def _effort_and_figures(result: AttackResult, kind: str = "") -> str:
    """How many images and seconds it takes, and what they give."""
    first = next(images for images, quality in result.curve if _broken(quality))
    begin = "" if first == result.images else f"from {_images(first, kind)} on; "
    return (
        f"{begin}with {_images(result.images, kind)}, in {result.seconds:.1f} s: {_figures(result.quality)}"
    )


def _images(count: int, kind: str = "") -> str:
    return " ".join(filter(None, [str(count), kind, "image" if count == 1 else "images"]))


def _figures(quality: Quality) -> str:
    if quality.exact == 1:
        return "every byte of unseen images is right"
    if quality.exact_reduced is not None and quality.exact_reduced >= _BROKEN_EXACT:
        return f"all that is left of unseen images, which are seen at {_likeness(quality)}"
    return f"{_likeness(quality)}, {min(quality.exact, 0.999):.1%} of the bytes exact"


def _likeness(quality: Quality) -> str:
    return f"{quality.psnr:.1f} dB, SSIM {quality.ssim:.2f}"
