"""The values that options stand for."""

from __future__ import annotations

import pytest

import lpe
from lpe.pipeline.cli import job, options
from lpe.pipeline.cli.image_options import ImageOptions
from lpe.pipeline.cli.recipe import chosen_recipe


@pytest.mark.parametrize(
    ("text", "size"),
    [("same", "same"), ("any", "any"), ("32x48", (32, 48)), ("1x1", (1, 1)), ("224", (224, 224))],
)
def test_image_sizes(text, size):
    read = ImageOptions(image_size=text, grey=True).read_spec("folder:.", "0.1")
    assert read == lpe.ReadSpec("folder:.", lpe.ReadOptions(size, True), "0.1", False)


@pytest.mark.parametrize("text", ["", "0", "x", "32x", "-1x4", "0x4", "4x4x3", "Same", "99999x99999"])
def test_other_sizes_are_refused(text):
    with pytest.raises(lpe.UsageError, match=f"--image-size {text}"):
        ImageOptions(image_size=text).read_spec("folder:.")


def test_limits():
    assert ImageOptions().read_options().limits == lpe.Limits()
    read = ImageOptions("any", max_pixels=100, max_unpacked_bytes=7).read_spec("folder:.")
    assert read.options == lpe.ReadOptions("any", limits=lpe.Limits(pixels=100, unpacked_bytes=7))
    with pytest.raises(lpe.UsageError, match="--max-pixels 1000000000: give 1 to 178956970"):
        ImageOptions(max_pixels=10**9).read_options()


def test_what_becomes_of_odd_images():
    read = ImageOptions(
        fit="stretch", resample="box", background="white", depth=8, window="-160:240.5", frame=0
    ).read_options()
    assert read == lpe.ReadOptions(
        fit="stretch", resample="box", background="white", depth=8, window=(-160, 240.5), frame=0
    )


@pytest.mark.parametrize("text", ["", "5", "5:", "a:b", "1:2:3", "5:4"])
def test_other_windows_are_refused(text):
    with pytest.raises(lpe.UsageError, match=f"--window {text}: give LOW:HIGH"):
        ImageOptions(window=text).read_options()


def test_parameters():
    assert options.cipher_params(None) == {}
    assert options.cipher_params(["chain=row", "key=a=b"]) == {"chain": "row", "key": "a=b"}
    with pytest.raises(lpe.UsageError, match="NAME=VALUE"):
        options.cipher_params(["chain"])


def test_cipher_names():
    assert options.cipher_names("all") == lpe.ciphers.names()
    assert options.cipher_names("lpe-100,plain") == ["lpe-100", "plain"]
    with pytest.raises(lpe.CipherError):
        options.cipher_names("lpe-100,rot13")


def test_augmentation():
    assert options.augmentation_of(None, None, 3) is None
    assert options.augmentation_of("flip,crop", None, 3) == lpe.Augmentation(("flip", "crop"), 1, 3)
    with pytest.raises(lpe.UsageError, match="--augment"):
        options.augmentation_of(None, 2, 0)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("dataset:a/b", "a/b"),
        ("a/b", "a/b"),
        ("a:b", "a:b"),
        ("s3://bucket/a", "s3://bucket/a"),
        ("dataset:s3://bucket/a", "s3://bucket/a"),
    ],
)
def test_the_path_of_a_dataset(text, path):
    assert options.dataset_name(text, "--data") == path


@pytest.mark.parametrize("text", ["folder:a", "dataset:", "synthetic:20"])
def test_another_source_is_no_dataset(text):
    with pytest.raises(lpe.UsageError, match=f"--data {text}: .*dataset:DIR"):
        options.dataset_path(text, "--data")


def test_a_dataset_of_this_machine_is_looked_for():
    assert options.dataset_path("dataset:s3://bucket/a", "--data") == "s3://bucket/a"
    with pytest.raises(lpe.DataError, match="nowhere: no dataset here"):
        options.dataset_path("dataset:nowhere", "--data")


def test_beam_knows_its_options():
    job.check_beam_options(["--runner=DirectRunner"])
    with pytest.raises(lpe.UsageError, match="did you mean --runner"):
        job.check_beam_options(["--runer=DirectRunner"])


def test_a_recipe_takes_the_changes_that_are_given():
    recipe = chosen_recipe("cnn", None, batch_size=7, learning_rate=None)
    assert recipe.batch_size == 7
    assert recipe == chosen_recipe("cnn", "small", batch_size=7)
