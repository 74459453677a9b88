"""Plans: any source or dataset as shard tasks, with its digest, and refusals of what does not go together."""

from __future__ import annotations

import pickle

import pytest

from lpe.pipeline.records import RecordFormat
from lpe.pipeline.records.bad_records import fail
from lpe.pipeline.sources import open_source, split_uri
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.plan import Plan, ReadSpec, open_plan, plan_dataset
from lpe.transforms.errors import DataError, UsageError
from tests.pipeline.dataset.making import CLASSES, SHAPE, make
from tests.pipeline.sources.images import encoded, pixels, write


def ids(plan: Plan) -> list[str]:
    return [
        image_id
        for task in plan.tasks
        for batch in task.reader.batches(fail("restore it"))
        for image_id in batch.ids
    ]


def test_a_source_is_cut_into_numbered_shards():
    with open_plan(ReadSpec("synthetic:200", validation_fraction="0.1")) as plan:
        assert (plan.source, plan.name, plan.image_shape, plan.channels) == (
            "synthetic:200",
            "synthetic",
            (32, 32, 3),
            3,
        )
        assert plan.splits == ("train", "validation", "test")
        assert plan.examples == 240
        assert [(task.split, task.index, task.count) for task in plan.tasks] == [
            ("train", 0, 2),
            ("train", 1, 2),
            ("validation", 0, 1),
            ("test", 0, 1),
        ]
        assert ids(plan) == [
            f"{split}-{number:07d}"
            for split, count in (("train", 180), ("validation", 20), ("test", 40))
            for number in range(count)
        ]
        assert plan.dataset is None
        assert not plan.temporary


def test_the_digest_is_that_of_the_source_and_computed_if_asked_for():
    with open_source("synthetic:20", ReadOptions()) as source, open_plan(ReadSpec("synthetic:20")) as plan:
        assert plan.digest == plan.origin == source.digest()
    with open_plan(ReadSpec("synthetic:20"), digest=False) as plan:
        assert plan.digest == plan.origin == ""


def test_a_dataset_is_read_as_it_is(tmp_path):
    data = make(tmp_path / "shapes", {"train": (5, 4), "test": (3,)})
    uri = f"dataset:{tmp_path}/shapes"
    with open_plan(ReadSpec(uri)) as plan:
        assert (plan.source, plan.name, plan.class_names, plan.image_shape) == (uri, "shapes", CLASSES, SHAPE)
        assert (plan.digest, plan.origin, plan.dataset) == (data.digest(), "o", data)
        assert plan.examples == 12
        assert ids(plan) == [
            f"{split}-{number:07d}" for split, count in (("train", 9), ("test", 3)) for number in range(count)
        ]
    assert plan_dataset(data).source == f"dataset:{data.directory}"
    assert plan_dataset(data).tasks == plan.tasks


@pytest.mark.parametrize(
    "more",
    [
        {"keep_ids": True},
        {"validation_fraction": "0.1"},
        {"options": ReadOptions(grey=True)},
        {"options": ReadOptions((8, 8))},
    ],
)
def test_what_was_decided_at_ingest_is_not_decided_again(tmp_path, more):
    make(tmp_path / "shapes", {"train": (5,)})
    with (
        pytest.raises(UsageError, match="a dataset is read as it is"),
        open_plan(ReadSpec(f"dataset:{tmp_path}/shapes", **more)),
    ):
        pass


def test_an_empty_dataset_is_refused(tmp_path):
    data = make(tmp_path / "shapes", {"train": (0,)})
    with pytest.raises(DataError, match="this dataset is empty"):
        plan_dataset(data)


def test_ciphertext_is_refused_where_plain_images_are_needed(tmp_path):
    plan_dataset(make(tmp_path / "plain", {"train": (5,)})).require_plain("decrypt it first")
    with open_plan(ReadSpec("synthetic:20")) as plan:
        plan.require_plain("decrypt it first")
    make(tmp_path / "enc", {"train": (5,)}, encrypted=True)
    uri = f"dataset:{tmp_path}/enc"
    with open_plan(ReadSpec(uri)) as plan, pytest.raises(DataError) as refusal:
        plan.require_plain("decrypt it first")
    assert str(refusal.value) == f"{uri}: this dataset is encrypted already; decrypt it first"


def test_images_are_stored_raw_unless_shapes_differ(tmp_path):
    with open_plan(ReadSpec("synthetic:20")) as plan:
        assert plan.output_format("tfrecord") == RecordFormat((32, 32, 3), "raw", 3)
    write(tmp_path, {"cat/1.png": encoded(pixels(1))})
    with open_plan(ReadSpec(f"folder:{tmp_path}", ReadOptions("any", grey=True))) as plan:
        fmt = RecordFormat(None, "png", 1, file_format="parquet")
        assert plan.output_format("parquet") == fmt


def test_tasks_travel_without_the_plan():
    with open_plan(ReadSpec("synthetic:20")) as plan:
        copied = pickle.loads(pickle.dumps(plan.tasks[0]))
        assert next(copied.reader.batches(fail("no"))).ids == ids(plan)[:20]


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("cifar10", ("tfds", "cifar10")),
        ("tfds:mnist/a:1.0.0", ("tfds", "mnist/a:1.0.0")),
        ("dataset:s3://bucket/home", ("dataset", "s3://bucket/home")),
        ("synthetic:20", ("synthetic", "20")),
    ],
)
def test_a_uri_is_a_kind_and_a_place(uri, parts):
    assert split_uri(uri) == parts


@pytest.mark.parametrize("uri", ["", "cifar100", "folder:", "parquets:x", ":x", "synthetic"])
def test_a_uri_of_no_kind_names_those_that_there_are(uri):
    with pytest.raises(DataError, match=r"unknown source .*; sources are cifar10, .*synthetic:N"):
        split_uri(uri)


@pytest.mark.parametrize("uri", ["synthetic:0", "synthetic:-1", "synthetic:many"])
def test_a_number_of_images_that_is_none(uri):
    with pytest.raises(DataError, match="N must be a whole number, at least 1"):
        open_source(uri, ReadOptions())


def test_a_dataset_is_no_source_of_raw_images():
    with pytest.raises(DataError, match="dataset:x: this job needs raw images, not a dataset"):
        open_source("dataset:x", ReadOptions())
