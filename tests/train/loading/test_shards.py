"""`lpe.data.Shards`: each image once an epoch, whoever takes part and whenever it was killed; any image by number."""

import contextlib
import gzip
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpe.data import Shards
from lpe.transforms.errors import DataError, UsageError
from tests.pipeline.dataset.making import CLASSES, batch, make
from tests.train.datasets import ENCRYPTION, toy_images, write_dataset

ROOT = Path(__file__).resolve().parents[3]
WITHOUT = ("tensorflow", "keras", "torch", "jax", "apache_beam", "tink", "pyarrow", "tensorflow_datasets")


def ids(batches):
    return [image_id for _, _, batch_ids in batches for image_id in batch_ids]


def names(count):
    return [f"train-{number:07d}" for number in range(count)]


class Workers:
    """What a DataLoader with a copy of shards in each of its workers gives, in turn."""

    def __init__(self, copies, states=None, turn=0):
        self.copies = copies
        for copy, state in zip(self.copies, states or [], strict=bool(states)):
            copy.load_state_dict(json.loads(json.dumps(state)))
        self.turn = turn

    def states(self):
        return [copy.state_dict() for copy in self.copies]

    def __iter__(self):
        count = len(self.copies)
        turns = [copy.batches(worker, count) for worker, copy in enumerate(self.copies)]
        while (found := next(turns[self.turn % count], None)) is not None:
            self.turn += 1
            yield found


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any),
    batch_size=st.integers(1, 8),
    world=st.integers(1, 7),
    workers=st.integers(1, 3),
    shuffle=st.booleans(),
    drop_rest=st.booleans(),
    streamed=st.booleans(),
    kill=st.floats(0, 1),
    epoch=st.integers(0, 1),
)
def test_a_killed_loop_sees_each_image_once(
    lengths, batch_size, world, workers, shuffle, drop_rest, streamed, kill, epoch
):
    with tempfile.TemporaryDirectory() as place:
        shards = Shards(
            make(Path(place, "shapes"), {"train": tuple(lengths)}).directory,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=5,
            ids=True,
            drop_rest=drop_rest,
            memory_bytes=4 * 36 * max(lengths) if streamed else 1 << 30,
        )
        parts = [Part(shards, rank, world, epoch) for rank in range(world)]
        for part in parts:
            part.check_one_loop(round(kill * part.steps))
            part.check_workers(workers, round(kill * part.steps))
        whole = [image_id for part in parts for image_id in part.expected]
        assert len(set(whole)) == len(whole)
        total = sum(lengths)
        if drop_rest:
            assert len(whole) == world * (total // world // batch_size * batch_size)
            assert len({part.steps for part in parts}) == 1
        else:
            assert sorted(whole) == names(total)


class Part:
    """An epoch of a rank, and loops over it that are killed and go on."""

    def __init__(self, shards, rank, world, epoch):
        self.new = lambda: shards.shard(rank, world)
        self.epoch = epoch
        whole = at_epoch(self.new(), epoch)
        self.steps = whole.steps
        self.expected = ids(whole)
        self.next_one = ids(whole)

    def check_one_loop(self, stop):
        killed = at_epoch(self.new(), self.epoch)
        before = ids(found for _, found in zip(range(stop), killed, strict=False))
        other = self.new()
        other.load_state_dict(json.loads(json.dumps(killed.state_dict())))
        if stop < self.steps:
            assert before + ids(other) == self.expected
        else:
            assert before == self.expected
        assert not self.steps or ids(other) == self.next_one

    def check_workers(self, workers, stop):
        killed = Workers([at_epoch(self.new(), self.epoch) for _ in range(workers)])
        before = ids(found for _, found in zip(range(stop), killed, strict=False))
        others = Workers([self.new() for _ in range(workers)], killed.states(), killed.turn)
        if stop < self.steps or workers > 1:
            before += ids(others)
        assert before == self.expected


def files():
    """How many files this process has open."""
    return len([*Path("/dev/fd").iterdir()])


def at_epoch(shards, epoch):
    shards.set_epoch(epoch)
    return shards


def test_each_loop_is_the_next_epoch(toy):
    shards = Shards(toy, batch_size=16, shuffle=True, seed=1, ids=True)
    first, second = ids(shards), ids(shards)
    assert first != second
    assert sorted(first) == sorted(second) == names(200)
    shards.set_epoch(0)
    assert ids(shards) == first
    assert ids(Shards(toy, batch_size=16, shuffle=True, seed=2, ids=True)) != first
    assert ids(Shards(toy, batch_size=16, ids=True)) == names(200)


def test_batches_are_the_callers(toy):
    shards = Shards(toy, batch_size=64)
    assert (len(shards), shards.steps, shards.image_shape, len(shards.class_names)) == (
        200,
        4,
        (16, 16, 3),
        3,
    )
    for images, labels in shards:
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        assert images.flags.c_contiguous
        images[:] = 0
        labels[:] = 0
    expected, labels = toy_images(200, 0)
    assert (shards.take(np.arange(200))[0] == expected).all()
    assert (shards.take(range(200))[1] == labels).all()


def test_examples_have_numbers(toy):
    expected, labels = toy_images(200, 0)
    shards = Shards(toy, ids=True, shuffle=True).shard(1, 2)
    image, label, image_id = shards[-3]
    assert (image == expected[197]).all()
    assert (label, image_id) == (labels[197], "train-0000197")
    images, found, texts = shards.take([150, 2, -1, 150])
    assert (images == expected[[150, 2, 199, 150]]).all()
    assert (found == labels[[150, 2, 199, 150]]).all()
    assert texts == [names(200)[i] for i in (150, 2, 199, 150)]
    for wrong in (200, -201):
        with pytest.raises(IndexError, match=f"index {wrong} is out of range for 200 examples"):
            shards[wrong]


@pytest.mark.parametrize("kind", ["labels of several lengths", "ids of several lengths", "zipped", "of TFDS"])
def test_records_that_are_not_all_alike_are_found(tmp_path, kind):
    shape, count = (4, 3, 3), 60
    images, labels = (
        np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8),
        np.arange(count) % 3,
    )
    if kind == "labels of several lengths":
        labels = np.random.default_rng(1).integers(0, 300, count)
    splits = {"t" * (1 + (kind[:3] == "ids")) + "rain": (images, labels)}
    home = write_dataset(tmp_path / "toy", splits, class_names=tuple(f"c{i}" for i in range(300)))
    directory = Path(home, "1.0.0")
    if kind in ("zipped", "of TFDS"):
        (directory / "manifest.json").unlink()
    if kind == "zipped":
        for shard in directory.glob("*.tfrecord*"):
            shard.write_bytes(gzip.compress(shard.read_bytes()))
    shards = Shards(home, *splits, batch_size=7)
    found = list(shards)
    assert (np.concatenate([batch[0] for batch in found]) == images).all()
    assert (np.concatenate([batch[1] for batch in found]) == labels).all()
    some = np.random.default_rng(2).permutation(count)[:20]
    assert (shards.take(some)[0] == images[some]).all()
    assert (shards.take(some)[1] == labels[some]).all()


