"""lpe.audit: what can be asked for."""

from __future__ import annotations

import pytest

from lpe.pipeline.jobs.audit import AuditSpec, audit
from lpe.pipeline.sources.plan import ReadSpec
from lpe.transforms.errors import UsageError

SYNTHETIC = ReadSpec("synthetic:60")


def test_either_a_dataset_with_its_key_or_plain_images():
    with pytest.raises(UsageError, match="either an encrypted dataset or a --source"):
        AuditSpec("out")
    with pytest.raises(UsageError, match="either an encrypted dataset or a --source"):
        AuditSpec("out", dataset="data", keystore="keys", read=SYNTHETIC)
    with pytest.raises(UsageError, match="pass --keystore"):
        AuditSpec("out", dataset="data")


def test_an_audit_is_written_and_given_back(tmp_path):
    lines = []
    spec = AuditSpec(
        str(tmp_path / "out"),
        read=SYNTHETIC,
        ciphers=("plain", "pbe"),
        adversaries=("chosen-plaintext",),
        images=30,
    )
    report = audit(spec, lines.append)
    assert (report.source, report.images) == ("synthetic:60", 30)
    # Without a key there is no scope.
    assert [(scheme.target.cipher, scheme.target.scope) for scheme in report.schemes] == [
        ("plain", "dataset"),
        ("pbe", "dataset"),
        ("pbe", "image"),
    ]
    assert [result.attack for result in report.schemes[1].results] == ["chosen-pbe"]
    assert len(lines) == 1 + sum(len(scheme.results) for scheme in report.schemes)
    assert "attacks on 3 encryptions of 30 images" in lines[0]
    assert report.schemes[0].verdict == "No encryption: the images are there for all to see."
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.json", "report.html"}
    assert report.to_json()["output"] == spec.output


def test_a_negative_counts_as_what_it_shows(tmp_path):
    # Generated shapes, unlike photographs, do not tell which of the two it is.
    spec = AuditSpec(
        str(tmp_path / "out"),
        read=SYNTHETIC,
        ciphers=("pbe",),
        scopes=("dataset",),
        adversaries=("ciphertext-only",),
        images=40,
    )
    assert audit(spec).schemes[0].verdict.startswith("Broken from ciphertexts alone")
