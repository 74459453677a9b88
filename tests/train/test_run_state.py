"""Metrics and checkpoints of an unfinished run, as a kill may leave them."""

import json

import pytest

from lpe.train.run_state import RunState, best_epoch


class Model:
    """Stands for a Keras model: its weights are a word."""

    def __init__(self, weights):
        self.weights = weights

    def save_weights(self, path):
        path.write_text(self.weights)


def line(epoch, accuracy):
    rest = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "seconds": 2.0}
    return {"epoch": epoch, "val_accuracy": accuracy, **rest}


@pytest.fixture
def state(tmp_path):
    """Three epochs, of which the second is the best."""
    state = RunState(tmp_path)
    assert state.recover() == 0
    for epoch, accuracy in enumerate([0.4, 0.6, 0.5], 1):
        state.commit(line(epoch, accuracy), Model(f"weights {epoch}"))
    return state


def test_the_newest_and_the_best_checkpoint_are_kept(state, tmp_path):
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {
        "epoch-0002.weights.h5",
        "epoch-0003.weights.h5",
    }
    assert state.weights_path(3).read_text() == "weights 3"
    again = RunState(tmp_path)
    assert again.recover() == 3
    assert again.history == state.history


def test_the_first_of_equally_good_epochs_is_the_best():
    assert best_epoch([line(1, 0.5), line(2, 0.7), line(3, 0.7)]) == 2


@pytest.mark.parametrize(
    "tail", ['{"epo', json.dumps(line(4, 0.9)) + "\n", json.dumps(line(9, 0.9)) + "\n"], ids=repr
)
def test_a_line_without_weights_is_dropped(state, tmp_path, tail):
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(tail)
    assert RunState(tmp_path).recover() == 3
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3


def test_an_epoch_without_its_best_weights_is_no_place_to_go_on_from(state, tmp_path):
    state.weights_path(2).unlink()
    assert RunState(tmp_path).recover() == 0
