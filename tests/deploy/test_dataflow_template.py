"""deploy/dataflow: the templates' parameters are the commands' options, and the launcher's program turns them back."""

from __future__ import annotations

import copy
import enum
import re
from typing import Any

import pytest
import typer
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud.dataflow_v1beta3.types import TemplateMetadata
from google.protobuf import json_format

from lpe.pipeline.cli.app import app
from lpe.transforms import ciphers
from tests.deploy.dataflow import COMMANDS, launcher, metadata, options, parameters
from tests.deploy.terraform import launch_requests

LEFT_OUT = {
    "json": "a launcher has no reader for it",
    "dry-run": "a launch is to start a job",
    "workers": "Dataflow starts a process for each core of a worker itself",
    "labels": "the launcher gives Beam's option of this name, labels of the job itself",
    "help": "the parameters' own help texts are shown instead",
}
RENAMED = {"datasets": "dataset"}  # several on a command line, one a launch
REQUIRED_HERE = {"output", "keystore", "key"}  # `lpe encrypt --dry-run` may do without them; a job may not
TYPES = {bool: "BOOLEAN", int: "NUMBER"}

GOOD = {
    "source": ["dataset:gs://b/plain/c", "cifar:gs://b/x.tar", "folder:gs://b/x", "synthetic:4000"],
    "output": ["gs://owner-data/encrypted/cifar10"],
    "dataset": ["gs://owner-data/encrypted/cifar10"],
    "keystore": ["gs://owner-keys/lpe"],
    "param": ["", "chain=row", "chain=row,channels=independent"],
    "augment": ["", "flip", "flip,crop"],
    "copies": ["", "4"],
    "augment_seed": ["0", "17"],
    "validation_fraction": ["", "0.1", ".25", "1/10"],
    "image_size": ["same", "any", "224", "224x320"],
    "fit": ["crop", "stretch"],
    "resample": ["lanczos", "box"],
    "background": ["", "white", "#ff8000"],
    "depth": ["", "8"],
    "window": ["", "0:4095", "-160:240.5"],
    "frame": ["", "0", "12"],
    "image_key": ["", "image"],
    "label_key": ["", "coarse_label"],
    "max_pixels": ["", "4000000"],
    "max_members": ["", "4000000"],
    "max_unpacked_bytes": ["", "4000000"],
    "retire_after": ["", "7d", "12h"],
}
BAD = {
    "source": [
        "/home/me/photos",
        "synthetic:many",
        "dataset:",
        "folder:photos",
        "tfds:mnist",
    ],  # the last needs TensorFlow
    "output": ["data/encrypted", "gs://owner-data", "s3://b/x"],
    "dataset": ["gs://owner-data", "encrypted/cifar10"],
    "keystore": ["keys/"],
    "param": ["chain", "chain=row,"],
    "augment": ["rotate", "flip,"],
    "copies": ["0", "two"],
    "augment_seed": ["x"],
    "validation_fraction": ["10%", "1"],
    "image_size": ["0x0", "224x", "0"],
    "fit": ["cut"],
    "resample": ["nearest"],
    "background": ["#fff80", "0:1"],
    "depth": ["16"],
    "window": ["4095", "low:high"],
    "frame": ["-1", "first"],
    "image_key": ["an image"],
    "label_key": ["a.label"],
    "max_pixels": ["0", "many"],
    "max_members": ["0", "many"],
    "max_unpacked_bytes": ["0", "many"],
    "retire_after": ["7", "a week"],
}


def expected(command: str) -> dict[str, Any]:
    return {
        RENAMED.get(name, name.replace("-", "_")): option
        for name, option in options(command).items()
        if name not in LEFT_OUT
    }


def annotation(option: Any) -> Any:
    return option.type_descriptor.annotation