def test_it_needs_no_framework(toy):
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({WITHOUT}));"
        "import lpe.data; shards = lpe.data.Shards(sys.argv[1], shuffle=True, ids=True);"
        "print(sum(len(labels) for images, labels, ids in shards), shards[7][2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, toy], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.stdout, done.stderr) == ("200 train-0000007\n", "")


def test_it_goes_on_in_processes_that_were_forked(toy):
    shards = Shards(toy, batch_size=50, shuffle=True, ids=True)
    loop = iter(shards)
    before = ids([next(loop)])
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(ids(loop)))
    child.start()
    assert before + receiver.recv() == before + ids(loop)
    child.join()


def test_batches_are_transformed_by_what_was_given(toy):
    def invert(batch):
        assert batch.ids[0].startswith("train-")
        return batch.replace_images(255 - batch.images)

    expected, _ = toy_images(200, 0)
    shards = Shards(toy, transform=invert)
    assert (shards[150][0] == 255 - expected[150]).all()
    assert (np.concatenate([images for images, _ in shards]) == 255 - expected).all()


@pytest.mark.parametrize("part", ["batches", "examples"])
def test_a_shard_that_another_has_replaced_is_refused(tmp_path, part):
    data = make(tmp_path / "shapes", {"train": (20, 20)})
    first, second = map(Path, data.shard_paths("train"))
    first.write_bytes(second.read_bytes())  # every record is sound
    shards = Shards(data.directory)
    assert shards[25][1] == 25 % len(CLASSES)
    with pytest.raises(DataError, match=r"train\.tfrecord-00000-of-00002: checksum .* was recorded"):
        list(shards) if part == "batches" else shards[0]


