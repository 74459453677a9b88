"""The commands of an attested release, as owner and program give them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.dataset import open_dataset
from tests.pipeline.attestation.stub_service import AUDIENCE, DIGEST
from tests.pipeline.running import refused

pytestmark = pytest.mark.usefixtures("in_memory")


class Commands:
    """The words of each command, for one owner; what is written lies in the owner's folder."""

    def __init__(self, owner) -> None:
        self._owner = owner
        self._whose = ("--keystore", owner.keystore)

    def path(self, name: str) -> Path:
        return self._owner.folder / name

    def policy(self, output: str = "new.toml") -> tuple[object, ...]:
        keys = self.path("jwks.json")
        keys.write_text(self._owner.service.jwks())
        trust = ("--audience", AUDIENCE, "--jwks", keys)
        machine = ("--image-digest", DIGEST, "--hardware", "GCP_INTEL_TDX", "--support", "STABLE")
        whose = ("--dataset", self._owner.dataset, "--output", self.path(output))
        return ("keys", "policy", *whose, *trust, *machine, "--confidential-gpu")

    def offer(self, output: str = "offer.json") -> tuple[object, ...]:
        of = ("--dataset", self._owner.dataset, "--policy", self._owner.policy)
        return ("keys", "offer", "patients", *self._whose, *of, "--output", self.path(output))

    def attest(self, output: str = "request.json") -> tuple[object, ...]:
        token = ("--token", self._owner.service.provider())
        return ("attest", "--offer", self.path("offer.json"), "--output", self.path(output), *token)

    def release(self, output: str = "release.json") -> tuple[object, ...]:
        by = ("--policy", self._owner.policy, "--output", self.path(output))
        return ("keys", "release", "patients", self.path("request.json"), *self._whose, *by)

    def train(self, output: str = "model.sealed") -> tuple[object, ...]:
        small = ("--model", "cnn", "--epochs", 1, "--batch-size", 16)
        by = ("--release", self.path("release.json"), "--output", self.path(output))
        return ("train", "--data", self._owner.dataset, *by, *small)

    def predict(self) -> tuple[object, ...]:
        shape = open_dataset(self._owner.dataset).image_shape
        Image.fromarray(np.zeros(shape, np.uint8).squeeze()).save(self.path("photo.png"))
        return ("predict", "--model", self.path("model.sealed"), self.path("photo.png"))


@pytest.fixture
def words(owner) -> Commands:
    return Commands(owner)


def done(outcome, command: str) -> dict[str, object]:
    """The object of a command that is done."""
    assert outcome.code == 0, outcome
    assert (outcome.json["command"], outcome.json["status"]) == (command, "ok")
    return outcome.json


def test_a_model_is_trained_far_away_and_opened_by_the_owner(lpe, owner, words):
    offered = done(lpe(*words.offer(), "--json"), "keys offer")
    attested = done(lpe(*words.attest(), "--json"), "attest")
    released = done(lpe(*words.release(), "--json"), "keys release")
    trained = done(lpe(*words.train(), "--json"), "train")
    predicted = done(lpe(*words.predict(), "--keystore", owner.keystore, "--json"), "predict")

    assert offered["nonce"] == json.loads(words.path("offer.json").read_text())["nonce"]
    assert offered["nonce"] in attested["identity"]
    assert (released["image_digest"], released["hardware"]) == (DIGEST, "GCP_INTEL_TDX")
    assert released["dataset"] == offered["dataset"]
    assert trained["model"] == str(words.path("model.sealed"))
    assert predicted["predictions"][0]["label"] in open_dataset(owner.dataset).class_names
    refused(lpe(*words.predict()), "model.sealed: encrypted to its owner; pass --keystore", code=2)


def test_each_step_says_what_was_done(lpe, owner, words):
    offered, attested, released = (lpe(*step) for step in (words.offer(), words.attest(), words.release()))
    assert (offered.code, attested.code, released.code) == (0, 0, 0)
    assert json.loads(words.path("offer.json").read_text())["nonce"][:16] in offered.out
    assert "public key" in attested.out
    assert "GCP_INTEL_TDX" in released.out
    trained = lpe(*words.train())
    assert trained.code == 0
    assert f"lpe predict --model {words.path('model.sealed')} --keystore" in " ".join(trained.out.split())
    assert "photo.png" in lpe(*words.predict(), "--keystore", owner.keystore).out


def test_an_offer_is_good_for_one_release(lpe, words):
    for step in (words.offer(), words.attest(), words.release()):
        assert lpe(*step).code == 0
    refused(lpe(*words.release("another.json")), "the offer was used", "make another offer")
    again = lpe(*words.release("another.json"), "--json")
    assert (again.code, again.json["command"], again.json["status"]) == (1, "keys release", "error")
    assert not words.path("another.json").exists()


