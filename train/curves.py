"""The learning curves of a run as a picture: loss and accuracy by epoch."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from lpe.train import backend
from lpe.transforms.extras import require


def draw(history: Sequence[Mapping[str, float]], best_epoch: int) -> bytes:
    """Draws loss and accuracy, of training and validation, in two panels.

    Args:
      history: one mapping per epoch with `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`.
      best_epoch: from 1; marked by a vertical line.

    Returns:
      A PNG file, 990×385 pixels.

    Raises:
      UsageError: matplotlib is not installed.
    """
    figure_module = require("matplotlib.figure", backend.extra())
    ticker = require("matplotlib.ticker", backend.extra())
    epochs = [line["epoch"] for line in history]
    # A Figure of its own, not pyplot: no display, no global state.
    figure = figure_module.Figure(figsize=(9, 3.5), layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(epochs, [line[metric] for line in history], ".-", label="training")
        axes.plot(epochs, [line[f"val_{metric}"] for line in history], ".-", label="validation")
        axes.axvline(
            best_epoch, color="grey", linewidth=0.8, linestyle=":", label=f"best (epoch {best_epoch})"
        )
        axes.set(title=metric, xlabel="epoch")
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    figure.axes[1].set_ylim(0, 1.02)
    figure.axes[1].legend()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    return png.getvalue()