def test_a_shard_that_was_restored_is_read(tmp_path):
    data = make(tmp_path / "shapes", {"train": (20,)})
    path = Path(data.shard_paths("train")[0])
    sound = path.read_bytes()
    shards = Shards(data.directory)
    path.write_bytes(sound[:100] + bytes([sound[100] ^ 1]) + sound[101:])
    with pytest.raises(DataError, match="00000-of-00001"):
        shards[3]
    path.write_bytes(sound)
    assert (shards[3][0] == batch("train", 3, 1).images[0]).all()


def test_there_may_be_more_shards_than_files_that_a_process_may_open(tmp_path, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (8, 8))
    shards = Shards(
        make(tmp_path / "shapes", {"train": (2,) * 20}).directory, batch_size=7, shuffle=True, ids=True
    )
    before = files()
    assert sorted(ids(shards)) == sorted(ids(shards)) == names(40)
    assert shards[39][2] == names(40)[39]
    assert files() <= before + 5


def test_the_version_is_never_a_plain_one_by_mistake(tmp_path):
    write_dataset(tmp_path / "toy")
    write_dataset(tmp_path / "toy", encryption=ENCRYPTION, version="1.0.1")
    with pytest.raises(UsageError, match="plain and encrypted versions"):
        Shards(str(tmp_path / "toy"))
    assert len(Shards(str(tmp_path / "toy" / "1.0.1"))) == 200
    with pytest.raises(DataError, match="no split 'tset'"):
        Shards(str(tmp_path / "toy" / "1.0.1"), "tset")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"seed": -1}, "seed is -1; .* at least 0"),
    ],
)
def test_arguments_out_of_range_are_refused(toy, settings, message):
    with pytest.raises(UsageError, match=message):
        Shards(toy, **settings)
    with pytest.raises(UsageError, match="rank 2 of 2"):
        Shards(toy).shard(2, 2)


def test_a_state_is_of_its_own_shards(toy):
    settings = {"batch_size": 16, "shuffle": True, "seed": 1}
    shards = Shards(toy, **settings)
    next(iter(shards))
    state = shards.state_dict()
    assert (state["epoch"], state["batch"]) == (0, 1)
    assert len(json.dumps(state)) < 500
    other_size = {**settings, "batch_size": 8}
    for other, name in (
        (Shards(toy, **other_size), "batch_size is 16 there, 8 here"),
        (Shards(toy, **{**settings, "seed": 2}), "seed is 1 there, 2 here"),
        (Shards(toy, "test", **settings), "digest is .* there"),
        (Shards(toy, **settings).shard(1, 2), "rank is 0 there, 1 here"),
        (Shards(toy, **settings, memory_bytes=1000), "window_bytes is 153600 there, 250 here"),
    ):
        with pytest.raises(UsageError, match=f"state is of other shards: {name}") as refused:
            other.load_state_dict(state)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "edit",
    [
        lambda state: {},
        lambda state: [],
        lambda state: {**state, "epoch": -1},
        lambda state: {**state, "batch": "1"},
        lambda state: {**state, "worker": 3},
        lambda state: {**state, "more": 1},
        lambda state: {**state, "of": 3},
    ],
)
def test_what_is_no_state_is_refused(toy, edit):
    shards = Shards(toy)
    with pytest.raises(UsageError, match="state"):
        shards.load_state_dict(edit(shards.state_dict()))


def test_a_state_of_one_of_several_workers_is_for_as_many(toy):
    shards = Shards(toy, batch_size=16)
    next(shards.batches(1, 3))
    state = shards.state_dict()
    for turn in ((0, 1), (0, 3), (1, 2)):
        shards.load_state_dict(state)
        with (
            pytest.raises(UsageError, match=r"worker 1 of 3.*as many workers"),
            contextlib.suppress(StopIteration),
        ):
            next(shards.batches(*turn))


def test_whoever_counts_batches_can_ask_for_a_state(toy):
    shards = Shards(toy, batch_size=16, shuffle=True, ids=True)
    shards.load_state_dict(shards.state_dict(epoch=2, batch=3))
    rest = ids(shards)
    assert rest == ids(at_epoch(Shards(toy, batch_size=16, shuffle=True, ids=True), 2))[48:]