def test_a_policy_is_written_and_explained(lpe, owner, words):
    written = lpe(*words.policy())
    assert (written.code, "GCP_INTEL_TDX" in written.out) == (0, True)
    explained = done(lpe("keys", "policy", "--explain", words.path("new.toml"), "--json"), "keys policy")
    assert explained["image_digests"] == [DIGEST]
    assert explained["sha256"] == done(lpe(*words.policy("newer.toml"), "--json"), "keys policy")["sha256"]
    for text in ("debugging", "disabled-since-boot", "warning: a service changes its keys"):
        assert text in lpe("keys", "policy", "--explain", owner.policy).out


def test_a_policy_that_cannot_be_is_one_line(lpe, owner, words):
    def tried(*more: object, code: int = 2) -> str:
        outcome = lpe(*words.policy(), *more)
        refused(outcome, code=code)
        assert not words.path("new.toml").exists()
        return outcome.err

    assert "no attestation service 'azur'; " in tried("--service", "azur")
    assert "not a tag" in tried("--image-digest", "workload:1")
    assert "24h" in tried("--max-age", "2d")
    assert "'soon' is no length of time" in tried("--max-age", "soon")
    assert "either" in tried("--roots", words.path("jwks.json"))
    assert "no such file" in tried("--jwks", words.path("none.json"), code=1)
    assert "--explain reads a policy" in tried("--explain", owner.policy)
    refused(lpe("keys", "policy", "--dataset", owner.dataset), "--output and --audience", code=2)
    refused(lpe(*words.policy("policy.toml")), "policy.toml: exists", code=2)
    refused(lpe("keys", "policy", "--explain", words.path("none.toml")), "none.toml: no such file")
    words.path("bad.toml").write_text("[token\n")
    refused(lpe("keys", "policy", "--explain", words.path("bad.toml")), "bad.toml: damaged", "no TOML")


def test_no_step_writes_over_a_file(lpe, words):
    steps = (words.offer, words.attest, words.release)
    for step in steps:
        assert lpe(*step()).code == 0
    for step in steps:
        before = {path: path.read_bytes() for path in words.path("").glob("*.json")}
        refused(lpe(*step()), ".json: exists; choose another --output or delete it first", code=2)
        assert before == {path: path.read_bytes() for path in words.path("").glob("*.json")}


def test_training_under_a_release_that_cannot_be_is_one_line(lpe, owner, words):
    for step in (words.offer(), words.attest(), words.release()):
        assert lpe(*step).code == 0
    words.path("there.sealed").write_text("mine")
    refused(lpe(*words.train("model")), "model: name the sealed model with .sealed", code=2)
    refused(lpe(*words.train("there.sealed")), "there.sealed: exists", code=2)
    refused(lpe(*words.train(), "--data-key", words.path("k")), "leave out --data-key", code=2)
    refused(lpe(*words.train(), "--init-from", words.path("run")), "--init-from", code=2)
    without = ("train", "--data", owner.dataset, "--output", words.path("run"), "--identity", "x")
    refused(lpe(*without), "--identity goes with --release", code=2)
    refused(lpe(*words.train(), "--identity", "/dev/shm/none"), "/dev/shm/none: no private key here")
    refused(lpe(*words.train(), "--release", words.path("none")), "none: no such file")
    refused(lpe(*words.train(), "--release", words.path("offer.json")), "offer.json: damaged")
    assert not words.path("model.sealed").exists()


def test_an_offer_or_request_that_cannot_be_is_one_line(lpe, owner, words):
    refused(lpe(*words.offer(), "--valid", "31d"), "1s to 30d, not 31d", code=2)
    refused(lpe(*words.offer(), "--policy", words.path("none.toml")), "none.toml: no such file")
    refused(lpe(*words.attest()), "offer.json: no such file")
    assert lpe(*words.offer()).code == 0
    refused(lpe(*words.attest(), "--token", "azure"), "no token provider azure", code=2)
    refused(lpe(*words.attest(), "--token", "command:false"), "false: no token: exit 1")
    refused(lpe(*words.attest(), "--identity", words.path("key")), "not in memory")
    refused(lpe(*words.release()), "request.json: no such file")
    assert len(owner.events("release refused")) == 1
    refused(lpe("predict", "--model", words.path("none.sealed"), "x.png"), "encrypted to its owner", code=2)
    sealed = ("predict", "--model", words.path("none.sealed"), "x.png", "--keystore", owner.keystore)
    refused(lpe(*sealed), "none.sealed: no such file; check the path")
