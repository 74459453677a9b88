"""Callbacks of a run: what is saved, reported and refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from lpe.train.callbacks import Commit, Scalars
from lpe.train.run_state import RunState
from lpe.transforms.errors import LpeError

LOGS = {"loss": 1.5, "accuracy": 0.5, "val_loss": 1.6, "val_accuracy": 0.4}


def commit(directory, progress=None):
    """The callback in a run with a network that has a learning rate and no weights."""
    state = RunState(directory)
    state.recover()
    callback = Commit(state, 640, 2, progress)
    callback.set_model(
        SimpleNamespace(
            optimizer=SimpleNamespace(learning_rate=np.float32(0.25)), save_weights=lambda path: path.touch()
        )
    )
    return state, callback


def test_an_epoch_is_saved_before_it_is_reported(tmp_path):
    calls = []
    state, callback = commit(tmp_path, lambda *call: calls.append((*call, len(state.history))))
    callback.on_epoch_begin(0)
    callback.on_test_begin()
    callback.on_epoch_end(0, LOGS)
    [(epoch, epochs, metrics, speed, saved)] = calls
    assert (epoch, epochs, metrics, saved) == (1, 2, LOGS, 1)
    assert speed > 0
    assert state.history[0] == {
        "epoch": 1,
        **LOGS,
        "learning_rate": 0.25,
        "seconds": state.history[0]["seconds"],
        "images_per_second": round(speed, 1),
    }


def test_a_diverged_loss_ends_the_run_unsaved(tmp_path):
    state, callback = commit(tmp_path)
    callback.on_epoch_begin(1)
    with pytest.raises(LpeError, match="loss of epoch 2 is not a number; train again with a lower"):
        callback.on_epoch_end(1, {**LOGS, "loss": float("nan")})
    assert not state.history


def test_tensorboard_gets_a_file_for_each_of_training_and_validation(tmp_path):
    scalars = Scalars(tmp_path)
    scalars.on_train_begin()
    scalars.on_epoch_end(0, LOGS)
    scalars.on_train_end()
    for part in ("train", "validation"):
        [file] = (tmp_path / part).iterdir()
        content = file.read_bytes()
        assert b"epoch_loss" in content
        assert b"epoch_accuracy" in content
        assert b"val_" not in content
