"""deploy/flink: the operator's own schema and Kubernetes' take the files, and their parts fit each other and `lpe`."""

from __future__ import annotations

import re
import subprocess
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions
from apache_beam.transforms.environments import python_sdk_dependencies

from lpe.pipeline.cli.app import app
from lpe.pipeline.engine.beam_options import beam_options
from tests.deploy import changed, tool
from tests.deploy.dataflow import DATAFLOW, ROOT

FLINK = ROOT / "deploy" / "flink"
KUBERNETES = "1.37"
# The newest whose jar Maven Central's mirrors all have; the schema goes with it.
OPERATOR = "org.apache.flink:flink-kubernetes-operator-api:1.10.0"
SCHEMA = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"


def objects(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FLINK / file).read_text()))


def deployment() -> dict[str, Any]:
    (found,) = (each for each in objects("cluster.yaml") if each["kind"] == "FlinkDeployment")
    return found


def job() -> dict[str, Any]:
    (found,) = objects("encrypt.yaml")
    return found


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    both = [*pod["containers"], *pod.get("initContainers", [])]
    (found,) = (each for each in both if each["name"] == name)
    return found


def words() -> list[str]:
    """What `lpe` is called with."""
    return container(job()["spec"]["template"]["spec"], "lpe")["args"]


def pods(flink: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The templates inside a FlinkDeployment, as pods of Kubernetes'."""
    spec = flink["spec"]
    for template in (
        spec.get("podTemplate"),
        *(spec[role].get("podTemplate") for role in ("jobManager", "taskManager")),
    ):
        if template is not None:
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "template"}, **template}


def closed(schema: Any) -> Any:
    """A schema that refuses unknown fields, which Kubernetes would only take out."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {name: closed(value) for name, value in schema.items()}
    free = "additionalProperties" in out or out.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(out.get("properties"), dict) and "type" in out and not free:
        out["additionalProperties"] = False
    return out


@pytest.fixture(scope="module")
def schema(tmp_path_factory) -> dict[str, Any]:
    """The operator's schema of a FlinkDeployment's `spec`, out of its jar, by the ordinary Maven client."""
    folder: Path = tmp_path_factory.mktemp("operator")
    maven = [tool("mvn", "apt-get install maven"), "--quiet", "--batch-mode", "dependency:copy"]
    done = subprocess.run(
        [*maven, f"-Dartifact={OPERATOR}", f"-DoutputDirectory={folder}"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    jars = list(folder.glob("*.jar"))
    if done.returncode != 0 or not jars:
        line = f"{OPERATOR} can't be had, so FlinkDeployment is not checked against its schema: {done.stdout[-300:]}"
        warnings.warn(line, stacklevel=1)
        pytest.skip(line)
    with zipfile.ZipFile(jars[0]) as jar:
        definition = yaml.safe_load(jar.read(SCHEMA))
    (version,) = (each for each in definition["spec"]["versions"] if each["name"] == "v1beta1")
    assert deployment()["apiVersion"] == f"{definition['spec']['group']}/v1beta1"
    return closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


@pytest.mark.slow
def test_the_operators_schema_takes_the_deployment(schema):
    jsonschema.Draft7Validator(schema).validate(deployment()["spec"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("flinkVersion",), "1.20"),
        (("mode",), "session"),
        (("flinkConfig",), {}),
        (("taskManager", "replicas"), "two"),
        (("taskManager", "resource", "mem"), "2048m"),
        (("taskManager", "podTemplate", "spec", "container"), []),
        (("flinkConfiguration", "taskmanager.numberOfTaskSlots"), 2),
    ],
    ids=["version", "mode", "misspelt", "no number", "misspelt inside", "misspelt in the pod", "no text"],
)
def test_the_operators_schema_refuses_a_broken_field(path, value, schema):
    spec = changed(deployment()["spec"], path, value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(spec)


def test_kubernetes_schema_takes_everything_else():
    others = [each for file in ("cluster.yaml", "encrypt.yaml") for each in objects(file)]
    others = [each for each in others if each["kind"] != "FlinkDeployment"]
    assert [each["kind"] for each in others] == [
        *("Namespace", "ServiceAccount", "NetworkPolicy", "NetworkPolicy", "NetworkPolicy", "Job")
    ]
    found = [*others, *pods(deployment())]
    assert len(found) == len(others) + 2
    for each in found:
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [("runAsUser: 10001", "runAsUser: somebody"), ("emptyDir:", "emptydir:"), ("mountPath:", "path:")],
)
def test_kubernetes_schema_refuses_a_broken_pod(old, new):
    text = (FLINK / "cluster.yaml").read_text()
    broken = yaml.safe_load_all(text.replace(old, new))
    (flink,) = (each for each in broken if each["kind"] == "FlinkDeployment")
    *_, task_manager = pods(flink)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(task_manager, KUBERNETES, strict=True)


def test_versions_fit_each_other():
    spec = deployment()["spec"]
    (version,) = re.findall(r"^flink:([0-9.]+)-", spec["image"])
    assert spec["flinkVersion"] == "v" + version.replace(".", "_")
    assert version in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    server = container(job()["spec"]["template"]["spec"], "job-server")
    ((served, beam),) = re.findall(r"^apache/beam_flink([0-9.]+)_job_server:([0-9.]+)$", server["image"])
    assert served == version
    assert f"apache-beam=={beam}\n" in (ROOT / "constraints.txt").read_text()


def beam_words() -> list[str]:
    """Those of the job's words that `lpe` hands to Beam."""
    assert words()[0] == "encrypt"
    command = typer.main.get_command(app).commands["encrypt"]
    return command.make_context("encrypt", list(words()[1:])).args


