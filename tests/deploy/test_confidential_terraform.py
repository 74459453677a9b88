"""deploy/confidential/terraform: the attested program alone comes to the buckets, and nothing leads anywhere else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.confidential import CONFIDENTIAL, workload
from tests.deploy.hcl import blocks
from tests.deploy.terraform import evaluate, refusal
from tests.deploy.test_confidential import labels

TERRAFORM = CONFIDENTIAL / "terraform"
DIGEST = "sha256:" + "5a" * 32
VALUES: dict[str, Any] = {
    "project": "owner",
    "project_number": "1234",
    "operator_project": "operator",
    "zone": "europe-west4-c",
    "image": f"europe-west4-docker.pkg.dev/operator/lpe/workload@{DIGEST}",
    "dataset": "gs://owner-sealed/photos/1.0.0",
    "output": "gs://owner-models/photos/model.sealed",
    "owner_url": "https://owner.example:8443",
    "owner_address": "203.0.113.7/32",
    "owner_certificates": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
}
MACHINE = "serviceAccount:lpe-confidential@operator.iam.gserviceaccount.com"
PROGRAM = (
    "principalSet://iam.googleapis.com/projects/1234/locations/global/workloadIdentityPools/lpe-confidential/"
    f"attribute.image_digest/{DIGEST}"
)


@pytest.fixture
def folder(tmp_path) -> Path:
    """The files that can be evaluated without Google's provider."""
    for name in ("variables.tf", "locals.tf"):
        shutil.copy(TERRAFORM / name, tmp_path)
    (tmp_path / "release.auto.tfvars.json").write_text(json.dumps(VALUES))
    return tmp_path


def named(type_: str, name: str | None = None) -> dict[str, Any]:
    (block,) = (each for each in blocks(TERRAFORM) if each.type == type_ and name in (None, each.name))
    return block.body


def test_the_machine_may_start_and_the_attested_program_may_read_and_write(folder):
    found = evaluate(
        folder,
        "[local.project_grants, local.repository_grants, local.bucket_grants, local.bucket_conditions]",
    )
    projects, repositories, buckets, conditions = found
    assert {(each["member"], each["role"]) for each in projects.values()} == {
        (MACHINE, "roles/confidentialcomputing.workloadUser"),
        (MACHINE, "roles/logging.logWriter"),
    }
    assert {(each["member"], each["role"]) for each in repositories.values()} == {
        (MACHINE, "roles/artifactregistry.reader")
    }
    assert {(each["member"], each["role"], each["at"]) for each in buckets.values()} == {
        (PROGRAM, "roles/storage.objectViewer", VALUES["dataset"]),
        (PROGRAM, "roles/storage.objectCreator", VALUES["output"]),
        (PROGRAM, "roles/storage.objectViewer", VALUES["output"]),
    }
    objects = "projects/_/buckets/owner-sealed/objects/photos/1.0.0/"
    assert conditions["dataset"].endswith(f"|| resource.name.startsWith('{objects}')")
    model = "projects/_/buckets/owner-models/objects/photos/model.sealed"
    assert conditions["model"] == f"resource.name == '{model}'"
    assert conditions["look"].endswith(f"|| resource.name == '{model}'")
    assert evaluate(folder, "local.repository") == {
        "location": "europe-west4",
        "project": "operator",
        "name": "lpe",
    }


def test_nothing_is_granted_beside_the_list():
    granting = [block for block in blocks(TERRAFORM) if "_iam_" in block.type and "_pool" not in block.type]
    assert {block.body["for_each"] for block in granting} == {
        f"${{local.{name}_grants}}" for name in ("project", "repository", "bucket")
    }
    assert len(granting) == 3
    for block in granting:
        assert block.type.endswith("_iam_member"), "a binding or policy would take away what others granted"
        assert (block.body["role"], block.body["member"]) == ("${each.value.role}", "${each.value.member}")
    bucket = named("google_storage_bucket_iam_member")
    assert bucket["condition"][0]["expression"] == "${local.bucket_conditions[each.key]}"


