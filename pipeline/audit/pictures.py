"""Pictures of an audit's report, as PNG bytes: images side by side, and quality against number of images."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from lpe.pipeline.audit.results import SchemeAudit
from lpe.transforms.extras import require

_SIDE = 96
_GAP = 4
"""Pixels, of the longer side of an image and between images."""


def side_by_side(rows: Sequence[np.ndarray]) -> bytes:
    """A picture with a row for each batch of images, uint8 [N, H, W, C], all of one shape with 1 or 3 channels."""
    count, height, width, channels = rows[0].shape
    zoom = max(1, _SIDE // max(height, width))
    tall, wide = height * zoom, width * zoom
    canvas = np.full((len(rows) * (tall + _GAP) - _GAP, count * (wide + _GAP) - _GAP, 3), 255, np.uint8)
    for r, images in enumerate(rows):
        for i, image in enumerate(images):
            magnified = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
            y, x = r * (tall + _GAP), i * (wide + _GAP)
            canvas[y : y + tall, x : x + wide] = magnified if channels == 3 else magnified[..., :1]
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, "PNG")
    return out.getvalue()


def curves(scheme: SchemeAudit) -> bytes | None:
    """PSNR against number of images, for each attack that was tried with several numbers; None if none was.

    Raises:
      UsageError: matplotlib is not installed.
    """
    # A Figure of its own, not pyplot: no display, no global state.
    matplotlib_figure = require("matplotlib.figure", "audit")
    several = [result for result in scheme.results if len(result.curve) > 1]
    if not several:
        return None
    figure = matplotlib_figure.Figure(figsize=(5, 3), dpi=110, layout="tight")
    axes = figure.subplots()
    for result in several:
        counts = [count for count, _ in result.curve]
        axes.plot(counts, [quality.psnr for _, quality in result.curve], marker="o", label=result.attack)
    axes.axhline(scheme.floor.psnr, color="grey", linestyle="--", linewidth=1, label="mean colour")
    axes.axhline(
        scheme.ciphertext.psnr, color="grey", linestyle=":", linewidth=1, label="ciphertext as it is"
    )
    axes.set_xscale("log")
    axes.set_xlabel("images that the attacker has")
    axes.set_ylabel("PSNR on unseen images (dB)")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
