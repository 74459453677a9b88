"""deploy/dataflow/terraform: who may do what is what is claimed."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from google.cloud.dataflow_v1beta3.types import LaunchFlexTemplateRequest
from google.protobuf import json_format

from tests.deploy import SCHEDULES
from tests.deploy.dataflow import DATAFLOW
from tests.deploy.hcl import blocks
from tests.deploy.terraform import evaluate, refusal

TERRAFORM = DATAFLOW / "terraform"
VALUES = {
    "project": "owner",
    "project_number": "1234",
    "trainer_project": "trainer",
    "region": "europe-west4",
}
TRAINER = "serviceAccount:lpe-trainer@trainer.iam.gserviceaccount.com"
WORKER = "serviceAccount:lpe-worker@owner.iam.gserviceaccount.com"
SCHEDULER = "serviceAccount:lpe-scheduler@owner.iam.gserviceaccount.com"
GRANTS = ("project_grants", "bucket_grants", "key_grants", "account_grants", "repository_grants")
BASIC = {"roles/owner", "roles/editor", "roles/viewer"}


@dataclasses.dataclass(frozen=True)
class Grant:
    """One line of who may do what, on which resource."""

    member: str
    role: str
    resource: str
    under: str = ""


@pytest.fixture
def folder(tmp_path) -> Path:
    """The files that can be evaluated without Google's provider."""
    for name in ("variables.tf", "grants.tf"):
        shutil.copy(TERRAFORM / name, tmp_path)
    (tmp_path / "owner.auto.tfvars.json").write_text(json.dumps(VALUES))
    return tmp_path


def grants(folder: Path) -> list[Grant]:
    """Everything that is granted."""
    names = ", ".join(f"{name} = local.{name}" for name in GRANTS)
    found = evaluate(folder, f"{{ {names} }}")
    return [
        *(Grant(each["member"], each["role"], "project") for each in found["project_grants"].values()),
        *(
            Grant(each["member"], each["role"], f"bucket {each['bucket']}", each["under"])
            for each in found["bucket_grants"].values()
        ),
        *(
            Grant(each["member"], "roles/cloudkms.cryptoKeyEncrypterDecrypter", f"key {each['key']}")
            for each in found["key_grants"].values()
        ),
        *(
            Grant(each["member"], each["role"], f"account {each['account']}")
            for each in found["account_grants"].values()
        ),
        *(Grant(each["member"], each["role"], "repository") for each in found["repository_grants"].values()),
    ]


def too_much(found: list[Grant]) -> list[str]:
    """What breaks the claims of README: rights of the trainer's, of everybody's, of whole projects, to keys."""
    wrong = [f"basic role: {each}" for each in found if each.role in BASIC]
    wrong += [f"for everybody: {each}" for each in found if not each.member.startswith("serviceAccount:")]
    wrong += [
        f"trainer: {each}"
        for each in found
        if "@trainer." in each.member
        and each != Grant(TRAINER, "roles/storage.objectViewer", "bucket encrypted")
    ]
    # A role of Google's for the whole project reaches every bucket in it.
    wrong += [f"project-wide: {each}" for each in found if each.resource == "project" and "/" in each.role]
    wrong += [
        f"keys: {each}"
        for each in found
        if each.resource in ("bucket keys", "bucket plain", "key keysets") and each.member != WORKER
    ]
    wrong += [
        f"administers: {each}" for each in found if re.search("admin|legacy|owner", each.role, re.IGNORECASE)
    ]
    return wrong


def test_nobody_may_more_than_is_claimed(folder):
    found = grants(folder)
    assert too_much(found) == []
    assert [each for each in found if each.member == TRAINER] == [
        Grant(TRAINER, "roles/storage.objectViewer", "bucket encrypted")
    ]
    assert {(each.role, each.resource, each.under) for each in found if each.member == SCHEDULER} == {
        ("lpeLauncher", "project", ""),
        ("roles/storage.objectViewer", "bucket jobs", "templates/"),
        ("roles/iam.serviceAccountUser", "account worker", ""),
    }
    assert {each.resource for each in found if each.member == WORKER} == {
        "project",
        "repository",
        "key keysets",
        *(f"bucket {name}" for name in ("plain", "encrypted", "keys", "jobs")),
    }


@pytest.mark.parametrize(
    ("bucket", "role", "member", "found"),
    [
        ("keys", "roles/storage.objectViewer", "local.member.trainer", "trainer"),
        ("encrypted", "roles/storage.objectUser", "local.member.trainer", "trainer"),
        ("encrypted", "roles/storage.objectViewer", '"allUsers"', "for everybody"),
        ("plain", "roles/viewer", "local.member.worker", "basic role"),
        ("keys", "roles/storage.objectViewer", "local.member.scheduler", "keys"),
        ("jobs", "roles/storage.admin", "local.member.worker", "administers"),
    ],
)
def test_a_grant_too_many_would_be_seen(bucket, role, member, found, folder):
    file = folder / "grants.tf"
    line = f'x = {{ bucket = "{bucket}", role = "{role}", member = {member}, under = "" }}'
    file.write_text(file.read_text().replace("bucket_grants = {\n", f"bucket_grants = {{\n    {line}\n"))
    assert found in [line.split(":")[0] for line in too_much(grants(folder))]


