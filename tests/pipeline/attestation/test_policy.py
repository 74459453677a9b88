"""A release policy: what can be written, what is refused, and what an owner is warned of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

import lpe
from lpe.pipeline.attestation.policy import ReleasePolicy
from lpe.pipeline.attestation.trust import Trust
from lpe.pipeline.storage.documents import is_plain_text
from lpe.transforms.errors import AttestationError, UsageError
from tests.fuzz.trial import check_line
from tests.pipeline.attestation.chains import certify
from tests.pipeline.attestation.owner import SHAPES, good_policy
from tests.pipeline.attestation.stub_service import DIGEST, StubService

TEXTS = st.text(min_size=1, max_size=500).filter(is_plain_text)
AWKWARD = ('"', "\\", "\\u0041", "'''", '"""', "é", "\U0001f512", "#", " ", "{}", "\u202e", "ab\\")


@pytest.fixture(scope="session")
def trust(service: StubService) -> Trust:
    return Trust(service.jwks())


@pytest.fixture
def policy(trust: Trust) -> ReleasePolicy:
    return good_policy(trust)


@pytest.fixture
def edited(policy, tmp_path) -> Callable[[str, str], str]:
    """What is said of a policy file in which one text was replaced by another."""
    path = tmp_path / "policy.toml"
    content = lpe.write_policy(policy, str(path)) and path.read_text()

    def edit(old: str, new: str) -> str:
        assert old in content
        path.write_text(content.replace(old, new, 1))
        return refusal(str(path))

    return edit


def refusal(path: str) -> str:
    with pytest.raises(AttestationError) as caught:
        lpe.read_policy(path)
    line = str(caught.value)
    check_line(line)
    assert path in line or "the JWKS" in line or "what is pinned" in line
    return line


@hypothesis.given(issuer=TEXTS, audience=TEXTS)
@hypothesis.example(issuer="".join(AWKWARD), audience="".join(reversed(AWKWARD)))
@hypothesis.settings(deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_a_policy_is_read_as_it_was_written(trust, tmp_path, issuer, audience):
    policy = good_policy(trust, issuer=issuer, audience=audience)
    path = tmp_path / "policy.toml"
    path.unlink(missing_ok=True)
    written = lpe.write_policy(policy, str(path))
    assert dataclasses.replace(written.policy, trust=trust) == policy
    assert lpe.read_policy(str(path)).policy.trust.described() == trust.described()


@pytest.mark.parametrize(
    "changes",
    [
        {"image_digests": (DIGEST, "sha256:" + "0c" * 32)},
        {"hardware": ("GCP_INTEL_TDX", "GCP_AMD_SEV_SNP"), "support_attributes": ("LATEST", "STABLE")},
        {"support_attributes": (), "confidential_gpu": False},
        {"service": "azure", "hardware": ("sevsnpvm",), "confidential_gpu": False},
        {"service": "trustee", "hardware": ("tdx", "snp"), "support_attributes": (), "confidential_gpu": False},
        {"max_age": "24h"},
        {"max_age": "1s"},
        {"max_age": "1d"},
    ],
)  # fmt: skip
def test_every_field_is_kept(policy, tmp_path, changes):
    changed = dataclasses.replace(policy, **changes)
    written = lpe.write_policy(changed, str(tmp_path / "policy.toml")).policy
    assert dataclasses.replace(written, trust=policy.trust) == changed


def test_a_policy_with_a_root_certificate_is_kept(policy, tmp_path):
    trust = Trust(roots=certify("root").pem)
    changed = dataclasses.replace(policy, trust=trust)
    read = lpe.write_policy(changed, str(tmp_path / "policy.toml")).policy
    assert (read.trust.roots or "").strip() == (trust.roots or "").strip()
    assert read.trust.keys is None


def test_a_policy_is_not_written_over_another(policy, tmp_path):
    path = str(tmp_path / "policy.toml")
    lpe.write_policy(policy, path)
    with pytest.raises(UsageError, match="exists"):
        lpe.write_policy(policy, path)


WRONG_VALUES = [
    ({"image_digests": ()}, "at least one image digest"),
    ({"image_digests": ("registry.example/workload:latest",)}, "not a tag"),
    ({"image_digests": ("latest",)}, "not a tag"),
    ({"image_digests": (DIGEST.upper(),)}, "64 hex digits"),
    ({"image_digests": (DIGEST[:-1],)}, "64 hex digits"),
    ({"image_digests": (DIGEST + "\n",)}, "64 hex digits"),
    ({"image_digests": (DIGEST, "*")}, "64 hex digits"),
    ({"hardware": ()}, "one kind of hardware"),
    ({"hardware": ("any hardware",)}, "no kind of hardware"),
    ({"hardware": ("",)}, "no kind of hardware"),
    ({"support_attributes": ("STABLE\n",)}, "no support attribute"),
    ({"service": "confidental-space"}, "did you mean confidential-space?"),
    ({"service": "azzure"}, "did you mean azure?"),
    ({"service": ""}, "no attestation service"),
    ({"service": "azure\n"}, "did you mean azure?"),
    ({"audience": ""}, "the audience must be a text"),
    ({"audience": "a\nb"}, "the audience must be a text"),
    ({"audience": "x" * 501}, "the audience must be a text"),
    ({"audience": "\ud800"}, "the audience must be a text"),
    ({"issuer": ""}, "the issuer must be a text"),
    ({"issuer": "\0"}, "the issuer must be a text"),
    ({"max_age": "0s"}, "1s to 24h"),
    ({"max_age": "0"}, "no length of time"),
    ({"max_age": "2d"}, "1s to 24h"),
    ({"max_age": "25h"}, "1s to 24h"),
    ({"max_age": "abc"}, "no length of time"),
    ({"max_age": "-1m"}, "no length of time"),
    ({"max_age": ""}, "no length of time"),
    ({"service": "azure", "hardware": ("sevsnpvm",)}, "say nothing of a GPU"),
    ({"service": "trustee", "hardware": ("snp",)}, "say nothing of a GPU"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG_VALUES)
def test_a_value_that_cannot_be_is_refused(policy, changes, words):
    with pytest.raises(UsageError) as caught:
        dataclasses.replace(policy, **changes)
    assert words in str(caught.value)
    check_line(str(caught.value))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (DIGEST, "registry.example/workload:latest", "not a tag"),
        (f'["{DIGEST}"]', "[]", "at least one image digest"),
        (f'["{DIGEST}"]', f'"{DIGEST}"', "must be a list"),
        ('"confidential-space"', '"confidental-space"', "did you mean confidential-space?"),
        ('max_age = "10m"', 'max_age = "0m"', "1s to 24h"),
        ('max_age = "10m"', 'max_age = "2d"', "1s to 24h"),
        ('max_age = "10m"', 'max_age = "abc"', "no length of time"),
        ('max_age = "10m"', "max_age = 10", "must be a text"),
        ('max_age = "10m"\n', "", "no field 'max_age'"),
        ('"disabled-since-boot"', '"enabled"', "debug can only be 'disabled-since-boot'"),
        ('"disabled-since-boot"', "true", "must be a text"),
        ('debug = "disabled-since-boot"\n', "", "no field 'debug'"),
        ("confidential_gpu = true", "confidential_gpu = 1", "must be true or false"),
        ("confidential_gpu = true", 'confidential_gpu = "false"', "must be true or false"),
        ("confidential_gpu = true\n", "", "no field 'confidential_gpu'"),
        ("confidential_gpu = true", "confidential_gpu = true\nmore = 1", "unknown field 'more'"),
        ("[machine]", "[machines]", "unknown field 'machines'"),
        ("[dataset]", "more = 1\n[dataset]", "unknown field 'more'"),
        ("[program]", "[program]\nname = 'x'", "unknown field 'name'"),
        ("format_version = 1", "format_version = 2", "format_version"),
        ("format_version = 1", "format_version = 1\nformat_version = 1", "no TOML"),
        ("[dataset]", "[dataset", "no TOML"),
        ("[dataset]", "[dataset]\nid = 'x'", "no TOML"),
        (SHAPES.salt, SHAPES.salt[1:], "'id' cannot be"),
        ('name = "shapes"', 'name = "../shapes"', "'name' cannot be"),
        ("keys = '''", "roots = '''", "what is pinned cannot be used"),
        ("[program]", "roots = ''\n[program]", "pin either"),
        ("keys = '''", "keyring = '''", "unknown field 'keyring'"),
        ("[program]", "[program]\nkeys = ''", "unknown field 'keys'"),
        ('"kid": "key-1"', '"kid": 1', "damaged"),
        ('audience = "', 'audience = 1 # "', "must be a text"),
        ('audience = "', 'audience = "" # "', "the audience must be a text"),
        ('hardware = ["GCP_INTEL_TDX"]', "hardware = 1979-05-27", "must be a list"),
    ],
)  # fmt: skip
def test_a_file_that_says_what_cannot_be_is_refused(edited, old, new, words):
    assert words in edited(old, new)