def test_the_pool_lets_in_the_approved_image_on_a_production_machine_alone(folder):
    account = MACHINE.removeprefix("serviceAccount:")
    assert set(evaluate(folder, "local.conditions")) == {
        "assertion.swname == 'CONFIDENTIAL_SPACE'",
        "assertion.dbgstat == 'disabled-since-boot'",
        "'STABLE' in assertion.submods.confidential_space.support_attributes",
        "assertion.hwmodel == 'GCP_INTEL_TDX'",
        f"assertion.submods.container.image_digest == '{DIGEST}'",
        f"'{account}' in assertion.google_service_accounts",
    }
    provider = named("google_iam_workload_identity_pool_provider")
    assert provider["attribute_condition"] == '${join(" && ", local.conditions)}'
    mapping = provider["attribute_mapping"]
    assert mapping["attribute.image_digest"] == "assertion.submods.container.image_digest"
    assert provider["oidc"][0]["issuer_uri"] == "https://confidentialcomputing.googleapis.com"


def test_two_ways_lead_out_and_none_in(folder):
    assert evaluate(folder, "local.egress") == {
        "google": {"range": "199.36.153.4/30", "ports": ["443"]},
        "owner": {"range": "203.0.113.7/32", "ports": ["8443"]},
    }
    out, rest = (named("google_compute_firewall", name) for name in ("out", "nothing_else"))
    assert (out["for_each"], out["direction"]) == ("${local.egress}", "EGRESS")
    assert out["destination_ranges"] == ["${each.value.range}"]
    assert rest["for_each"] == {"EGRESS": "out", "INGRESS": "in"}
    assert rest["deny"] == [{"protocol": "all"}]
    assert "allow" not in rest
    assert out["priority"] < rest["priority"]
    firewalls = [block.name for block in blocks(TERRAFORM) if block.type == "google_compute_firewall"]
    assert sorted(firewalls) == ["nothing_else", "out"]
    assert named("google_compute_network")["delete_default_routes_on_create"] is True
    assert named("google_compute_subnetwork")["private_ip_google_access"] is True


def test_the_machine_is_confidential_and_has_no_public_address():
    machine = named("google_compute_instance")
    assert machine["machine_type"] == "a3-highgpu-1g"
    assert machine["confidential_instance_config"] == [
        {"enable_confidential_compute": True, "confidential_instance_type": "TDX"}
    ]
    assert machine["shielded_instance_config"][0]["enable_secure_boot"] is True
    image = machine["boot_disk"][0]["initialize_params"][0]["image"]
    assert image == "projects/confidential-space-images/global/images/family/confidential-space"
    (interface,) = machine["network_interface"]
    assert set(interface) == {"subnetwork"}
    assert machine["scheduling"][0]["on_host_maintenance"] == "TERMINATE"


def test_the_machine_is_told_what_the_image_allows(folder):
    metadata = evaluate(folder, "local.metadata")
    assert named("google_compute_instance")["metadata"] == "${local.metadata}"
    prefix = "tee-env-"
    variables = {name.removeprefix(prefix): value for name, value in metadata.items() if prefix in name}
    assert set(variables) == set(labels()["tee.launch_policy.allow_env_override"].split(","))
    assert workload().settings(variables) == variables
    assert metadata["tee-image-reference"] == VALUES["image"]
    assert "destination=/tmp," in metadata["tee-mount"]
    assert not {"tee-cmd", "tee-container-log-redirect", "tee-added-capabilities"} & set(metadata)


@pytest.mark.parametrize(
    "change",
    [
        {"project_number": "owner"},
        {"operator_project": "owner"},
        {"zone": "europe-west4"},
        {"image": "europe-west4-docker.pkg.dev/operator/lpe/workload:latest"},
        {"image": f"europe-west4-docker.pkg.dev/operator/lpe/workload@{DIGEST[:-1]}"},
        {"dataset": "owner-sealed/photos"},
        {"dataset": "gs://owner-sealed/photos/' || true || '"},
        {"output": "gs://owner-models/"},
        {"output": "gs://owner-sealed/model.sealed"},
        {"owner_url": "http://owner.example:8443"},
        {"owner_url": "https://owner.example"},
        {"owner_address": "203.0.113.0/24"},
        {"owner_address": "owner.example"},
        {"owner_certificates": "owner.pem"},
        {"memory_gib": 234},
        {"ip_range": "10.129.0.0"},
    ],
    ids="-".join,
)
def test_wrong_variables_are_refused(change, folder):
    (folder / "release.auto.tfvars.json").write_text(json.dumps({**VALUES, **change}))
    said = refusal(folder)
    (name,) = change
    assert "Invalid value for variable" in said
    assert f"var.{name}" in said
