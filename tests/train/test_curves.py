"""The picture of a run's learning curves."""

import io

from PIL import Image

from lpe.train import curves


def test_the_curves_are_a_png_even_of_one_epoch():
    line = {"epoch": 1, "loss": 2.0, "accuracy": 0.3, "val_loss": 2.1, "val_accuracy": 0.2}
    for history in ([line], [line, {**line, "epoch": 2, "loss": 1.0}]):
        with Image.open(io.BytesIO(curves.draw(history, best_epoch=1))) as image:
            assert (image.format, image.size) == ("PNG", (990, 385))
