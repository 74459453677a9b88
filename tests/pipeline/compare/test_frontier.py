"""The frontier of no key: what beats each scheme, the verdict in words, and the picture."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.audit.results import Reidentification
from lpe.pipeline.compare import figures, frontier, table
from lpe.pipeline.compare.restoring import BestAttack
from lpe.pipeline.compare.results import TrialResult
from lpe.pipeline.compare.schemes import ALL_CONTROLS, PLAIN, Scheme, control
from lpe.pipeline.compare.trials import CompareSpec, trials
from lpe.pipeline.compare.verdict import verdict
from lpe.pipeline.sources.plan import ReadSpec
from lpe.pipeline.storage.documents import parse_document
from lpe.transforms.errors import DataError, UsageError

FIGURES = {  # accuracy behind the front end and as it is, PSNR, share named
    "plain": (0.64, None, None, None),
    "thumbnail=8": (0.55, None, 20.9, 0.995),
    "thumbnail=16": (0.593, None, 25.9, 1.0),
    "noise=128": (0.47, None, 18.5, 0.7),
    "pbe": (0.61, 0.40, 100.0, 1.0),
    "lpe-100": (0.55, 0.375, 48.0, 0.8),
    "etc": (0.50, None, 13.9, 0.1),
}
CONTROLS = ("thumbnail=8", "thumbnail=16", "noise=128")


def rows_of(controls=CONTROLS, ciphers=("pbe", "lpe-100", "etc"), *, candidates=1000, tested=10_000):
    """The table of a comparison that came out as `FIGURES` say; no re-identification with no candidates."""
    spec = CompareSpec(
        ReadSpec("synthetic:100"), "work", ciphers=ciphers, controls=controls, seeds=1, as_it_is=True
    )
    finished, best_attacks = [], {}
    for trial in trials(spec, frozenset()):
        main, as_it_is, *_ = FIGURES[trial.scheme.title]
        accuracy = main if trial.kind == "front end" or as_it_is is None else as_it_is
        finished.append(TrialResult(trial, accuracy, 1, 1, trial.directory))
    for scheme in spec.schemes[1:]:
        *_, psnr, named = FIGURES[scheme.title]
        found = Reidentification(named, 1, candidates, "correlation") if candidates else None
        best_attacks[scheme] = BestAttack("smoothness", 40, psnr, 0.9, 0.5, 12.0, found)
    return table.rows(spec.schemes, ("a", "b"), finished, best_attacks, frozenset(), tested)


def test_each_scheme_with_a_key_is_held_against_the_controls():
    rows = {row.title: row for row in rows_of()}
    assert list(rows) == ["plain", *CONTROLS, "pbe", "lpe-100", "etc"]
    assert rows["pbe"].beaten_by == ("plain", "plain")  # exact, and so are plain images
    assert rows["pbe"].as_it_is_beaten_by == ("noise=128", "noise=128")
    assert rows["lpe-100"].beaten_by == ("thumbnail=16", "none")
    assert rows["lpe-100"].as_it_is_beaten_by == ("noise=128", "noise=128")
    assert rows["etc"].beaten_by == ("none", "none")
    for title in ("plain", *CONTROLS):
        assert (rows[title].beaten, rows[title].beaten_by) == (None, ("", ""))
    value = rows["lpe-100"].to_json()
    assert (value["cipher"], value["reduction"]) == ("lpe-100", "")
    assert value["reidentification"] == {
        "first": 0.8, "median": 1, "candidates": 1000, "by": "correlation"
    }  # fmt: skip
    assert value["beaten_by"]["psnr"]["control"] == "thumbnail=16"
    assert value["beaten_by"]["psnr"]["points"] == pytest.approx(4.3)
    assert value["beaten_by"]["reidentification"] is None
    assert value["as_it_is_beaten_by"]["psnr"]["control"] == "noise=128"
    assert rows["thumbnail=8"].to_json()["reduction"] == "thumbnail=8"


def test_the_verdict_says_how_many_keys_are_worth_nothing():
    beaten, renamed, meaning, _ = verdict(rows_of())
    assert beaten.startswith("Of 3 schemes 2 are beaten by a control without any key, ")
    assert "(pbe by the plain images themselves, lpe-100 by thumbnail=16; not beaten: etc)." in beaten
    assert "(a guess: 1 in 1,000), of 3 schemes 1 is beaten (pbe by the plain images" in renamed
    assert "the key buys nothing" in meaning
    assert verdict(rows_of(ciphers=("pbe",)))[0].startswith("The one scheme is beaten by")
    assert verdict(rows_of(ciphers=("pbe", "lpe-100")))[0].startswith("All of 2 schemes are beaten by")
    assert verdict(rows_of(ciphers=("etc",)))[0].startswith("The one scheme is not beaten by")
    assert len(verdict(rows_of(candidates=0))) == 3
    *_, told, _, _ = verdict(rows_of(tested=500))  # of so few images that 55 % and 56 % do not differ
    assert "more networks (--seeds)" in told
    (not_asked,) = verdict(rows_of(controls=()))
    assert "--controls all" in not_asked
    assert verdict(rows_of(ciphers=())) == ()


@pytest.mark.parametrize(
    ("changes", "panels"),
    [({}, 2), ({"candidates": 0, "controls": ()}, 1)],
)
def test_the_picture_has_a_panel_for_each_way_of_giving_away(changes, panels):
    picture = Image.open(io.BytesIO(frontier.draw(rows_of(**changes))))
    width, height = picture.size
    assert height == pytest.approx(panels * width * 5 / 9.5, abs=2)
    assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20


def test_bars_are_of_what_is_no_control():
    bars = [figures.bars(rows_of(controls=controls)) for controls in (CONTROLS, ())]
    assert bars[0] == bars[1]


def test_all_controls_are_reductions_and_have_directories_of_their_own():
    spec = CompareSpec(ReadSpec("synthetic:9"), "work", ciphers=("le",), controls=ALL_CONTROLS)
    assert spec.controls == ALL_CONTROLS
    assert spec.schemes == (PLAIN, *(Scheme("plain", text) for text in ALL_CONTROLS), Scheme("le"))
    assert all(scheme.needs_no_secret for scheme in spec.schemes[:-1])
    folders = [scheme.folder for scheme in (*spec.schemes, control("thumbnail=16, noise=32"))]
    assert len({*folders}) == len(folders)
    assert all(not set("=,:/ ") & {*folder} for folder in folders)
    assert control("thumbnail=16, blur=1.50").title == "thumbnail=16,blur=1.5"


def test_encoders_at_similar_places_do_not_share_a_directory():
    learned = [Scheme("plain", f"learned:{place}") for place in ("a/b", "a-b")]
    assert len({scheme.folder for scheme in learned}) == 2
    assert not any(scheme.needs_no_secret for scheme in learned)


def test_a_control_is_named_once_and_must_exist(tmp_path):
    twice = CompareSpec(ReadSpec("synthetic:9"), "work", controls=("blur=1", "blur=1.0", "grey"))
    assert twice.controls == ("blur=1", "grey")
    with pytest.raises(UsageError, match="thumbnial"):
        CompareSpec(ReadSpec("synthetic:9"), "work", controls=("thumbnial=8",))
    twice = dataclasses.replace(twice, work=str(tmp_path))
    twice.claim()
    dataclasses.replace(twice, controls=ALL_CONTROLS).claim()  # more may be added


def test_attacks_of_earlier_comparisons_knew_no_reidentification():
    def read(text):
        return BestAttack.from_json(parse_document(text, "attacks/pbe.json", "delete it"))

    old = '{"attack": null, "images": 0, "psnr": 9.5, "ssim": 0.1, "exact": 0.0, "floor": 12.0'
    assert read((old + "}").encode()) == BestAttack(None, 0, 9.5, 0.1, 0.0, 12.0)
    found = '{"first": 0.25, "median": 3, "candidates": 90, "by": "histogram"}'
    kept = BestAttack(None, 0, 9.5, 0.1, 0.0, 12.0, Reidentification(0.25, 3, 90, "histogram"))
    assert read(f'{old}, "reidentification": {found}}}'.encode()) == kept
    for damage in ("3", '{"first": 2}', found.replace("90", "0"), found.replace("0.25", "NaN")):
        with pytest.raises(DataError, match=r"attacks/pbe\.json"):
            read(f'{old}, "reidentification": {damage}}}'.encode())
