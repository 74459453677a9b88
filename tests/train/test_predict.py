"""Class probabilities of images."""

import numpy as np
import pytest

from lpe.train.predict import predict
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError
from tests.train.datasets import toy_images


def test_predict_gives_probabilities(spec):
    run = load_run(spec.output)
    probabilities = predict(run, toy_images(5, 0)[0])
    assert (probabilities.shape, probabilities.dtype) == ((5, 3), np.float32)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    # Many images go another way.
    np.testing.assert_allclose(predict(run, toy_images(40, 0)[0])[:5], probabilities, atol=1e-5)
    assert predict(run, np.zeros((0, 16, 16, 3), np.uint8)).shape == (0, 3)
    for images in (np.zeros((1, 8, 16, 3), np.uint8), np.zeros((1, 16, 16, 3), np.float32)):
        with pytest.raises(DataError, match=r"takes uint8 images of shape \[N, 16, 16, 3\]"):
            predict(run, images)
