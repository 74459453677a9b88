"""`lpe compare`: one network for everything there is to train, resumable, and a table that says what was measured."""

import base64
import dataclasses
import io
import json
import re

import pytest
from PIL import Image

from lpe.pipeline.compare import report, results, table
from lpe.pipeline.compare.report import Comparison
from lpe.pipeline.compare.restoring import BestAttack
from lpe.pipeline.compare.results import TrialResult
from lpe.pipeline.compare.schemes import Scheme
from lpe.pipeline.compare.trials import CompareSpec, Trial, trials
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.sources.plan import ReadSpec
from lpe.train.recipes import RECIPES
from lpe.transforms.errors import DataError, UsageError
from tests.browser import assert_stands_alone, layout_widths, needs_chromium
from tests.pipeline.running import refused

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ACCURACY = {
    ("plain", "ciphertext"): 0.60,
    ("pbe", "ciphertext"): 0.40,
    ("pbe", "front end"): 0.55,
    ("lpe-100", "ciphertext"): 0.45,
    ("lpe-100", "front end"): 0.57,
    ("lpe-100", "restored"): 0.59,
}

PBE, LPE = Scheme("pbe"), Scheme("lpe-100")


def spec_of(place, **changes):
    spec = CompareSpec(
        read=ReadSpec("synthetic:100"),
        work=str(place),
        ciphers=("plain", "pbe", "lpe-100"),
        model="cnn",
        front_end="auto",
        as_it_is=True,
        epochs=1,
        recipe=RECIPES["small"],
        precision="float32",
        seeds=2,
        images=None,
        audit_images=50,
        augmentation=None,
    )
    return dataclasses.replace(spec, **changes)


def comparison(place, plain, class_names=CIFAR10, tested=10_000):
    """A comparison as it would have come out, with accuracies of our making."""
    spec = spec_of(place)
    finished = [
        TrialResult(
            trial, ACCURACY[trial.scheme.title, trial.kind] + 0.01 * trial.seed, 1, 2.5, trial.directory
        )
        for trial in trials(spec, frozenset({LPE}))
    ]
    best_attacks = {
        PBE: BestAttack("negatives", 10, 100.0, 1.0, 1.0, 12.0),
        LPE: BestAttack("smoothness", 40, 31.5, 0.97, 0.7, 12.0),
    }
    rows = table.rows(spec.schemes, class_names, finished, best_attacks, frozenset({PBE}), tested)
    plain_directory = open_dataset(str(plain)).directory
    return Comparison(spec, plain_directory, {"train": 100, "test": 20}, rows)


def test_a_whole_table_for_one_seed_comes_before_the_next(tmp_path):
    planned = trials(spec_of(tmp_path), frozenset({LPE}))
    assert [trial.seed for trial in planned] == [0] * 6 + [1] * 6
    assert [(trial.scheme.cipher, trial.kind, trial.front_end) for trial in planned[:6]] == [
        ("plain", "ciphertext", "none"),
        ("pbe", "front end", "embedding"),
        ("pbe", "ciphertext", "none"),
        ("lpe-100", "front end", "dechain+embedding"),
        ("lpe-100", "ciphertext", "none"),
        ("lpe-100", "restored", "none"),
    ]
    assert len({trial.directory for trial in planned}) == 12
    chosen = trials(spec_of(tmp_path, front_end="dechain"), frozenset())
    assert {trial.front_end for trial in chosen if trial.kind == "front end"} == {"dechain"}
    # Ciphertexts as they are are trained on at request, and where there is nothing else.
    plan = trials(spec_of(tmp_path, as_it_is=False, seeds=1), frozenset())
    assert [(trial.scheme.cipher, trial.kind) for trial in plan] == [
        ("plain", "ciphertext"),
        ("pbe", "front end"),
        ("lpe-100", "front end"),
    ]
    plan = trials(spec_of(tmp_path, as_it_is=False, front_end="none", seeds=1), frozenset())
    assert {trial.kind for trial in plan} == {"ciphertext"}