def test_lpe_takes_the_jobs_words_and_finds_the_cluster():
    # No job service is here to be asked what it knows, so what is its own is left out for once.
    assert beam_options([word for word in beam_words() if not word.startswith("--job_endpoint")])
    options = PipelineOptions(beam_words())
    portable = options.view_as(PortableOptions)
    pool = container(deployment()["spec"]["taskManager"]["podTemplate"]["spec"], "worker-pool")
    assert portable.environment_type == "EXTERNAL"
    assert portable.environment_config == f"localhost:{pool['ports'][0]['containerPort']}"
    server = dict(
        word.removeprefix("--").split("=", 1)
        for word in container(job()["spec"]["template"]["spec"], "job-server")["args"]
    )
    assert portable.job_endpoint == f"{server['job-host']}:{server['job-port']}"
    # The operator's service for the JobManager's REST interface.
    assert server["flink-master"] == f"{deployment()['metadata']['name']}-rest:8081"
    spec = deployment()["spec"]
    slots = int(spec["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
    assert options.view_as(FlinkRunnerOptions).parallelism == slots * spec["taskManager"]["replicas"]
    assert int(portable.sdk_worker_parallelism) == slots


def test_nothing_is_staged_that_task_managers_would_have_to_see():
    assert list(python_sdk_dependencies(PipelineOptions(beam_words()))) == []
    # Beam's own default is another.
    without = [word for word in beam_words() if not word.startswith("--experiments")]
    assert len(without) == len(beam_words()) - 1
    assert list(python_sdk_dependencies(PipelineOptions(without))) != []


def test_workers_run_the_image_that_submits():
    image = container(job()["spec"]["template"]["spec"], "lpe")["image"]
    pool = container(deployment()["spec"]["taskManager"]["podTemplate"]["spec"], "worker-pool")
    assert pool["image"] == image
    assert "docker.pkg.dev/$PROJECT/$REPOSITORY/lpe:$TAG" in (DATAFLOW / "build.sh").read_text()
    assert image == "REGION-docker.pkg.dev/OWNER/lpe/lpe:TAG"
    assert [*pool["command"], *pool["args"]] == ["/opt/apache/beam/boot", "--worker_pool"]
    assert f'ENTRYPOINT ["{pool["command"][0]}"]' in (DATAFLOW / "Dockerfile").read_text()


def test_the_worker_pool_is_reached_from_its_own_pod_alone():
    """It starts a program for whoever asks."""
    policies = [each for each in objects("cluster.yaml") if each["kind"] == "NetworkPolicy"]
    allowed = {
        port["port"]
        for policy in policies
        for rule in policy["spec"].get("ingress", [])
        for port in rule.get("ports", [{"port": "any"}])
    }
    configured = deployment()["spec"]["flinkConfiguration"]
    ports = {int(value) for name, value in configured.items() if name.endswith(".port")}
    assert allowed == ports | {8081}
    (everything,) = (policy for policy in policies if policy["spec"]["podSelector"] == {})
    assert everything["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}


def test_no_container_is_root_or_may_become_it():
    task_managers, submitting = pods(deployment()), job()["spec"]["template"]
    for pod in (*task_managers, submitting):
        spec = pod["spec"]
        for each in (*spec["containers"], *spec.get("initContainers", [])):
            if set(each) == {"name"}:
                continue  # said in the template for both roles
            assert each["securityContext"]["allowPrivilegeEscalation"] is False
            assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        mounted = {mount["name"] for each in spec["containers"] for mount in each.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in spec.get("volumes", [])}
    for spec in (deployment()["spec"]["podTemplate"]["spec"], submitting["spec"]):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["automountServiceAccountToken"] is False
