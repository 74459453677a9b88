"""The epochs of a training run, in Keras. Importing this module imports Keras."""

from __future__ import annotations

from pathlib import Path

import keras

from lpe.train import backend, callbacks, optimizing
from lpe.train.batches import Batches
from lpe.train.loading.inputs import EpochClock, TrainingInput
from lpe.train.progress import Progress, Status
from lpe.train.recipes import Recipe
from lpe.train.run_state import RunState
from lpe.train.weights import load_checkpoint
from lpe.transforms.errors import DataError


def train(
    model: keras.Model,
    inputs: TrainingInput,
    state: RunState,
    recipe: Recipe,
    *,
    finished: int,
    epochs: int,
    tensorboard: Path,
    progress: Progress | None,
    status: Status,
) -> None:
    """Compiles a network and trains the epochs after the first `finished`, each saved in `state` at its end.

    Args:
      model: uint8 [N, H, W, C] -> probabilities [N, classes].
      inputs: the images.
      state: has the weights and the optimiser of epoch `finished`, unless that is 0.
      recipe: optimiser, schedule, regularisation.
      finished: how many epochs are done.
      epochs: how many there are in all, which the schedule is stretched over.
      tensorboard: the directory for TensorBoard's files.
      progress: called after each epoch.
      status: called after each batch.

    Raises:
      DataError: a damaged checkpoint or shard, by name.
      LpeError: the loss diverged.
    """
    model.compile(
        optimizer=optimizing.optimizer(recipe, epochs * inputs.train.steps),
        loss=optimizing.CrossEntropy(recipe.label_smoothing),
        # With variables of its own from the start, like the optimiser below: TensorFlow traces a step twice where the
        # first time makes variables, and a trace takes seconds.
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    model.optimizer.build(model.trainable_variables)
    if finished:
        restore(model, state.weights_path(finished))
    clock = EpochClock()
    devices = backend.devices()
    training = Batches(inputs.train, clock, devices)
    validation = Batches(inputs.validation, EpochClock(), devices)
    with training.failing_clearly(), validation.failing_clearly():
        model.fit(
            training,
            validation_data=validation,
            initial_epoch=finished,
            epochs=epochs,
            shuffle=False,  # `inputs.train` is
            verbose=0,
            callbacks=[
                callbacks.Clock(clock),
                *([callbacks.averaged_weights()] if recipe.ema is not None else []),
                callbacks.Scalars(tensorboard),
                callbacks.Steps(inputs.train, inputs.validation, epochs, status),
                callbacks.Commit(state, inputs.train.steps * inputs.train.batch_size, epochs, progress),
            ],
        )


def restore(model: keras.Model, weights: Path) -> None:
    """Loads weights and optimiser of a checkpoint into a compiled network, whose optimiser is built.

    Raises:
      DataError: the file is missing or damaged.
    """
    try:
        load_checkpoint(model, weights)
    except FileNotFoundError:
        raise DataError(f"{weights}: missing; run the same `lpe train` again") from None
    except DataError as error:
        raise DataError(f"{weights}: damaged ({error}); delete it and train again") from error


def save_best(model: keras.Model, weights: Path, path: Path, *, averaged: bool) -> None:
    """Saves a network with the weights of a checkpoint, for prediction: `path` is whole or absent.

    Args:
      model: compiled; afterwards it has the weights that were saved.
      weights: the checkpoint.
      path: the `.keras` file.
      averaged: whether the optimiser's moving averages are what was validated.

    Raises:
      DataError: the checkpoint is missing or damaged.
    """
    restore(model, weights)
    if averaged:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    partial = path.with_name(f".tmp-{path.name}")  # removed at the next start if this one is killed
    model.save(partial, include_optimizer=False)
    partial.replace(path)