def differences(command: str, described: dict[str, dict[str, Any]]) -> list[str]:
    """How a template's parameters differ from the command's options."""
    wanted = expected(command)
    found = [f"{name}: not an option" for name in described.keys() - wanted.keys()]
    found += [f"{name}: missing" for name in wanted.keys() - described.keys()]
    for name in wanted.keys() & described.keys():
        option, parameter = wanted[name], described[name]
        required = option.required or name in REQUIRED_HERE
        if parameter.get("isOptional", False) == required:
            found.append(f"{name}: required by the {'command' if required else 'template'} alone")
        kind = annotation(option)
        choices = [each["value"] for each in parameter.get("enumOptions", [])]
        if (
            isinstance(kind, type)
            and issubclass(kind, enum.Enum)
            and choices != [each.value for each in kind]
        ):
            found.append(f"{name}: choices {choices}")
        if kind in TYPES and parameter["paramType"] != TYPES[kind]:
            found.append(f"{name}: of type {parameter['paramType']}")
        if (parameter["paramType"] == "BOOLEAN") != bool(getattr(option, "is_flag", False)):
            found.append(f"{name}: a flag on one side only")
        default = option.default
        told = parameter.get("defaultValue")
        if (None if default is None else str(default).lower()) != told:
            found.append(f"{name}: default {told}, not {default}")
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_the_templates_parameters_are_the_commands_options(command):
    described = parameters(command)
    assert differences(command, described) == []
    assert list(described) == list(expected(command)), "in the command's order"
    for name, each in described.items():
        assert {"label", "helpText", "paramType"} <= set(each), name


def test_what_is_left_out_is_there_to_be_left_out():
    left = {name for command in COMMANDS for name in options(command) if name in LEFT_OUT}
    assert left == set(LEFT_OUT) - {"help"}


@pytest.mark.parametrize(
    ("name", "change", "found"),
    [
        ("if_due", None, "missing"),
        ("keystore", {"isOptional": True}, "required by the command"),
        ("retire_after", {"isOptional": False}, "required by the template"),
        ("scope", {"enumOptions": [{"value": "dataset"}]}, "choices"),
        ("destroy_keys", {"paramType": "TEXT"}, "flag"),
        ("retire_after", {"defaultValue": "2d"}, "default 2d"),
        ("if_deu", {}, "not an option"),
    ],
)
def test_a_drift_would_be_seen(name, change, found):
    described = copy.deepcopy(parameters("reencrypt"))
    if change is None:
        del described[name]
    else:
        described[name] = {**described.get(name, {"paramType": "TEXT"}), **change}
    (difference,) = [line for line in differences("reencrypt", described) if found in line]
    assert difference.startswith(f"{name}: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_googles_messages_take_the_metadata(command):
    message = TemplateMetadata()
    json_format.ParseDict(metadata(command), TemplateMetadata.pb(message))
    assert [each.name for each in message.parameters] == list(parameters(command))


@pytest.mark.parametrize(
    "change", [{"paramType": "GS_FOLDER"}, {"optional": True}, {"enumOptions": [{"name": "x"}]}]
)
def test_googles_messages_refuse_what_they_do_not_know(change):
    broken = metadata("encrypt")
    broken["parameters"][0].update(change)
    with pytest.raises(json_format.ParseError):
        json_format.ParseDict(broken, TemplateMetadata.pb(TemplateMetadata()))


@pytest.mark.parametrize("command", COMMANDS)
def test_expressions_admit_what_the_command_takes(command):
    for name, each in parameters(command).items():
        if each["paramType"] == "BOOLEAN":
            good, bad = ["true", "false", ""], ["yes", "TRUE!"]
        elif "regexes" in each:
            good, bad = GOOD[name], BAD[name]
        else:
            continue
        (expression,) = each["regexes"]
        # What Google reads is POSIX's extended form: no classes such as \d, no groups that do not capture.
        assert expression[0] + expression[-1] == "^$"
        assert not re.search(r"\\|\(\?", expression), f"{name}: {expression}"
        assert [value for value in good if not re.fullmatch(expression, value)] == [], name
        assert [value for value in bad if re.fullmatch(expression, value)] == [], name


def test_schemes_are_those_that_encrypt():
    for command in COMMANDS:
        choices = [each["value"] for each in parameters(command)["cipher"]["enumOptions"]]
        # `plain` is for baselines: no choice for whoever fills in a form.
        assert sorted(choices) == sorted(set(ciphers.names()) - {"plain"})


def test_no_parameter_is_an_option_of_beams():
    known = PipelineOptions().get_all_options()
    for command in COMMANDS:
        assert known.keys() & parameters(command).keys() == set()


def test_the_schedule_sends_parameters_of_the_template():
    (body,) = launch_requests(["gs://owner-data/cifar10"]).values()
    sent, described = body["launchParameter"]["parameters"], parameters("reencrypt")
    assert sent.keys() <= described.keys()
    assert {name for name, each in described.items() if not each.get("isOptional")} <= sent.keys()
    for name, value in sent.items():
        for expression in described[name].get("regexes", []):
            assert re.fullmatch(expression, value), name


BEAM = ["--runner=DataflowRunner", "--template_location=gs://b/job_object", "--labels={}"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            ["--dataset=gs://b/d", "--keystore=gs://k/l", "--if_due=true", "--retire_after=7d"],
            ["reencrypt", "gs://b/d", "--keystore=gs://k/l", "--if-due", "--retire-after=7d"],
        ),
        (
            [
                "--dataset=gs://b/d",
                "--keystore=gs://k/l",
                "--if_due=false",
                "--destroy_keys=True",
                "--cipher=",
            ],
            ["reencrypt", "gs://b/d", "--keystore=gs://k/l", "--destroy-keys"],
        ),
        (
            ["--source=folder:gs://b/x=y", "--output=gs://b/o", "--param=chain=row,channels=independent"],
            [
                "encrypt",
                "--source=folder:gs://b/x=y",
                "--output=gs://b/o",
                "--param=chain=row",
                "--param=channels=independent",
            ],
        ),
        # Commas that are no separators; a value apart from its name.
        (
            ["--source", "synthetic:9", "--augment=flip,crop", "--augment_seed=-3"],
            ["encrypt", "--source=synthetic:9", "--augment=flip,crop", "--augment-seed=-3"],
        ),
    ],
    ids=["flag", "false and empty", "repeated", "commas"],
)
def test_parameters_become_the_command_line(given, words):
    # In any order, with the launcher's options in between.
    translated, rest = launcher().translate([BEAM[0], *given, *BEAM[1:]])
    assert translated == words
    # `lpe` has an option --labels of its own; --label is Beam's other name for it.
    assert rest == [*BEAM[:2], "--label={}"]


