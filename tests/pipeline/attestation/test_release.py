"""A data key released to a program, and opened by it alone."""

from __future__ import annotations

import dataclasses

import pytest

import lpe
from lpe.pipeline.attestation import hpke
from lpe.pipeline.attestation.released_key import ReleasedKey
from lpe.pipeline.seal.data_key import load_data_key
from lpe.transforms.errors import AttestationError


def test_a_program_that_is_as_the_policy_says_gets_the_data_key(owner, program):
    release, released = owner.release(owner.request(owner.offer(), program))
    key = ReleasedKey(release, program)
    lpe.export_data_key(owner.dataset, owner.keystore, "patients", str(owner.folder / "exported.key"))
    assert key.load().check_value() == load_data_key(str(owner.folder / "exported.key")).check_value()
    assert released.image_digest in owner.events("data key released")[0]["program"]


def test_another_program_cannot_open_a_release(owner, program):
    release, _ = owner.release(owner.request(owner.offer(), program))
    with pytest.raises(AttestationError, match="another program"):
        ReleasedKey(release, hpke.PrivateKey.new())


def test_a_release_names_the_key_that_it_is_encrypted_to(owner, program):
    release, _ = owner.release(owner.request(owner.offer(), program))
    named = dataclasses.replace(release, public_key=hpke.PrivateKey.new().public)
    with pytest.raises(AttestationError, match="another program"):
        ReleasedKey(named, program)


def test_the_key_that_a_model_is_encrypted_to_cannot_be_exchanged_on_the_way(owner, program):
    release, _ = owner.release(owner.request(owner.offer(), program))
    foreign = dataclasses.replace(release.offer, model_key=hpke.PrivateKey.new().public)
    with pytest.raises(AttestationError, match="another offer"):
        ReleasedKey(dataclasses.replace(release, offer=foreign), program)
