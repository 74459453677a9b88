"""The report's pictures, as PNG bytes: images side by side, and error against number of images."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from lpe.pipeline.audit.attacking import Audited
from lpe.pipeline.audit.extra import audit_extra

_SIDE = 96
_GAP = 4


def side_by_side(rows: Sequence[np.ndarray]) -> bytes:
    """A picture with a row for each of some uint8 [N,H,W,C], all of one shape."""
    count, height, width, channels = rows[0].shape
    zoom = max(1, _SIDE // max(height, width))
    tall, wide = height * zoom, width * zoom
    canvas = np.full((len(rows) * (tall + _GAP) - _GAP, count * (wide + _GAP) - _GAP, 3), 255, np.uint8)
    for r, images in enumerate(rows):
        for i, image in enumerate(images):
            big = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
            y, x = r * (tall + _GAP), i * (wide + _GAP)
            canvas[y : y + tall, x : x + wide] = big if channels == 3 else big[..., :1]
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, "PNG", optimize=True)
    return out.getvalue()


def curves(audited: Audited) -> bytes | None:
    """PSNR against number of images, for each attack that was tried with several numbers; None if none was."""
    with audit_extra():
        import matplotlib  # noqa: PLC0415
    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    several = [result for result in audited.results if len(result.curve) > 1]
    if not several:
        return None
    figure, axes = pyplot.subplots(figsize=(5, 3), dpi=110)
    for result in several:
        counts = [count for count, _ in result.curve]
        axes.plot(counts, [found.psnr for _, found in result.curve], marker="o", label=result.attack)
    axes.axhline(audited.floor.psnr, color="grey", linestyle="--", linewidth=1, label="mean colour")
    axes.axhline(
        audited.ciphertext.psnr, color="grey", linestyle=":", linewidth=1, label="ciphertext as it is"
    )
    axes.set_xscale("log")
    axes.set_xlabel("images that the attacker has")
    axes.set_ylabel("PSNR on unseen images (dB)")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    out = io.BytesIO()
    figure.savefig(out, format="png")
    pyplot.close(figure)
    return out.getvalue()