def test_the_table_has_means_spreads_and_what_is_lost(plain, tmp_path):
    rows = {row.title: row for row in comparison(tmp_path, plain).rows}
    assert str(rows["plain"].accuracies["ciphertext"]) == "60.5 ± 0.7 %"
    lpe = rows["lpe-100"]
    assert (lpe.front_end, lpe.attack, lpe.psnr, lpe.exact) == (
        "dechain+embedding",
        "smoothness",
        31.5,
        False,
    )
    assert (lpe.as_it_is_gap, lpe.gap) == (pytest.approx(15), pytest.approx(3))
    assert lpe.accuracies["restored"].mean == pytest.approx(0.595)
    # Restored without a difference: the plain network is the network.
    assert rows["pbe"].accuracies["restored"] == rows["plain"].accuracies["ciphertext"]
    assert lpe.published.accuracy == pytest.approx(89.59)
    assert rows["pbe"].published is None
    others = comparison(tmp_path, plain, class_names=tuple("abcdefghij")).rows
    assert all(row.published is None for row in others)


def test_a_difference_below_its_noise_is_no_difference(plain, tmp_path):
    # 60.5 and 57.5 %, of 2 seeds each that differ by 1 point: the error of either mean is 0.5 points.
    (_, _, lpe) = comparison(tmp_path, plain, tested=10_000).rows
    assert lpe.gap_noise == pytest.approx(200 * (2 * 0.005**2) ** 0.5, rel=1e-3)
    assert (lpe.lost, lpe.as_it_is[1]) == ("3.0", "15.0")
    # Of 500 test images chance alone makes more.
    chance = 200 * ((0.605 * 0.395 + 0.575 * 0.425) / 500) ** 0.5
    (plain_row, _, lpe) = comparison(tmp_path, plain, tested=500).rows
    assert lpe.gap_noise == pytest.approx(chance)
    assert (lpe.lost, lpe.as_it_is[1]) == (f"≈ 0 (±{chance:.1f})", "15.0")
    assert (plain_row.lost, plain_row.as_it_is) == ("", None)
    value = lpe.to_json()
    assert (value["gap"], value["gap_noise"], value["as_it_is_gap"]) == (3.0, round(chance, 3), 15.0)


def test_ciphertexts_as_they_are_have_a_line_of_their_own(plain, tmp_path):
    _, lines = comparison(tmp_path, plain).table()
    assert [line[0] for line in lines] == ["plain", "pbe", "pbe, as it is", "lpe-100", "lpe-100, as it is"]
    assert [line[1] for line in lines[3:]] == ["57.5 ± 0.7 %", "45.5 ± 0.7 %"]


def test_the_page_stands_by_itself(plain, tmp_path):
    written = comparison(tmp_path, plain)
    report.write(written)
    value = written.content()
    assert json.loads((tmp_path / "report.json").read_text()) == value
    scheme = next(scheme for scheme in value["schemes"] if scheme["cipher"] == "lpe-100")
    assert scheme["accuracy"]["front end"] == {
        "mean": pytest.approx(0.575),
        "spread": pytest.approx(0.0071, abs=1e-4),
        "seeds": 2,
    }
    page = (tmp_path / "report.html").read_text()
    assert report.LEAKAGE in page
    assert "100 training images, no augmentation, 20 test images" in page
    assert "60.5 ± 0.7 %" in page
    assert_stands_alone(page)
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 3
    for picture in pictures:
        assert min(Image.open(io.BytesIO(base64.b64decode(picture))).size) > 200


@needs_chromium
def test_the_page_fits_narrow_and_wide_windows(plain, tmp_path):
    report.write(comparison(tmp_path, plain))
    assert layout_widths([tmp_path / "report.html"], tmp_path) == [[360, 1280]]


def test_results_are_kept_a_line_each(tmp_path):
    path = str(tmp_path / "results.jsonl")
    assert results.read(path) == []
    trial = Trial(LPE, "front end", "dechain", 1)
    reduced = Trial(Scheme("plain", "thumbnail=16,noise=32"), "ciphertext", "none", 0)
    finished = [TrialResult(one, 0.5, 3, 12.25, one.directory) for one in (trial, reduced)]
    results.write(path, finished)
    lines = (
        '{"cipher": "lpe-100", "reduction": "", "kind": "front end", "front_end": "dechain", "seed": 1, '
        '"accuracy": 0.5, "epochs": 3, "seconds": 12.25, "run": "runs/lpe-100/front-end/1"}\n'
        '{"cipher": "plain", "reduction": "thumbnail=16,noise=32", "kind": "ciphertext", "front_end": "none", '
        '"seed": 0, "accuracy": 0.5, "epochs": 3, "seconds": 12.25, '
        '"run": "runs/thumbnail-16-noise-32/ciphertext/0"}\n'
    )
    assert (tmp_path / "results.jsonl").read_text() == lines
    assert results.read(path) == finished
    # As the first comparisons wrote them, which knew no reductions.
    (tmp_path / "results.jsonl").write_text(lines.splitlines()[0].replace('"reduction": "", ', ""))
    assert results.read(path) == finished[:1]
    for damaged in ("{", "[]", '{"cipher": "lpe-100"}'):
        (tmp_path / "results.jsonl").write_text(damaged + "\n")
        with pytest.raises(DataError, match=r"results\.jsonl: line 1: damaged"):
            results.read(path)


