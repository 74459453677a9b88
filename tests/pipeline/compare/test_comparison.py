"""A comparison from its images to its report, with networks that are not trained."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import pytest

from lpe.pipeline.compare import comparison
from lpe.pipeline.compare.comparison import compare
from lpe.pipeline.compare.trials import CompareSpec
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.engine.progress import Silent
from lpe.pipeline.sources.plan import ReadSpec
from lpe.train.evaluate import Evaluation
from lpe.train.loop import TrainResult
from lpe.train.versions import DataUsed
from lpe.transforms.errors import DataError


@dataclasses.dataclass
class Networks:
    """Stands for training and evaluation: remembers what was asked for, finds every network half right."""

    trained: list = dataclasses.field(default_factory=list)

    def fit(self, spec, progress, status):
        self.trained.append(spec)
        progress(1, spec.epochs, {"accuracy": 0.5, "val_accuracy": 0.5}, 100.0)
        return TrainResult(
            run=spec.output,
            data=DataUsed("shapes", "1.0.0", None),
            model=f"{spec.output}/model.keras",
            front_end=spec.front_end,
            epochs=spec.epochs,
            accuracy={"train": 0.5, "validation": 0.5},
            seconds=1.5,
            skipped=False,
        )

    def evaluate(self, run, data, split):
        assert run == self.trained[-1].output
        assert data == self.trained[-1].data
        dataset = open_dataset(data)
        used = DataUsed(dataset.name, dataset.version, dataset.encryption)
        return Evaluation(used, 0.5, 1.0, dataset.splits[split].examples)


@pytest.fixture
def networks(monkeypatch):
    networks = Networks()
    monkeypatch.setattr(comparison, "fit", networks.fit)
    monkeypatch.setattr(comparison, "evaluate", networks.evaluate)
    monkeypatch.setattr(comparison, "load_run", lambda directory: directory)
    return networks


class Recorded(Silent):
    """Keeps the lines and the titles of the bars."""

    def __init__(self):
        self.lines = []
        self.bars = []

    def note(self, line):
        self.lines.append(line)

    def progress(self, title, unit="images"):
        self.bars.append(title)
        return contextlib.nullcontext(lambda done, total: None)


def test_every_network_is_trained_once_and_reported(tmp_path, networks):
    spec = CompareSpec(
        read=ReadSpec("synthetic:100"), work=str(tmp_path / "work"), ciphers=("lpe-50",), epochs=1, seeds=1,
        audit_images=20, as_it_is=True,
    )  # fmt: skip
    progress = Recorded()
    compared = compare(spec, progress)
    kinds = ["plain, ciphertext", "lpe-50, front end", "lpe-50, ciphertext", "lpe-50, restored"]
    numbered = [line for line in progress.lines if line.startswith("[")]
    assert [line[len("[1/4] ") :].startswith(kind) for line, kind in zip(numbered, kinds, strict=True)]
    assert progress.bars == ["ingest"]
    announced = progress.lines.index(
        "a few seconds on two CPU cores: at most 4 networks of 1 epoch on 90 images of 32×32×3; known better after the "
        "first"
    )
    assert announced < progress.lines.index("lpe-50: encrypting …")
    assert [line.endswith("(2 s); a few seconds left") for line in numbered] == [True] * 3 + [False]
    assert len(networks.trained) == 4
    assert networks.trained[3].data == open_dataset(f"{spec.work}/restored/lpe-50/synthetic").directory
    assert compared.counts == {"train": 90, "test": 20}
    assert [row.cipher for row in compared.rows] == ["plain", "lpe-50"]
    assert json.loads((tmp_path / "work" / "report.json").read_text()) == compared.content()
    assert compared.to_json() == {"output": spec.work, **compared.content()}
    again = compare(dataclasses.replace(spec, seeds=2))
    assert [(spec.output[-1], spec.seed) for spec in networks.trained[4:]] == [("1", 1)] * 4
    assert again.rows[1].accuracies["restored"].seeds == 2


def test_there_must_be_something_to_measure_on(lpe, tmp_path, networks, monkeypatch):
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", "synthetic:40", "--output", home).code == 0
    info = open_dataset(str(home))
    only_train = dataclasses.replace(info, splits={"train": info.splits["train"]})
    monkeypatch.setattr(comparison, "_encrypt", lambda *_: only_train)
    with pytest.raises(DataError, match="no test or validation images to compare accuracies on"):
        compare(CompareSpec(ReadSpec(f"dataset:{home}"), str(tmp_path / "work"), ("le",)))
    assert not networks.trained