def test_every_parameter_reaches_the_command():
    for command in COMMANDS:
        described = parameters(command)
        values = {
            name: "true"
            if each["paramType"] == "BOOLEAN"
            else each["enumOptions"][-1]["value"]
            if "enumOptions" in each
            else GOOD.get(name, ["x"])[-1]
            for name, each in described.items()
        }
        words, rest = launcher().translate([f"--{name}={value}" for name, value in values.items()])
        assert (words[0], rest) == (command, [])
        parsed = parse(words)
        for name, option in expected(command).items():
            value = parsed[option.name]
            assert value, name
            if isinstance(value, list):
                assert ",".join(value) == values[name]
            else:
                assert str(value).lower() == values[name]


def parse(words: list[str]) -> dict[str, Any]:
    command = typer.main.get_command(app).commands[words[0]]
    return command.make_context(words[0], list(words[1:])).params


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--keystore=gs://k/l"], "either dataset"),
        (["--dataset=gs://b/d", "--source=synthetic:9"], "either dataset"),
        (["--dataset=gs://b/d", "--if_due=maybe"], "if_due=maybe"),
        (["--dataset=d", "--keystore=k", "--if_deu=true", "--template_location=t"], "did you mean --if-due?"),
        # An option of the other template.
        (["--dataset=gs://b/d", "--keystore=gs://k/l", "--augment=flip"], "--augment=flip"),
    ],
    ids=["neither", "both", "no truth value", "unknown", "other template"],
)
def test_parameters_that_make_no_sense_are_refused(given, said, capsys):
    assert launcher().main(given) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


def test_workers_get_the_launchers_image(monkeypatch):
    module, seen = launcher(), []
    monkeypatch.setattr(module.app, "main", lambda words: seen.append(words) or 1)
    given = ["--dataset=gs://b/d", "--keystore=gs://k/l"]
    module.main(given)
    monkeypatch.setenv(module.IMAGE, "europe-west4-docker.pkg.dev/owner/lpe/lpe:1")
    module.main(given)
    module.main([*given, "--sdk_container_image=another"])
    images = [[word for word in words if "sdk_container_image" in word] for words in seen]
    assert images == [
        [],
        ["--sdk_container_image=europe-west4-docker.pkg.dev/owner/lpe/lpe:1"],
        ["--sdk_container_image=another"],
    ]


@pytest.mark.parametrize("code", [1, 2])
def test_a_failed_command_stages_nothing(monkeypatch, tmp_path, code):
    module, staged = launcher(), []
    monkeypatch.setattr(module.app, "main", lambda words: code)
    monkeypatch.setattr(module, "_stage_nothing", staged.append)
    given = ["--dataset=gs://b/d", "--keystore=gs://k/l", f"--template_location={tmp_path / 'job'}"]
    assert module.main(given) == code
    assert staged == []