def test_a_policy_pins_keys_or_a_root(edited, policy):
    start, end = (policy.to_toml().index(mark) for mark in ("keys = '''", "\n[program]"))
    assert "pin either" in edited(policy.to_toml()[start:end], "")


NO_POLICIES = (b"", b"\xff", b"\0", b"not toml", b"a = " + b"[" * 100_000, b"a." * 1_000 + b"b=1", b"# \r")


@pytest.mark.parametrize("content", NO_POLICIES)
def test_a_file_that_is_no_policy_is_refused(tmp_path, content):
    path = tmp_path / "policy.toml"
    path.write_bytes(content)
    refusal(str(path))


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    assert "no such file; write it again with lpe keys policy" in refusal(str(tmp_path / "none.toml"))
    assert "directory" in refusal(str(tmp_path))
    path = Path(tmp_path, "policy.toml")
    path.write_bytes(b"#" * ((256 << 10) + 1))
    assert "larger than 256 KB" in refusal(str(path))


def warned(policy: ReleasePolicy, **changes: Any) -> str:
    return " | ".join(dataclasses.replace(policy, **changes).warnings())


def test_an_owner_is_warned_of_what_is_lax(policy):
    assert "any state of the service's own image will do; demand USABLE" in warned(
        policy, support_attributes=()
    )
    assert "a GPU need not be confidential" in warned(policy, confidential_gpu=False)
    assert "GCP_SHIELDED_VM is not known" in warned(policy, hardware=("GCP_SHIELDED_VM",))
    assert "a token of 2h ago will do" in warned(policy, max_age="2h")
    assert "2 programs may have the key" in warned(policy, image_digests=(DIGEST, "sha256:" + "0c" * 32))
    assert "changes its keys now and then" in warned(policy)
    root = Trust(roots=certify("root", days=(-30, -1)).pem)
    assert "expired" in warned(policy, trust=root)


def test_a_strict_policy_warns_of_nothing(policy):
    assert warned(policy, trust=Trust(roots=certify("root").pem)) == ""


def test_a_policy_is_explained_by_all_that_it_demands(policy, tmp_path):
    rows = lpe.write_policy(policy, str(tmp_path / "policy.toml")).properties()
    told = " ".join(rows.values())
    for value in (
        policy.issuer,
        policy.audience,
        DIGEST,
        "GCP_INTEL_TDX",
        "STABLE",
        "confidential",
        "10 minutes",
    ):
        assert value in told