def test_a_role_for_the_whole_project_would_be_seen(folder):
    file = folder / "grants.tf"
    file.write_text(file.read_text().replace('role = "lpeWorker"', 'role = "roles/dataflow.worker"'))
    assert [line.split(":")[0] for line in too_much(grants(folder))] == ["project-wide"]


def test_own_roles_reach_no_object_and_no_key(folder):
    roles = evaluate(folder, "local.roles")
    for role in roles.values():
        for permission in role["permissions"]:
            assert not permission.startswith(("storage.objects", "cloudkms", "iam", "resourcemanager")), (
                permission
            )


def test_a_bucket_is_encrypted_under_its_own_key_by_googles_agent_alone(folder):
    """So that reading an object takes no right to the key, and one bucket can be made unreadable by itself."""
    agents = evaluate(folder, "local.agents")
    for each in grants(folder):
        if each.resource.startswith("key bucket-"):
            assert each.member == agents["storage"]
        if each.resource == "key dataflow":
            assert each.member in (agents["dataflow"], agents["compute"])
    names = evaluate(folder, "local.buckets")
    assert {f"bucket-{name}" for name in names} | {"dataflow", "keysets"} == set(
        evaluate(folder, "local.keys")
    )


@pytest.mark.parametrize(
    "change", [{"trainer_project": "owner"}, {"project_number": "owner"}], ids=["one project", "no number"]
)
def test_wrong_variables_are_refused(change, folder):
    (folder / "owner.auto.tfvars.json").write_text(json.dumps({**VALUES, **change}))
    assert "Invalid value for variable" in refusal(folder)


def test_nothing_is_granted_beside_the_list():
    """Each of Google's resources of IAM takes its entries from grants.tf, and adds to what others granted."""
    granting = [
        block
        for block in blocks(TERRAFORM)
        if "_iam_" in block.type and not block.type.endswith("custom_role")
    ]
    assert {block.body["for_each"] for block in granting} == {f"${{local.{name}}}" for name in GRANTS}
    assert len(granting) == len(GRANTS)
    for block in granting:
        assert block.type.endswith("_iam_member"), "a binding or policy would take away what others granted"
        assert block.body["member"] == "${each.value.member}"
    (keys,) = (block for block in granting if "kms" in block.type)
    assert keys.body["role"] == "roles/cloudkms.cryptoKeyEncrypterDecrypter"


def named(type_: str) -> dict[str, Any]:
    (block,) = (block for block in blocks(TERRAFORM) if block.type == type_)
    return block.body


def test_buckets_are_closed_and_forget_what_is_deleted():
    bucket = named("google_storage_bucket")
    assert bucket["for_each"] == "${local.buckets}"
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["encryption"] == [
        {"default_kms_key_name": '${google_kms_crypto_key.lpe["bucket-${each.key}"].id}'}
    ]
    assert bucket["versioning"] == [{"enabled": False}]
    assert bucket["soft_delete_policy"] == [{"retention_duration_seconds": 0}]
    assert "retention_policy" not in bucket


def test_machines_have_no_way_out():
    assert named("google_compute_subnetwork")["private_ip_google_access"] is True
    types = {block.type for block in blocks(TERRAFORM)}
    assert not types & {
        "google_compute_router_nat",
        "google_compute_address",
        "google_compute_global_address",
    }
    firewall = named("google_compute_firewall")
    assert (firewall["source_tags"], firewall["target_tags"]) == (["dataflow"], ["dataflow"])
    assert "source_ranges" not in firewall


def output(name: str) -> set[str]:
    """The keys of an output that is a map."""
    text = (TERRAFORM / "outputs.tf").read_text()
    (body,) = re.findall(rf'output "{name}" \{{.*?value = \{{(.*?)\n  \}}', text, re.DOTALL)
    return set(re.findall(r"^    (\w+) +=", body, re.MULTILINE))


def test_outputs_are_what_the_scripts_and_the_schedule_take():
    launch = (DATAFLOW / "launch.sh").read_text()
    (needed,) = re.findall(r"^for name in (.*); do$", launch, re.MULTILINE)
    assert output("launch") == set(needed.split()) - {"TEMPLATE"}
    (needed,) = re.findall(
        r"^for name in (PROJECT .*); do$", (DATAFLOW / "build.sh").read_text(), re.MULTILINE
    )
    assert output("build") == set(needed.split())
    variables = set(re.findall(r'variable "(\w+)"', (SCHEDULES / "gcp" / "variables.tf").read_text()))
    assert output("schedule") == variables - {"datasets", "keystore", "template"}


def test_a_scheduled_job_is_in_the_subnetwork_and_under_the_key(tmp_path):
    for name in ("variables.tf", "launch.tf"):
        shutil.copy(SCHEDULES / "gcp" / name, tmp_path)
    values = {name: name for name in output("schedule") | {"keystore", "template"}}
    (tmp_path / "owner.auto.tfvars.json").write_text(
        json.dumps({**values, "datasets": ["gs://owner-data/a"]})
    )
    (body,) = evaluate(tmp_path, "local.launch").values()
    message = LaunchFlexTemplateRequest()
    json_format.ParseDict(body, LaunchFlexTemplateRequest.pb(message))
    environment = message.launch_parameter.environment
    assert environment.service_account_email == "worker_service_account"
    assert (environment.subnetwork, environment.kms_key_name) == ("subnetwork", "kms_key")
    assert environment.ip_configuration.name == "WORKER_IP_PRIVATE"
