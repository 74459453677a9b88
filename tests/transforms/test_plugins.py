"""Schemes and attacks that others add: by a decorator in a program, by entry points of a distribution."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import lpe.transforms.attacks as attacks_module
from lpe.train import front_ends
from lpe.transforms import attacks, ciphers
from lpe.transforms.ciphers import registry
from lpe.transforms.ciphers.pbe import Pbe
from lpe.transforms.errors import CipherError
from lpe.transforms.keyed import CipherSpec

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "pixel-shift"


def install(site: Path, name: str, module: str, entry_points: dict[str, dict[str, str]]) -> None:
    """What pip leaves of a distribution with one module, in a folder for `sys.path`."""
    information = site / f"{name.replace('-', '_')}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    groups = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
        for group, points in entry_points.items()
    ]
    (information / "entry_points.txt").write_text("\n".join(groups))
    if module:
        (site / f"{name.replace('-', '_')}.py").write_text(module)


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder that modules and distributions are found in; what is registered is forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_left_out", set())
    monkeypatch.setattr(attacks_module, "_registered", {})
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(folder) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.fixture
def pixel_shift(site) -> Path:
    """The example of the documentation, as installed."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install(site, project["name"], (EXAMPLE / "pixel_shift.py").read_text(), project["entry-points"])
    return site


def test_an_installed_scheme_passes_the_tests_of_schemes(pixel_shift):
    shutil.copy(EXAMPLE / "test_pixel_shift.py", pixel_shift)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_pixel_shift.py"],
        cwd=pixel_shift,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(pixel_shift)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_the_commands_know_an_installed_scheme_and_its_attack(lpe, pixel_shift, tmp_path):
    listed = {item["name"]: item for item in lpe("ciphers", "--json").json["ciphers"]}
    assert listed["shift"]["params"] == {"direction": ["up", "down"]}
    assert list(listed)[-1] == "shift"
    source = ("--source", "synthetic:60")
    assert lpe("show", *source, "--ciphers", "lpe-100,shift", "--output", tmp_path / "grid.png").code == 0
    rows = lpe("stats", *source, "--ciphers", "shift", "--images", 20, "--json").json["schemes"]
    assert [row["cipher"] for row in rows] == ["shift", "random"]
    audit = ("audit", *source, "--cipher", "shift", "--images", 40, "--output", tmp_path / "audit")
    dataset, image = lpe(*audit, "--json").json["schemes"]
    assert [(attack["name"], attack["exact"]) for attack in dataset["attacks"]] == [("known-shift", 1.0)]
    assert "Broken with 1 known image" in dataset["verdict"]
    assert image["verdict"].startswith("Not attacked: none of these attacks is meant for it.")
    assert front_ends.best_for("shift") == front_ends.NONE


def test_worker_processes_know_an_installed_scheme(pixel_shift, tmp_path):
    """Each command in its own run of `main`, all in one fresh process; two more work beside it."""
    commands = [
        "keys create owner --keystore keys",
        "ingest --source synthetic:60 --output plain/shapes",
        "encrypt --source dataset:plain/shapes --output enc/shapes --keystore keys --key owner "
        "--cipher shift --param direction=down --workers 2",
        "verify enc/shapes --keystore keys --against dataset:plain/shapes",
    ]
    code = f"from lpe.pipeline.cli.app import main\nfor words in {commands!r}: assert main(words.split()) == 0, words"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(pixel_shift)])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    described = json.loads((tmp_path / "enc" / "shapes" / "1.0.0" / "encryption.json").read_text())
    assert (described["cipher"], described["params"]) == ("shift", {"direction": "down"})


def test_without_its_package_a_dataset_says_what_is_missing(
    lpe, keystore, pixel_shift, tmp_path, monkeypatch
):
    home = tmp_path / "enc" / "shapes"
    words = ("--source", "synthetic:60", "--output", home, "--keystore", keystore, "--key", "patients")
    assert lpe("encrypt", *words, "--cipher", "shift").code == 0
    monkeypatch.setattr(registry, "_registered", {})
    shutil.rmtree(next(pixel_shift.glob("*.dist-info")))
    done = lpe("verify", home, "--keystore", keystore)
    assert done.code == 1
    assert "unknown cipher 'shift'" in done.err
    assert "install the package that offers it" in done.err
    assert "damaged" not in done.err


DECORATED = """
import lpe
from lpe.transforms.ciphers.pbe import Pbe

@lpe.ciphers.register("mine", "mine-too")
class Mine(Pbe):
    source = "a program's own"
"""


def test_a_registered_scheme_is_used_under_its_names(site):
    (site / "program.py").write_text(DECORATED)
    import program  # noqa: PLC0415

    assert ciphers.names()[-2:] == ["mine", "mine-too"]
    cipher = ciphers.create("mine-too", secret=bytes(32), image_shape=(4, 4, 3))
    assert isinstance(cipher, program.Mine)
    assert cipher.name == "mine-too"
    images = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    assert np.array_equal(cipher.decrypt(cipher.encrypt(images)), images)


def test_a_process_that_is_sent_a_spec_imports_its_scheme(site):
    (site / "program.py").write_text(DECORATED)
    import program  # noqa: F401, PLC0415

    sent = pickle.dumps(CipherSpec("mine", salt="5a17", params={"colour": "true"}))
    code = (
        f"import pickle; spec = pickle.loads({sent!r}); from lpe.transforms import ciphers\n"
        "print(spec, ciphers.scheme(spec.name).__module__)"
    )

    def received(path: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )

    done = received(str(site))
    assert done.stdout.split()[-1] == "program", done.stderr
    assert "salt='5a17', scope='dataset', params={'colour': 'true'}" in done.stdout
    # Elsewhere, without the module, it says so where it is used.
    assert "CipherError: unknown cipher 'mine'" in received("").stderr


