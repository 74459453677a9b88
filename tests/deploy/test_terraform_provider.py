"""deploy/: Terraform finds its files well-formed, and Google's provider knows every attribute in them."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.deploy import SCHEDULES, tool
from tests.deploy.confidential import CONFIDENTIAL
from tests.deploy.dataflow import DATAFLOW
from tests.deploy.hcl import Block, Provider, blocks

DATAFLOW_TERRAFORM = DATAFLOW / "terraform"
FOLDERS = [DATAFLOW_TERRAFORM, SCHEDULES / "gcp", CONFIDENTIAL / "terraform"]
PROVIDER = "cdktf-cdktf-provider-google==16.12.1"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_terraform_finds_its_files_well_formed(folder):
    """`terraform validate` needs Google's provider, which is not to be had everywhere tests run."""
    done = subprocess.run(
        [tool("terraform", "HashiCorp's binary"), "fmt", "-check", "-diff", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def provider(tmp_path_factory) -> Provider:
    """What stands in for `terraform validate`, whose provider can't be had everywhere tests run."""
    folder = tmp_path_factory.mktemp("provider")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PROVIDER]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        line = f"{PROVIDER} can't be had, so attributes of Terraform's resources are not tested: {done.stderr[-300:]}"
        warnings.warn(line, stacklevel=1)
        pytest.skip(line)
    (wheel,) = folder.glob("*.whl")
    return Provider(wheel)


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_googles_provider_knows_every_attribute(folder, provider):
    found = blocks(folder)
    assert found
    assert [problem for block in found for problem in provider.problems(block)] == []


def dangling(folder: Path, provider: Provider) -> list[str]:
    """References to what no file declares, and to attributes that a resource does not have."""
    text = "\n".join(file.read_text() for file in sorted(folder.glob("*.tf")))
    declared = {(block.kind, block.type, block.name): block for block in blocks(folder)}
    variables = {f"var.{name}" for name in re.findall(r'^variable "(\w+)"', text, re.MULTILINE)}
    values = {
        f"local.{name}" for name in re.findall(r"^  (\w+) += ", "\n".join(locals_of(text)), re.MULTILINE)
    }
    wrong = [name for name in re.findall(r"\b(?:var|local)\.\w+", text) if name not in variables | values]
    for data, type_, name, attribute in re.findall(
        r"(data\.)?\b(google_\w+)\.(\w+)(?:\[[^]]+\])?(?:\.(\w+))?", text
    ):
        block = declared.get(("data" if data else "resource", type_, name))
        if block is None:
            wrong.append(f"{type_}.{name}")
        elif attribute and attribute not in provider.attributes(block):
            wrong.append(f"{type_}.{name}.{attribute}")
    return wrong


def locals_of(text: str) -> list[str]:
    return re.findall(r"^locals \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_references_lead_somewhere(folder, provider, tmp_path):
    assert dangling(folder, provider) == []
    for file in folder.glob("*.tf"):
        shutil.copy(file, tmp_path)
    (tmp_path / "more.tf").write_text(
        'output "x" {\n  value = [var.nowhere, local.nothing, google_storage_bucket.none.name]\n}\n'
    )
    assert dangling(tmp_path, provider) == ["var.nowhere", "local.nothing", "google_storage_bucket.none"]


@pytest.mark.slow
def test_a_wrong_attribute_would_be_seen(provider, tmp_path):
    for file in DATAFLOW_TERRAFORM.glob("*.tf"):
        shutil.copy(file, tmp_path)
    file = tmp_path / "iam.tf"
    file.write_text(
        file.read_text().replace(
            "google_storage_bucket.lpe[each.value.bucket].name",
            "google_storage_bucket.lpe[each.value.bucket].nam",
        )
    )
    assert dangling(tmp_path, provider) == ["google_storage_bucket.lpe.nam"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("type_", "change", "found"),
    [
        (
            "google_storage_bucket",
            {"public_acces_prevention": "enforced"},
            "no attribute public_acces_prevention",
        ),
        ("google_storage_bucket", {"location": None}, "location is missing"),
        ("google_storage_bucket", {"versioning": [{"enable": False}]}, "versioning: no attribute enable"),
        (
            "google_storage_bucket",
            {"dynamic": None, "lifecycle_rule": [{"condition": [{}]}]},
            "action is missing",
        ),
        ("google_compute_subnetwork", {"network": None}, "network is missing"),
        ("google_kms_crypto_key_iam_member", {"role": [{"name": "x"}]}, "role is no block"),
    ],
)
def test_googles_provider_would_refuse(type_, change, found, provider):
    (block,) = (block for block in blocks(DATAFLOW_TERRAFORM) if block.type == type_)
    body = {**copy.deepcopy(block.body), **change}
    broken = Block(
        block.kind, type_, block.name, {name: value for name, value in body.items() if value is not None}
    )
    assert any(found in problem for problem in provider.problems(broken))
    unknown = Block("resource", "google_storage_buckets", "x", {})
    assert list(provider.problems(unknown)) == ["google_storage_buckets: no such resource"]
