"""Each command end to end, as a user types it, and what it prints for machines (DESIGN, `--json`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.cli.app import main
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.sources.plan import plan_dataset

pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """One whole run: hidden labels, one key per dataset, two epochs."""
    return tmp_path_factory.mktemp("run") / "work"


@pytest.fixture(scope="module")
def first(work) -> dict:
    words = [
        "run",
        "--source",
        "synthetic:600",
        "--output",
        str(work),
        "--epochs",
        "2",
        "--hide-labels",
        "--json",
    ]
    command = [sys.executable, "-m", "lpe", *words]
    # TensorFlow, once it is imported here, has its logs shown in every process that this one starts.
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_run_does_it_all(first, work):
    assert (first["command"], first["status"]) == ("run", "ok")
    stages = first["stages"]
    assert list(stages) == [
        "keys",
        "ingest",
        "encrypt",
        "verify",
        "show",
        "audit",
        "train (encrypted)",
        "evaluate (encrypted)",
        "train (plain)",
        "evaluate (plain)",
    ]
    assert stages["encrypt"]["splits"]["train"]["examples"] == 540
    assert stages["encrypt"]["splits"]["validation"]["examples"] == 60
    assert stages["verify"]["ok"] is True
    assert stages["verify"]["examples"] == 720
    assert stages["evaluate (encrypted)"]["examples"] == 120
    assert first["accuracy"]["plain"] == stages["evaluate (plain)"]["accuracy"]
    assert 0 <= first["accuracy"]["encrypted"] <= 1
    assert first["front_end"] == "dechain+embedding"
    assert "no key restores unseen ones" in first["analyst"]
    assert stages["audit"]["schemes"][0]["cipher"] == "lpe-100"
    assert (work / "audit" / "report.html").is_file()
    assert Image.open(work / "grid.png").width > 900
    for kind in ("encrypted", "plain"):
        assert (work / "runs" / kind / "model.keras").is_file()
        assert Image.open(work / "runs" / kind / "curves.png").width > 100


def test_run_again_goes_on_where_it_stopped(first, work, lpe):
    again = lpe(
        "run", "--source", "synthetic:600", "--output", work, "--epochs", "2", "--hide-labels", "--json"
    ).json
    for stage in ("keys", "ingest", "encrypt", "train (encrypted)", "train (plain)"):
        assert again["stages"][stage]["status"] == "skipped"
    assert again["accuracy"] == first["accuracy"]


def test_the_summary_for_people(first, work, lpe):
    words = ("--source", "synthetic:600", "--output", work, "--epochs", "2", "--hide-labels")
    done = lpe("run", *words, "--no-baseline")
    assert done.code == 0
    assert "train (plain)" not in done.out
    assert f"Accuracy on images encrypted with lpe-100: {first['accuracy']['encrypted']:.1%}." in done.out
    assert "720 images decrypt to the plain ones" in done.out


def test_train_and_evaluate(first, work, lpe, tmp_path):
    data = work / "encrypted" / "synthetic"
    trained = lpe(
        "train", "--data", data, "--output", tmp_path / "r", "--epochs", 1, "--seed", 3, "--json"
    ).json
    assert trained["epochs"] == 1
    assert trained["model"] == str(tmp_path / "r" / "model.keras")
    assert trained["accuracy"].keys() == {"train", "validation"}
    found = lpe("evaluate", "--run", tmp_path / "r", "--data", data, "--json").json
    assert found.keys() >= {"accuracy", "loss", "examples", "seconds"}
    assert found["examples"] == 120
    other = lpe("evaluate", "--run", tmp_path / "r", "--data", work / "plain" / "synthetic")
    assert other.code == 1
    assert "trained on lpe-100 images" in other.err
    lines = lpe("train", "--data", data, "--output", tmp_path / "s", "--epochs", 1)
    assert "epoch 1/1: accuracy" in lines.err
    registering = lines.out.splitlines()[-1].partition(": ")[2]
    assert registering == f"lpe keys register {tmp_path}/s --keystore KEYSTORE"
    words = registering.replace("KEYSTORE", str(work / "keys")).split()
    assert lpe(*words[1:]).code == 0


def test_predict_encrypts_locally_and_gives_the_true_names(first, work, lpe, tmp_path):
    """The model saw ciphertext and numbers; its owner gets class names. Its answers are those of `evaluate`."""
    plain = open_dataset(str(work / "plain" / "synthetic"))
    task = next(task for task in plan_dataset(plain).tasks if task.split == "test")
    batch = next(task.reader.batches(lambda bad: pytest.fail(str(bad))))
    paths = [tmp_path / f"{i}.png" for i in range(40)]
    for path, image in zip(paths, batch.images, strict=False):
        Image.fromarray(image).save(path)
    words = ("predict", "--run", work / "runs" / "encrypted", "--keystore", work / "keys", "--json")
    found = lpe(*words, *paths).json["predictions"]
    assert [prediction["path"] for prediction in found] == [str(path) for path in paths]
    assert {prediction["label"] for prediction in found} <= set(plain.class_names)
    assert all(0 < prediction["probability"] <= 1 for prediction in found)
    # The same images out of the encrypted dataset, asked directly, labels permuted back.
    from lpe.pipeline.encryption.metadata import Encryption  # noqa: PLC0415
    from lpe.train.predict import predict  # noqa: PLC0415
    from lpe.train.runs import load_run  # noqa: PLC0415

    encrypted = open_dataset(str(work / "encrypted" / "synthetic"))
    task = next(task for task in plan_dataset(encrypted).tasks if task.split == "test")
    ciphertext = next(task.reader.batches(lambda bad: pytest.fail(str(bad)))).images[:40]
    answers = predict(load_run(str(work / "runs" / "encrypted")), ciphertext)
    described = Encryption.from_json(encrypted.encryption, "")
    order = described.open_key(str(work / "keys")).label_order(described.spec.salt, 10)
    expected = [plain.class_names[order.index(int(best))] for best in answers.argmax(axis=1)]
    assert [prediction["label"] for prediction in found] == expected


def test_predict_refuses(first, work, lpe, keystore, tmp_path):
    Image.fromarray(np.zeros((40, 20, 3), np.uint8)).save(tmp_path / "a.png")
    run = work / "runs" / "encrypted"
    assert "pass --keystore" in lpe("predict", "--run", run, tmp_path / "a.png").err
    assert "not the key store" in lpe("predict", "--run", run, "--keystore", keystore, tmp_path / "a.png").err
    missing = lpe("predict", "--run", run, "--keystore", work / "keys", tmp_path / "b.png")
    assert f"{tmp_path}/b.png: no such file" in missing.err
    (tmp_path / "c.png").write_text("x")
    broken = lpe("predict", "--run", run, "--keystore", work / "keys", tmp_path / "c.png")
    assert f"{tmp_path}/c.png: cannot be decoded" in broken.err
    plain = lpe("predict", "--run", work / "runs" / "plain", tmp_path / "a.png", "--json")
    assert len(plain.json["predictions"]) == 1


def test_keys_for_machines(lpe, tmp_path):
    store = ("--keystore", tmp_path / "keys", "--json")
    made = lpe("keys", "create", "patients", *store).json
    assert (made["command"], made["name"]) == ("keys create", "patients")
    (key,) = made["keys"]
    assert key.keys() == {"id", "state", "primary", "created"}
    rotated = lpe("keys", "rotate", "patients", *store).json["keys"]
    assert [k["primary"] for k in rotated] == [False, True]
    assert lpe("keys", "disable", "patients", key["id"], *store).json["keys"][0]["state"] == "disabled"
    assert lpe("keys", "enable", "patients", key["id"], *store).json["keys"][0]["state"] == "enabled"
    assert lpe("keys", "destroy", "patients", key["id"], *store).json["keys"][0]["state"] == "destroyed"
    assert lpe("keys", "list", "patients", *store).json["keys"][1] == rotated[1]
    failed = lpe("keys", "list", "nobody", *store)
    assert failed.code == 1
    assert failed.json["status"] == "error"
    assert failed.json["command"] == "keys list"


@pytest.mark.parametrize("more", [(), ("--keystore",), ("--against",)])
def test_show_draws_a_grid(first, work, lpe, tmp_path, more):
    words = {"--keystore": work / "keys", "--against": f"dataset:{work}/plain/synthetic"}
    options = [word for name in more for word in (name, words[name])]
    png = tmp_path / "grid.png"
    shown = lpe(
        "show", work / "encrypted" / "synthetic", "--output", png, "--images", 6, "--json", *options
    ).json
    assert len(shown["images"]) == 6
    grid = np.asarray(Image.open(png))
    cell, gap = 96, 6
    left, top = grid.shape[1] - 6 * (cell + gap), grid.shape[0] - (2 if more else 1) * (cell + gap)
    data = work / ("plain" if more else "encrypted") / "synthetic"
    expected = image_of(data, shown["images"][0]["id"])
    # 32 pixels on 96: every third one, in the middle.
    assert np.array_equal(grid[top + 1 : top + cell : 3, left + 1 : left + cell : 3], expected)


def image_of(home, name: str) -> np.ndarray:
    for task in plan_dataset(open_dataset(str(home))).tasks:
        for batch in task.reader.batches(lambda bad: pytest.fail(str(bad))):
            if name in batch.ids:
                return batch.images[batch.ids.index(name)]
    return pytest.fail(f"no image {name}")


def test_show_encrypts_a_source_for_show(lpe, tmp_path):
    png = tmp_path / "grid.png"
    shown = lpe("show", "--source", "synthetic:50", "--ciphers", "all", "--output", png, "--json")
    assert len({image["class"] for image in shown.json["images"]}) == 10
    assert lpe("show", "--output", png).code == 2
    assert lpe("show", "--source", "synthetic:50", "--ciphers", "rot13", "--output", png).code == 1
    assert lpe("show", "--source", "synthetic:50", "--output", tmp_path / "grid.jpg").code == 2


def test_usage_errors_are_one_line_and_exit_2(lpe):
    for words in (("encrypt",), ("no-such-command",), ("keys", "create"), ("train", "--epochs", "many")):
        outcome = lpe(*words)
        assert outcome.code == 2, outcome
        assert outcome.err.startswith("lpe: ")
        assert outcome.err.count("\n") == 1


def test_debug_shows_where(lpe):
    assert "Traceback" in lpe("verify", "nowhere", "--debug").err
    assert "Traceback" not in lpe("verify", "nowhere").err


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in [
        "run",
        "ingest",
        "encrypt",
        "decrypt",
        "verify",
        "show",
        "keys",
        "train",
        "evaluate",
        "predict",
    ]:
        assert f" {command} " in text
