"""Plain versions beside encrypted ones, and what is said of the data that was used."""

import shutil
from pathlib import Path

import pytest

from lpe.pipeline.compare.comparison import compare
from lpe.pipeline.compare.trials import CompareSpec
from lpe.pipeline.sources.plan import ReadSpec
from lpe.train.evaluate import evaluate
from lpe.train.loop import TrainSpec, fit
from lpe.train.recipes import Recipe
from lpe.train.runs import load_run
from lpe.transforms.errors import UsageError
from tests.train.datasets import ENCRYPTION, write_dataset


@pytest.fixture(params=["plain", "encrypted"])
def mixed(request, tmp_path):
    """A home whose newest version is of one kind and whose oldest is of the other; which kind the newest is."""
    first, second = (None, ENCRYPTION) if request.param == "encrypted" else (ENCRYPTION, None)
    home = Path(write_dataset(tmp_path / "home/toy", encryption=first))
    write_dataset(tmp_path / "other/toy", encryption=second, version="1.0.1")
    shutil.move(tmp_path / "other/toy/1.0.1", home / "1.0.1")
    return str(home), request.param


def test_a_home_of_plain_and_encrypted_versions_is_not_trained_on_silently(lpe, mixed, spec, tmp_path):
    home, newest = mixed
    oldest = "plain" if newest == "encrypted" else "encrypted"
    message = rf"toy: plain .* 1\.0\.1 is {newest}, 1\.0\.0 is {oldest}\); name .* e\.g\. {home}/1\.0\.1"
    with pytest.raises(UsageError, match=message.replace(" 1", r" \(?1", 1)):
        fit(TrainSpec(home, str(tmp_path / "run")))
    with pytest.raises(UsageError, match="name the one that you mean"):
        evaluate(load_run(spec.output), home)
    with pytest.raises(UsageError, match="name the one that you mean"):
        compare(CompareSpec(ReadSpec(f"dataset:{home}"), str(tmp_path / "compare")))
    assert not (tmp_path / "run").exists()
    done = lpe("train", "--data", home, "--output", tmp_path / "run")
    assert (done.code, len(done.err.splitlines())) == (2, 1)


def test_a_version_that_is_named_is_trained_on_and_the_table_says_which(lpe, mixed, tmp_path):
    home, newest = mixed
    words = ["--data", f"{home}/1.0.1", "--output", tmp_path / "run", "--epochs", 1]
    done = lpe("train", *words)
    assert done.code == 0, done.err
    cipher, key = ("lpe-100", "patients 17") if newest == "encrypted" else ("plain", "none")
    rows = [line.replace("│", " ").split() for line in done.out.splitlines()]
    assert ["data", "toy", "1.0.1"] in rows
    assert ["cipher", cipher] in rows
    assert ["key", *key.split()] in rows
    value = lpe("evaluate", "--run", tmp_path / "run", "--data", f"{home}/1.0.1", "--json").json
    assert value["data"] == {"name": "toy", "version": "1.0.1"}
    assert value["cipher"] == cipher
    assert value.get("key") == ({"name": "patients", "id": 17} if newest == "encrypted" else None)
    said = load_run(str(tmp_path / "run"))
    assert (said.dataset["version"], said.encryption is None) == ("1.0.1", newest == "plain")


def test_a_home_of_one_kind_is_taken_at_its_newest(toy, tmp_path):
    home = tmp_path / "toy"
    shutil.copytree(toy, home)
    write_dataset(tmp_path / "other/toy", version="1.0.1")
    shutil.move(tmp_path / "other/toy/1.0.1", home / "1.0.1")
    result = fit(TrainSpec(str(home), str(tmp_path / "run"), epochs=1, recipe=Recipe(batch_size=64)))
    assert result.data.version == "1.0.1"