def test_plain_is_always_compared_and_first(tmp_path):
    assert spec_of(tmp_path, ciphers=("le",)).ciphers == ("plain", "le")
    assert spec_of(tmp_path, ciphers=("le", "plain", "pbe")).ciphers == ("plain", "le", "pbe")


def test_a_work_directory_is_one_comparison(tmp_path):
    spec_of(tmp_path).claim()
    spec_of(tmp_path, seeds=5, ciphers=("plain", "le")).claim()  # more of the same may be added
    with pytest.raises(DataError, match=r"with other settings \(epochs, model\); choose another --output"):
        spec_of(tmp_path, epochs=2, model="resnet18").claim()
    spec_of(tmp_path).claim("12ab")
    spec_of(tmp_path).claim("12ab")
    with pytest.raises(DataError, match=r"other settings .content of the source"):
        spec_of(tmp_path).claim("34cd")
    (tmp_path / "spec.json").write_text("{")
    with pytest.raises(DataError, match=r"spec\.json: damaged"):
        spec_of(tmp_path).claim()


def test_nonsense_is_refused(lpe, tmp_path):
    with pytest.raises(UsageError, match="at least one seed"):
        spec_of(tmp_path, seeds=0)
    with pytest.raises(UsageError, match="directory of this machine"):
        spec_of("s3://bucket/compare")
    with pytest.raises(UsageError, match="unknown front end"):
        spec_of(tmp_path, front_end="magic")
    words = ("compare", "--source", "synthetic:50", "--output", tmp_path / "w")
    refused(lpe(*words, "--ciphers", "rot13"), "rot13")
    unknown = lpe(*words, "--control", "thumbnial=8")
    assert (unknown.code, "did you mean thumbnail?" in unknown.err) == (2, True)
    assert not (tmp_path / "w").exists()
    refused(lpe(*words, "--recipe", "secret"), "recipes are small, fast, madono", code=2)


@pytest.mark.slow
def test_the_command_end_to_end_and_again(lpe, tmp_path):
    work = tmp_path / "compare"
    words = ("compare", "--source", "synthetic:150", "--output", work, "--ciphers", "lpe-100", "--epochs", 1)
    settings = ("--audit-images", 60, "--augment", "flip", "--as-it-is", "--json")
    first = lpe(*words, *settings, "--seeds", 1)
    assert first.code == 0, first.err
    schemes = {scheme["cipher"]: scheme for scheme in first.json["schemes"]}
    assert set(schemes) == {"plain", "lpe-100"}
    assert set(schemes["lpe-100"]["accuracy"]) == {"ciphertext", "front end", "restored"}
    assert schemes["lpe-100"]["psnr"] > 20
    lines = (work / "results.jsonl").read_text().splitlines()
    assert len(lines) == 4
    # Killed after its third network, and with one more seed: nothing is trained twice.
    (work / "results.jsonl").write_text("\n".join(lines[:3]) + "\n")
    trained = {path: path.stat().st_mtime_ns for path in work.glob("runs/**/run.json")}
    second = lpe(*words, *settings, "--seeds", 2)
    assert second.code == 0, second.err
    assert (work / "results.jsonl").read_text().splitlines()[:4] == lines
    assert all(path.stat().st_mtime_ns == then for path, then in trained.items())
    assert {scheme["accuracy"]["ciphertext"]["seeds"] for scheme in second.json["schemes"]} == {2}
    assert open_dataset(str(work / "restored" / "lpe-100" / "synthetic")).copies("train") == (
        "train_augmented_1",
    )
