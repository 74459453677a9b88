"""`synthetic:N`: the same images everywhere, balanced, and hard for anything but a network."""

import hashlib
import pickle

import numpy as np
import pytest

from lpe.pipeline.sources.synthetic import SyntheticSource
from lpe.transforms.errors import DataError, UsageError


def no_bad_records(record):
    raise AssertionError(record)


def read(source, split, positions, batch_size=1000):
    batches = list(source.slice(split, np.asarray(positions)).batches(batch_size, no_bad_records))
    names = [name for batch in batches for name in batch.names]
    images = np.concatenate([batch.images for batch in batches])
    labels = np.concatenate([batch.labels for batch in batches])
    offsets = np.concatenate([batch.offsets for batch in batches])
    assert offsets.tolist() == list(range(len(positions)))
    return names, images, labels


def test_describes_itself():
    info = SyntheticSource(1000).info
    assert info.image_shape == (32, 32, 3)
    assert len(set(info.class_names)) == 10
    assert dict(info.splits) == {"train": 1000, "test": 200}
    assert SyntheticSource(7).uri == "synthetic:7"


def test_golden_images():
    # Changing these bytes changes every dataset made from this source: raise the version in its digest.
    _, train, _ = read(SyntheticSource(1000), "train", range(20))
    _, test, labels = read(SyntheticSource(1000, seed=-5), "test", range(180, 200))
    assert (
        hashlib.sha256(train.tobytes()).hexdigest()
        == "306de821c0aaf068a69c65cf05a15a4fae329564ddbc3f7b0d1f75a06158a274"
    )
    assert (
        hashlib.sha256(test.tobytes() + labels.tobytes()).hexdigest()
        == "bcb488fada8dc6f14d21ea9fe5fba0a3b40400dc69869401052c80469d529835"
    )


def test_golden_digest_depends_on_counts_and_seed():
    digests = [SyntheticSource(*arguments).digest() for arguments in [(1000,), (1000, 1), (1001,)]]
    assert digests[0] == "90ca7abb95c2c3ffe9e880fceb19a84fcf99ffbe3493a14fd3b1d607d8a3b88d"
    assert len(set(digests)) == 3


def test_an_image_depends_only_on_seed_split_and_position():
    source = SyntheticSource(2000)
    names, images, labels = read(source, "train", range(600))
    some = [0, 3, 255, 256, 599]
    some_names, some_images, some_labels = read(SyntheticSource(600), "train", some, batch_size=2)
    assert some_names == [names[i] for i in some]
    assert (some_images == images[some]).all()
    assert (some_labels == labels[some]).all()
    for other in (read(source, "test", range(100)), read(SyntheticSource(2000, seed=1), "train", range(100))):
        assert not (other[1] == images[:100]).all(axis=(1, 2, 3)).any()


def test_slices_concatenated_equal_the_whole():
    source = SyntheticSource(700)
    parts = [read(source, "train", part) for part in np.array_split(np.arange(700), 3)]
    whole = read(source, "train", range(700), batch_size=64)
    assert [name for part in parts for name in part[0]] == whole[0]
    assert (np.concatenate([part[1] for part in parts]) == whole[1]).all()
    assert (np.concatenate([part[2] for part in parts]) == whole[2]).all()


def test_all_images_differ_and_classes_are_balanced_but_mixed():
    _, images, labels = read(SyntheticSource(2000), "train", range(2000))
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert len(np.unique(images.reshape(2000, -1), axis=0)) == 2000
    groups = labels.reshape(-1, 10)
    assert (np.sort(groups, axis=1) == np.arange(10)).all()
    assert len(np.unique(groups, axis=0)) == 40


def test_a_slice_survives_pickling():
    source = SyntheticSource(50)
    part = source.slice("test", np.arange(2, 9))
    copy = pickle.loads(pickle.dumps(part))
    assert len(copy) == 7
    (before,), (after,) = (list(each.batches(10, no_bad_records)) for each in (part, copy))
    assert after.names == before.names
    assert (after.images == before.images).all()


def test_one_image_and_four_hundred_million():
    assert dict(SyntheticSource(1).info.splits) == {"train": 1, "test": 10}
    assert read(SyntheticSource(1), "train", [0])[1].shape == (1, 32, 32, 3)
    huge = SyntheticSource(400_000_000)
    names, images, _ = read(huge, "train", [0, 399_999_999])
    assert names == ["train/0000000", "train/399999999"]
    assert (images[0] == read(SyntheticSource(1), "train", [0])[1][0]).all()


@pytest.mark.parametrize("count", [0, -3])
def test_refuses_a_count_below_one(count):
    with pytest.raises(UsageError, match=f"synthetic:{count}: .* at least 1"):
        SyntheticSource(count)


def test_refuses_what_it_does_not_hold():
    source = SyntheticSource(10)
    with pytest.raises(DataError, match="no split 'validation'; it has train, test"):
        source.slice("validation", np.arange(1))
    for positions in ([10], [-1]):
        with pytest.raises(DataError, match=r"positions of split 'train' must be in 0\.\.9"):
            source.slice("train", np.array(positions))


def test_a_linear_classifier_is_poor():
    source = SyntheticSource(8000)
    _, images, labels = read(source, "train", range(8000))
    _, test_images, test_labels = read(source, "test", range(1600))
    assert linear_accuracy(images, labels, test_images, test_labels) < 0.5


def linear_accuracy(images, labels, test_images, test_labels, steps=60):
    """Test accuracy of a multinomial logistic regression on standardised pixels, by momentum descent."""
    x, test_x = (each.reshape(len(each), -1).astype(np.float32) for each in (images, test_images))
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    x, test_x = (x - mean) / deviation, (test_x - mean) / deviation
    target = np.eye(10, dtype=np.float32)[labels]
    weights = np.zeros((x.shape[1], 10), np.float32)
    velocity = np.zeros_like(weights)
    for _ in range(steps):
        scores = x @ weights
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        gradient = x.T @ (odds / odds.sum(axis=1, keepdims=True) - target) / len(x) + 0.1 * weights
        velocity = 0.9 * velocity - 0.01 * gradient
        weights += velocity
    return float(((test_x @ weights).argmax(axis=1) == test_labels).mean())


@pytest.mark.slow
def test_a_small_network_learns_it_in_two_epochs(tmp_path):
    from lpe.train.evaluate import evaluate  # noqa: PLC0415  (with TensorFlow)
    from lpe.train.loop import TrainSpec, fit  # noqa: PLC0415
    from lpe.train.runs import load_run  # noqa: PLC0415
    from tests.train.datasets import write_dataset  # noqa: PLC0415

    source = SyntheticSource(8000)
    splits = {split: read(source, split, range(count))[1:] for split, count in source.info.splits.items()}
    data = write_dataset(tmp_path / "synthetic", splits, class_names=source.info.class_names)
    for seed in range(3):
        run = fit(TrainSpec(data=data, output=str(tmp_path / f"run-{seed}"), epochs=2, seed=seed)).run
        assert evaluate(load_run(run), data).accuracy > 0.9
