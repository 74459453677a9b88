"""Datasets and a finished run that the tests of `train` share."""

import pytest

from lpe.train import backend
from tests.train.datasets import ENCRYPTION, write_dataset
from tests.train.running import finished_run

backend.load()  # before a test's own import of Keras: it chooses the backend


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """The home of a plain dataset; tests must not change it."""
    return write_dataset(tmp_path_factory.mktemp("data") / "toy")


@pytest.fixture(scope="session")
def encrypted(tmp_path_factory):
    """The home of a dataset that claims to be encrypted; tests must not change it."""
    return write_dataset(tmp_path_factory.mktemp("data") / "encrypted", encryption=ENCRYPTION)


@pytest.fixture(scope="session")
def spec(toy, tmp_path_factory):
    """The spec of a finished run of two epochs; tests must not change its directory."""
    return finished_run(toy, tmp_path_factory.mktemp("runs") / "whole")