def test_registering_again_is_harmless_and_another_class_is_refused(site):
    def make(name: str, module: str = "cell"):
        return type(name, (Pbe,), {"__module__": module})

    ciphers.register("mine")(make("Mine"))
    again = make("Mine")
    ciphers.register("mine")(again)
    assert ciphers.scheme("mine") is again
    with pytest.raises(CipherError, match=r"mine is cell\.Mine already; choose another name for cell\.Other"):
        ciphers.register("mine")(make("Other"))


class Incomplete(ciphers.Cipher):
    """Only described."""

    source = keyed = broken_by = "said"


class Silent(Pbe):
    broken_by = None


class OddParameter(Pbe):
    @classmethod
    def default_params(cls):
        return {"a|b": ("x",)}


@pytest.mark.parametrize(
    ("names", "made", "message"),
    [
        (["lpe-100"], Pbe, "lpe-100 is built in and cannot be replaced"),
        (["a|b"], Pbe, "cannot be called 'a|b'"),
        (["../up"], Pbe, "cannot be called"),
        (["Shift"], Pbe, "cannot be called"),
        (["my_shift"], Pbe, "cannot be called"),
        (["x" * 65], Pbe, "cannot be called"),
        (["all"], Pbe, "not all or random"),
        (["mine"], Incomplete, "Incomplete lacks _decrypt, _encrypt, derive_keys, key_bits"),
        (["mine"], Silent, "Silent.broken_by must be a text"),
        (["mine"], OddParameter, "a parameter and its values"),
        (["mine"], object, "must be a class made from lpe.ciphers.Cipher"),
        ([], Pbe, "registered under a name"),
        ([Pbe], Pbe, "registered under a name"),
    ],
)
def test_what_cannot_be_registered(site, names, made, message):
    with pytest.raises(CipherError, match=message.replace("|", r"\|")):
        ciphers.register(*names)(made)
    assert ciphers.names() == list(registry._BUILT_IN)


@pytest.mark.parametrize(
    ("module", "value", "message"),
    [
        (
            "raise RuntimeError('no licence')",
            "broken:Mine",
            r"broken cannot be imported \(RuntimeError: no licence\)",
        ),
        ("", "broken:Mine", "ModuleNotFoundError|AttributeError"),
        ("Mine = 3", "broken:Mine", r"must be a class .*not 3 \(distribution broken\)"),
    ],
)
def test_a_broken_scheme_names_its_distribution_and_breaks_no_other(site, module, value, message, caplog):
    install(site, "broken", module, {"lpe.ciphers": {"mine": value}})
    with pytest.raises(CipherError, match=message):
        ciphers.scheme("mine")
    assert ciphers.names() == list(registry._BUILT_IN) == ciphers.names()
    (warning,) = caplog.messages
    assert warning.startswith("left out: ")
    assert "broken" in warning
    assert ciphers.scheme("lpe-100")


def test_a_built_in_name_is_not_replaced_by_an_installed_one(site, caplog):
    install(site, "bold", DECORATED.replace("mine", "pbe"), {"lpe.ciphers": {"pbe": "bold:Mine"}})
    assert ciphers.scheme("pbe") is Pbe
    assert ciphers.names() == list(registry._BUILT_IN)
    assert "pbe is built in" in caplog.text
    assert "bold" not in sys.modules


def test_a_name_that_two_distributions_offer_is_refused(site):
    for name in ("one", "two"):
        install(site, name, DECORATED, {"lpe.ciphers": {"ours": f"{name}:Mine"}})
    with pytest.raises(CipherError, match="ours is offered by several distributions, one and two"):
        ciphers.scheme("ours")


class Guess(attacks.Attack):
    """Says that the ciphertext is the image."""

    name = "guess"
    adversary = "ciphertext-only"
    source = "a test"

    def applies_to(self, target):
        return target.cipher == "pbe"

    def learn(self, evidence):
        return attacks.Recovery(lambda images: images)


def test_a_registered_attack_is_carried_out_with_its_adversary_s(site):
    assert attacks.register(Guess) is Guess
    names = [
        attack.name
        for attack in attacks.against(attacks.Target("pbe", {"colour": "false"}, "dataset", (4, 4, 3)))
    ]
    assert names == ["negatives", "guess", "known-pbe", "chosen-pbe"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"name": "known-pbe"},
            r"an attack known-pbe already, lpe\.transforms\.attacks\.known_pbe\.KnownPbe",
        ),
        ({"name": "a b"}, "cannot be called 'a b'"),
        ({"adversary": "anyone"}, "its adversary must be ciphertext-only or"),
        ({"source": None}, "not complete"),
        ({"learn": attacks.Attack.learn}, "not complete"),
    ],
)
def test_what_is_no_attack(site, fields, message):
    with pytest.raises(CipherError, match=message):
        attacks.register(type("Wrong", (Guess,), fields))


def test_an_audit_leaves_out_no_attack_that_is_installed(lpe, site, tmp_path):
    install(site, "broken", "raise OSError('gone')", {"lpe.attacks": {"guess": "broken:Guess"}})
    done = lpe(
        "audit", "--source", "synthetic:60", "--cipher", "pbe", "--images", 20, "--output", tmp_path / "a"
    )
    assert done.code == 1
    assert "broken:Guess of the distribution broken cannot be imported (OSError: gone)" in done.err


def test_an_installed_attack_is_offered_under_its_own_name(site):
    module = "from tests.transforms.test_plugins import Guess"
    install(site, "renamed", module, {"lpe.attacks": {"other": "renamed:Guess"}})
    with pytest.raises(CipherError, match="offered as other and calls itself guess"):
        attacks.all_attacks()
