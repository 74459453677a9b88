"""A comparison from its images to its report, with networks that are not trained."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

import pytest

from lpe.pipeline.compare import comparison, networks, restoring
from lpe.pipeline.compare.comparison import compare
from lpe.pipeline.compare.trials import CompareSpec
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.engine.progress import Silent
from lpe.pipeline.jobs.spec import JobSpec
from lpe.pipeline.jobs.training_process import Trained
from lpe.pipeline.sources.plan import ReadSpec
from lpe.train.evaluate import Evaluation
from lpe.train.loop import TrainResult
from lpe.train.versions import DataUsed
from lpe.transforms.errors import DataError
from tests.pipeline.running import contents, encrypt, refused


@dataclasses.dataclass
class Networks:
    """Stands for the processes that train: remembers what was asked for, finds every network half right."""

    trained: list = dataclasses.field(default_factory=list)
    submitted: dict = dataclasses.field(default_factory=dict)

    def __call__(self, processes, prepare, progress, preload):
        self.submitted = {}
        return self

    def __exit__(self, *error):
        pass

    def submit(self, name, function, spec, split):
        self.trained.append(spec)
        dataset = open_dataset(spec.data)
        used = DataUsed(dataset.name, dataset.version, dataset.encryption)
        train = TrainResult(
            run=spec.output,
            data=used,
            model=f"{spec.output}/model.keras",
            front_end=spec.front_end,
            epochs=spec.epochs,
            accuracy={"train": 0.5, "validation": 0.5},
            seconds=1.5,
            skipped=False,
        )
        evaluation = Evaluation(used, 0.5, 1.0, dataset.splits[split].examples)
        self.submitted[name] = Trained(train, 1.5, evaluation, 0.1)

    def finished(self):
        return iter(self.submitted.items())


@pytest.fixture
def trained(monkeypatch):
    stand_in = Networks()
    monkeypatch.setattr(networks, "SideBySide", stand_in)
    return stand_in.trained


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


def test_every_network_is_trained_once_and_reported(tmp_path, trained):
    spec = CompareSpec(
        read=ReadSpec("synthetic:100"), work=str(tmp_path / "work"), ciphers=("lpe-50",), epochs=1, seeds=1,
        audit_images=20, as_it_is=True,
    )  # fmt: skip
    progress = Recorded()
    compared = compare(spec, progress)
    kinds = [
        "plain, ciphertext, seed 0",
        "lpe-50, front end dechain+embedding, seed 0",
        "lpe-50, ciphertext, seed 0",
        "lpe-50, restored, seed 0",
    ]
    numbered = [line for line in progress.lines if line.startswith("[")]
    assert [line.split(":")[0] for line in numbered] == [
        f"[{number}/4] {kind}" for number, kind in enumerate(kinds, 1)
    ]
    assert progress.bars == ["ingest"]
    announced = progress.lines.index(
        "a few seconds on two CPU cores: at most 4 networks of 1 epoch on 90 images of 32×32×3; known better after the "
        "first"
    )
    assert announced < progress.lines.index("lpe-50: encrypting …")
    assert [line.endswith("(2 s); a few seconds left") for line in numbered] == [True] * 3 + [False]
    assert len(trained) == 4
    assert trained[3].data == open_dataset(f"{spec.work}/restored/lpe-50/synthetic").directory
    assert compared.counts == {"train": 90, "test": 20}
    assert [row.title for row in compared.rows] == ["plain", "lpe-50"]
    assert json.loads((tmp_path / "work" / "report.json").read_text()) == compared.content()
    assert compared.to_json() == {"output": spec.work, **compared.content()}
    # Seeds, and controls without a key, may be added later.
    again = compare(dataclasses.replace(spec, seeds=2, controls=("thumbnail=8,noise=16",)))
    added = [(spec.output.removeprefix(f"{again.spec.work}/runs/"), spec.seed) for spec in trained[4:]]
    assert sorted(added) == [
        ("lpe-50/ciphertext/1", 1),
        ("lpe-50/front-end/1", 1),
        ("lpe-50/restored/1", 1),
        ("plain/ciphertext/1", 1),
        ("thumbnail-8-noise-16/ciphertext/0", 0),
        ("thumbnail-8-noise-16/ciphertext/1", 1),
    ]
    reduced = open_dataset(f"{spec.work}/encrypted/thumbnail-8-noise-16/synthetic")
    assert (reduced.image_shape, reduced.encryption["cipher"]) == ((8, 8, 3), "plain")
    plain_row, control, scheme = again.rows
    assert (plain_row.title, control.title, scheme.title) == ("plain", "thumbnail=8,noise=16", "lpe-50")
    assert control.accuracies.keys() == {"ciphertext"}
    assert scheme.accuracies["restored"].seeds == 2
    # All networks are half right: what gives away less beats what gives away more.
    assert control.psnr < scheme.psnr
    assert scheme.beaten_by[0] == "thumbnail=8,noise=16 (≈)"
    assert again.verdict[0] in (tmp_path / "work" / "report.html").read_text()


def test_what_an_attack_learnt_stays_in_its_process(lpe, keystore, tmp_path):
    home = tmp_path / "enc" / "shapes"
    assert encrypt(lpe, keystore, "synthetic:60", home, "--cipher", "le").code == 0
    data = open_dataset(str(home))
    best = restoring.attack(data, str(keystore), 20, str(tmp_path / "le.json"))
    assert best.attack is not None
    job = JobSpec(ReadSpec(f"dataset:{home}"), str(tmp_path / "restored" / "shapes"), processes=2)
    restored = restoring.restore(job, str(keystore), 20, best)
    assert contents(Path(restored.directory)).keys() == contents(home).keys()


def test_there_must_be_something_to_measure_on(lpe, tmp_path, trained, monkeypatch):
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", "synthetic:40", "--output", home).code == 0
    info = open_dataset(str(home))
    only_train = dataclasses.replace(info, splits={"train": info.splits["train"]})
    monkeypatch.setattr(comparison, "_encrypt", lambda *_: only_train)
    with pytest.raises(DataError, match="no test or validation images to compare accuracies on"):
        compare(CompareSpec(ReadSpec(f"dataset:{home}"), str(tmp_path / "work"), ("le",)))
    assert not trained


def test_plain_images_within_a_seal_are_compared_with_the_data_key(lpe, keystore, tmp_path, trained):
    def seal(cipher: str) -> tuple[str, Path]:
        home, key = tmp_path / "sealed" / cipher, tmp_path / f"{cipher}.datakey"
        encrypted = encrypt(lpe, keystore, "synthetic:40", home, "--seal", "--cipher", cipher)
        assert encrypted.code == 0, encrypted
        words = ("--keystore", keystore, "--dataset", home, "--output", key)
        assert lpe("keys", "export", "patients", *words).code == 0
        return f"dataset:{home}", key

    work = tmp_path / "work"
    words = ("compare", "--output", work, "--ciphers", "plain", "--epochs", "1", "--seeds", "1", "--source")
    source, key = seal("plain")
    refused(lpe(*words, source), "is sealed", "--data-key FILE")
    ciphertext, of_ciphertext = seal("le")
    refused(lpe(*words, source, "--data-key", of_ciphertext), "of another dataset")
    refused(lpe(*words, ciphertext, "--data-key", of_ciphertext), "is encrypted already")
    misplaced = lpe(*words, "synthetic:40", "--data-key", key)
    assert (misplaced.code, "not a sealed dataset" in misplaced.err) == (2, True)
    assert not work.exists()
    compared = lpe(*words, source, "--data-key", key, "--control", "grey", "--json")
    assert compared.code == 0, compared
    assert lpe("ingest", "--source", "synthetic:40", "--output", tmp_path / "plain" / "synthetic").code == 0
    assert contents(work / "encrypted" / "plain" / "plain") == contents(tmp_path / "plain" / "synthetic")
    assert [spec.data_key for spec in trained] == [None, None]
    assert [scheme["reduction"] for scheme in compared.json["schemes"]] == ["", "grey"]
