"""lpe show --html: what is on the page of a dataset, a run, a work directory, and what never is."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from lpe.pipeline.jobs.page import show_page
from lpe.train.loop import TrainSpec
from lpe.train.runs import Run
from lpe.transforms.errors import DataError, UsageError
from tests.browser import assert_stands_alone, layout_widths, needs_chromium
from tests.pipeline.running import encrypt, refused
from tests.secret_bytes import found, kek_key, prf_keys
from tests.train.datasets import CLASSES, ENCRYPTION, toy_images, write_dataset

HOSTILE = ("<script>alert(1)</script>", '"><img src=//x>', "left & right")
SCHEME = {
    "cipher": "lpe-100",
    "params": {"chain": "raster", "channels": "shared"},
    "scope": "dataset",
    "verdict": "Broken with 2 <b>known</b> images.",
    "attacks": [
        {"name": "known-lpe", "adversary": "known-plaintext", "images": 2, "psnr": 100, "ssim": 1, "exact": 1}
    ],
}


def write_run(directory: Path, *, encrypted: bool, finished: bool = True) -> Path:
    """A training run of two epochs, without its network."""
    directory.mkdir(parents=True)
    spec = dataclasses.asdict(TrainSpec("/data/toy <1>", str(directory), front_end="dechain", epochs=5))
    (directory / "spec.json").write_text(json.dumps(spec))
    line = {"accuracy": 0.5, "val_accuracy": 0.4, "loss": 1.5, "val_loss": 1.8, "seconds": 1.0}
    lines = [json.dumps({**line, "epoch": epoch}) for epoch in (1, 2)]
    (directory / "metrics.jsonl").write_text("\n".join([*lines, '{"torn']))
    run = Run(
        directory=str(directory),
        model="cnn",
        spec=spec,
        dataset={"name": "toy", "version": "1.0.0"},
        class_names=CLASSES,
        image_shape=(16, 16, 3),
        encryption=ENCRYPTION if encrypted else None,
        accuracy={"train": 0.5, "validation": 0.61 if encrypted else 0.82},
        best_epoch=1,
        epochs=2,
        seconds=2.0,
        seed=0,
    )
    if finished:
        (directory / "run.json").write_text(json.dumps(run.to_json()))
    return directory


def write_audit(directory: Path, *schemes: dict) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    report = {"source": "folder:<i>", "images": 40, "schemes": schemes}
    (directory / "report.json").write_text(json.dumps(report))
    (directory / "report.html").write_text("<p>the audit's own</p>")
    return directory


@pytest.fixture
def work(tmp_path) -> Path:
    """What `lpe run` leaves: a plain and an encrypted dataset, with hostile class names, and a run on each."""
    place = tmp_path / "work"
    write_dataset(place / "plain" / "toy", class_names=HOSTILE)
    write_dataset(place / "encrypted" / "toy", class_names=HOSTILE, encryption=ENCRYPTION)
    write_run(place / "runs" / "encrypted", encrypted=True)
    write_run(place / "runs" / "plain", encrypted=False)
    return place


def pictures(page: str) -> list[str]:
    return re.findall(r'<img src="data:image/png[^>]*alt="([^"]*)"', page)


def test_a_sealed_dataset_under_its_key_and_without(lpe, keystore, plain, tmp_path):
    home, page = tmp_path / "enc" / "shapes", tmp_path / "page.html"
    made = encrypt(lpe, keystore, f"dataset:{plain}", home, "--seal", "--hide-labels").json
    shown = lpe("show", home, "--keystore", keystore, "--html", page, "--images", 3, "--json")
    assert shown.json["output"] == str(page)
    assert shown.json["shows"] == ["shapes 1.0.0, encrypted with lpe-100"]
    text = page.read_text()
    assert_stands_alone(text)
    for part in (
        f"patients {made['key']['id']}",
        "lpe-100, one key per dataset, sealed",
        "100 images, 1 shard,",
        "checkerboard",
        "From top: plain, lpe-100.",
        "it is for their owner",
        "random",
    ):
        assert part in text
    assert len(pictures(text)) == 6
    secrets = [*prf_keys(keystore, "patients").values(), kek_key(keystore)]
    assert not found(secrets, page.read_bytes())
    done = lpe("show", home, "--html", page)
    assert done.code == 0
    assert "encrypted with lpe-100" in done.out
    text = page.read_text()
    assert "These images are sealed: pass --keystore" in text
    assert "names hidden" in text
    assert "checkerboard" not in text
    assert not pictures(text)


def test_a_dataset_without_a_key_store_shows_its_ciphertexts(work, tmp_path):
    page = tmp_path / "page.html"
    show_page(str(page), str(work / "encrypted" / "toy"), count=4)
    text = page.read_text()
    assert len(pictures(text)) == 4
    assert "their owner" not in text
    assert "patients 17" in text
    # The statistics are the ciphertexts' and random bytes', with no plain row.
    cells = re.findall(r"<tr[^>]*><td>([^<]*)</td>", text)
    assert cells == ["lpe-100", "random"]


def test_a_split_without_images_says_so(tmp_path):
    page = tmp_path / "page.html"
    splits = {"train": toy_images(6, 0), "test": toy_images(0, 1)}
    show_page(str(page), write_dataset(tmp_path / "toy", splits, shards=1))
    assert "This split has no images." in page.read_text()


def test_a_work_directory_has_everything_side_by_side(work, tmp_path):
    page = tmp_path / "page.html"
    write_audit(work / "audit", SCHEME, {**SCHEME, "scope": "image", "verdict": "of another scope"})
    shown = show_page(str(page), str(work), count=3)
    assert shown.to_json()["shows"] == [
        "toy 1.0.0, encrypted with lpe-100",
        "toy 1.0.0, plain images",
        str(work / "runs" / "encrypted"),
        str(work / "runs" / "plain"),
        str(work / "audit" / "report.html"),
    ]
    text = page.read_text()
    assert "<strong>61.0 %</strong>" in text
    assert "<strong>82.0 %</strong>" in text
    assert text.count("<svg viewBox") == 4
    assert "Broken with 2 &lt;b&gt;known&lt;/b&gt; images." in text
    assert "of another scope" not in text
    # The plain images are those of the plain dataset beside it: no key was asked for.
    assert len(pictures(text)) == 6


def test_a_recorded_audit_says_which_photographs_were_found(work, tmp_path):
    page = tmp_path / "page.html"
    found = {"first": 0.975, "median": 3.5, "candidates": 1000, "by": "<b>"}
    reduced = {**SCHEME, "reduction": "thumbnail=8", "verdict": "of reduced images"}
    attacked = {**SCHEME["attacks"][0], "reidentification": found}
    write_audit(work / "audit", {**SCHEME, "reduction": "", "attacks": [attacked]}, reduced)
    show_page(str(page), str(work), count=3)
    text = page.read_text()
    assert "right photograph first" in text
    assert '<td class="figure">98% (median 4)</td>' in text
    assert "of reduced images" not in text
    for field, wrong in (("first", 2), ("median", 0), ("candidates", 0), ("by", 3)):
        attacked["reidentification"] = {**found, field: wrong}
        write_audit(work / "audit", {**SCHEME, "attacks": [attacked]})
        with pytest.raises(DataError, match=rf"report\.json.*damaged.*{field}"):
            show_page(str(page), str(work), audit=str(work / "audit"))


def test_what_is_hostile_is_escaped(work, tmp_path):
    page = tmp_path / "page.html"
    hostile = work.rename(tmp_path / "<i>work")
    write_audit(hostile / "audit", {**SCHEME, "cipher": "<u>", "scope": "<u>"})
    show_page(str(page), str(hostile), count=3)
    text = page.read_text()
    assert_stands_alone(text)
    assert not re.findall(r"<script|<img src=//|<i>|<u>|<b>", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "This audit is of other encryptions than that of these images." in text


@pytest.mark.parametrize(
    ("content", "notice"),
    [
        (None, "No audit yet"),
        ("{", "damaged"),
        ('{"source": "x", "images": 1, "schemes": [{"cipher": 3}]}', "damaged"),
    ],
)
def test_a_missing_or_damaged_audit_spoils_nothing_else(work, tmp_path, content, notice):
    page = tmp_path / "page.html"
    if content is not None:
        write_audit(work / "audit")
        (work / "audit" / "report.json").write_text(content)
    show_page(str(page), str(work), count=3)
    text = page.read_text()
    assert notice in re.search(r'<p class="notice">(.*?)</p>', text, re.S)[1]
    assert "82.0 %" in text
    if content is not None:
        with pytest.raises(DataError, match=r"report\.json.*damaged"):
            show_page(str(page), str(work), audit=str(work / "audit"))


def test_a_run_and_an_unfinished_one(tmp_path):
    page = tmp_path / "page.html"
    done, half = tmp_path / "runs" / "done", tmp_path / "runs" / "half"
    write_run(done, encrypted=True)
    show_page(str(page), str(done), audit=str(write_audit(tmp_path / "audit", SCHEME)))
    text = page.read_text()
    for part in (
        "toy 1.0.0",
        "lpe-100",
        "patients 17",
        "dechain",
        "61.0% validation",
        "2, best 1",
        "known-lpe",
    ):
        assert part in text
    assert "resumes it" not in text
    write_run(half, encrypted=True, finished=False)
    show_page(str(page), str(half))
    text = page.read_text()
    assert "This training has not finished" in text
    assert f"lpe train --data &#39;/data/toy &lt;1&gt;&#39; --output {half} --model cnn" in text
    assert "2 of 5 finished" in text
    assert text.count("<svg viewBox") == 2
    (half / "metrics.jsonl").unlink()
    show_page(str(page), str(half))
    assert "0 of 5 finished" in page.read_text()
    (half / "spec.json").write_text("[]")
    with pytest.raises(DataError, match=r"spec\.json: damaged"):
        show_page(str(page), str(half))


def test_what_is_refused(lpe, work, tmp_path):
    page, data = tmp_path / "page.html", work / "encrypted" / "toy"
    refused(lpe("show", "no/such/place", "--html", tmp_path / "page.htm"), "ends in .html", code=2)
    refused(lpe("show", "--source", "synthetic:20", "--html", page), "name a dataset, a run", code=2)
    refused(lpe("show", data, "--audit", work), "--audit goes with --html", code=2)
    refused(lpe("show", data, "--html", page, "--audit", tmp_path), "no audit here")
    refused(lpe("show", tmp_path, "--html", page), "neither a dataset, nor a run")
    refused(lpe("show", write_audit(tmp_path / "a"), "--html", page), "a page of its own")
    assert not page.exists()
    with pytest.raises(UsageError, match=r"ends in \.html"):
        show_page("page", str(data))


@needs_chromium
def test_the_pages_fit_narrow_and_wide_windows(work, tmp_path):
    write_audit(work / "audit", SCHEME)
    targets = [work, work / "encrypted" / "toy", work / "runs" / "plain"]
    pages = [tmp_path / f"{i}.html" for i in range(len(targets))]
    for page, target in zip(pages, targets, strict=True):
        show_page(str(page), str(target))
    assert layout_widths(pages, tmp_path) == [[360, 1280]] * 3


def test_a_page_of_the_python_interface(work, tmp_path):
    page = show_page(str(tmp_path / "<b>.html"), str(work / "runs" / "plain"))
    assert dataclasses.is_dataclass(page)
    assert "&lt;b&gt;.html" in page._repr_html_()
