"""Learnable pixel-based encryption of image datasets: the public API.

Everything here is also a command (`lpe --help`). A job is a function of a specification and returns a dataclass
with `to_json()`; it raises an `LpeError` whose one line says what was wrong, where, and what to do.

    import lpe

    keystore = lpe.KeyStore("keys")
    keystore.create("patients")                       # keys/patients.json, under keys/kek.json

    plain = lpe.ingest(lpe.JobSpec(lpe.ReadSpec("synthetic:100"), "plain/shapes"))
    source = lpe.ReadSpec(f"dataset:{plain.dataset.directory}")

    key = lpe.KeyRef("keys", "patients")
    encrypted = lpe.encrypt(lpe.JobSpec(source, "encrypted/shapes"), lpe.CipherChoice("lpe-100"), key)

    checked = lpe.verify("encrypted/shapes", "keys", against="plain/shapes")
    assert not checked.problems and checked.compared

    back = lpe.decrypt(lpe.JobSpec(lpe.ReadSpec("dataset:encrypted/shapes"), "back/shapes"), "keys")
    assert back.dataset.digest() == plain.dataset.digest()

A script whose job has `processes=2` or more runs it under `if __name__ == "__main__":`, since each process imports
the script. Training is `lpe.fit`: `lpe.train` is the package with the networks. `import lpe` costs nothing: each
name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpe.pipeline.attestation.identity import delete_identity
    from lpe.pipeline.attestation.owner_service import OwnerService
    from lpe.pipeline.attestation.policy import ReleasePolicy, read_policy, write_policy
    from lpe.pipeline.attestation.released_key import ReleasedKey, open_release
    from lpe.pipeline.attestation.trust import read_trust
    from lpe.pipeline.audit.report import AuditReport
    from lpe.pipeline.compare.comparison import compare
    from lpe.pipeline.compare.report import Comparison
    from lpe.pipeline.compare.trials import CompareSpec
    from lpe.pipeline.dataset import Dataset, open_dataset
    from lpe.pipeline.engine.runners import JobStaged
    from lpe.pipeline.jobs.append import append
    from lpe.pipeline.jobs.append_encrypted import append_encrypted
    from lpe.pipeline.jobs.attested_training import train_released
    from lpe.pipeline.jobs.attesting import attest, attest_to
    from lpe.pipeline.jobs.audit import AuditSpec, audit
    from lpe.pipeline.jobs.decrypt import decrypt
    from lpe.pipeline.jobs.decrypt_files import ImageFiles, decrypt_files
    from lpe.pipeline.jobs.demo import DemoResult, DemoSpec, run_demo
    from lpe.pipeline.jobs.doctor.report import DoctorReport, doctor
    from lpe.pipeline.jobs.dry_run import Forecast, forecast
    from lpe.pipeline.jobs.encrypt import encrypt
    from lpe.pipeline.jobs.export import export_data_key
    from lpe.pipeline.jobs.fit_reduction import FittedReduction, fit_reduction
    from lpe.pipeline.jobs.ingest import ingest
    from lpe.pipeline.jobs.inspect import Inspection, inspect
    from lpe.pipeline.jobs.key_server import ServeSpec, serve_data_key
    from lpe.pipeline.jobs.keyset_status import keyset_status
    from lpe.pipeline.jobs.page import show_page
    from lpe.pipeline.jobs.predict import Prediction, predict
    from lpe.pipeline.jobs.register import register_run
    from lpe.pipeline.jobs.releasing import offer_data_key, release_data_key, release_to_file, sealed_dataset
    from lpe.pipeline.jobs.rotation import (
        DestroyedKeys,
        DueActions,
        Outcome,
        Policy,
        destroy_unused_keys,
        due_actions,
        keys_to_destroy,
        reencrypt,
    )
    from lpe.pipeline.jobs.show import show
    from lpe.pipeline.jobs.spec import CipherChange, CipherChoice, JobResult, JobSpec
    from lpe.pipeline.jobs.stats import stats
    from lpe.pipeline.jobs.unseal import unseal
    from lpe.pipeline.jobs.verify import Verification, verify
    from lpe.pipeline.keystore import KeyRef, KeyStore, Registry
    from lpe.pipeline.sources.base import ReadOptions
    from lpe.pipeline.sources.limits import Limits
    from lpe.pipeline.sources.plan import ReadSpec
    from lpe.train.evaluate import Evaluation, evaluate
    from lpe.train.exporting import ExportedModel, export_model
    from lpe.train.loop import TrainResult, TrainSpec, fit
    from lpe.train.reduction.spec import FitSpec
    from lpe.train.runs import Run, load_run
    from lpe.transforms import attacks, ciphers
    from lpe.transforms.augment import Augmentation
    from lpe.transforms.dofns import DecryptImages, EncryptImages, Example
    from lpe.transforms.errors import (
        AttestationError,
        BusyError,
        CipherError,
        DataError,
        KeyStoreError,
        LpeError,
        UsageError,
    )
    from lpe.transforms.keyed import CipherSpec

    __version__: str

_MODULES = {
    "AttestationError": "lpe.transforms.errors",
    "AuditReport": "lpe.pipeline.audit.report",
    "AuditSpec": "lpe.pipeline.jobs.audit",
    "Augmentation": "lpe.transforms.augment",
    "BusyError": "lpe.transforms.errors",
    "CipherChange": "lpe.pipeline.jobs.spec",
    "CipherChoice": "lpe.pipeline.jobs.spec",
    "CipherError": "lpe.transforms.errors",
    "CipherSpec": "lpe.transforms.keyed",
    "CompareSpec": "lpe.pipeline.compare.trials",
    "Comparison": "lpe.pipeline.compare.report",
    "DataError": "lpe.transforms.errors",
    "Dataset": "lpe.pipeline.dataset",
    "DecryptImages": "lpe.transforms.dofns",
    "DemoResult": "lpe.pipeline.jobs.demo",
    "DemoSpec": "lpe.pipeline.jobs.demo",
    "DestroyedKeys": "lpe.pipeline.jobs.rotation",
    "DoctorReport": "lpe.pipeline.jobs.doctor.report",
    "DueActions": "lpe.pipeline.jobs.rotation",
    "EncryptImages": "lpe.transforms.dofns",
    "Evaluation": "lpe.train.evaluate",
    "Example": "lpe.transforms.dofns",
    "ExportedModel": "lpe.train.exporting",
    "FitSpec": "lpe.train.reduction.spec",
    "FittedReduction": "lpe.pipeline.jobs.fit_reduction",
    "Forecast": "lpe.pipeline.jobs.dry_run",
    "ImageFiles": "lpe.pipeline.jobs.decrypt_files",
    "Inspection": "lpe.pipeline.jobs.inspect",
    "JobResult": "lpe.pipeline.jobs.spec",
    "JobSpec": "lpe.pipeline.jobs.spec",
    "JobStaged": "lpe.pipeline.engine.runners",
    "KeyRef": "lpe.pipeline.keystore",
    "KeyStore": "lpe.pipeline.keystore",
    "KeyStoreError": "lpe.transforms.errors",
    "Limits": "lpe.pipeline.sources.limits",
    "LpeError": "lpe.transforms.errors",
    "Outcome": "lpe.pipeline.jobs.rotation",
    "OwnerService": "lpe.pipeline.attestation.owner_service",
    "Policy": "lpe.pipeline.jobs.rotation",
    "Prediction": "lpe.pipeline.jobs.predict",
    "ReadOptions": "lpe.pipeline.sources.base",
    "ReadSpec": "lpe.pipeline.sources.plan",
    "Registry": "lpe.pipeline.keystore",
    "ReleasePolicy": "lpe.pipeline.attestation.policy",
    "ReleasedKey": "lpe.pipeline.attestation.released_key",
    "Run": "lpe.train.runs",
    "ServeSpec": "lpe.pipeline.jobs.key_server",
    "TrainResult": "lpe.train.loop",
    "TrainSpec": "lpe.train.loop",
    "UsageError": "lpe.transforms.errors",
    "Verification": "lpe.pipeline.jobs.verify",
    "append": "lpe.pipeline.jobs.append",
    "append_encrypted": "lpe.pipeline.jobs.append_encrypted",
    "attacks": "lpe.transforms",
    "attest": "lpe.pipeline.jobs.attesting",
    "attest_to": "lpe.pipeline.jobs.attesting",
    "audit": "lpe.pipeline.jobs.audit",
    "ciphers": "lpe.transforms",
    "compare": "lpe.pipeline.compare.comparison",
    "decrypt": "lpe.pipeline.jobs.decrypt",
    "decrypt_files": "lpe.pipeline.jobs.decrypt_files",
    "delete_identity": "lpe.pipeline.attestation.identity",
    "destroy_unused_keys": "lpe.pipeline.jobs.rotation",
    "doctor": "lpe.pipeline.jobs.doctor.report",
    "due_actions": "lpe.pipeline.jobs.rotation",
    "encrypt": "lpe.pipeline.jobs.encrypt",
    "evaluate": "lpe.train.evaluate",
    "export_data_key": "lpe.pipeline.jobs.export",
    "export_model": "lpe.train.exporting",
    "fit": "lpe.train.loop",
    "fit_reduction": "lpe.pipeline.jobs.fit_reduction",
    "forecast": "lpe.pipeline.jobs.dry_run",
    "ingest": "lpe.pipeline.jobs.ingest",
    "inspect": "lpe.pipeline.jobs.inspect",
    "keys_to_destroy": "lpe.pipeline.jobs.rotation",
    "keyset_status": "lpe.pipeline.jobs.keyset_status",
    "load_run": "lpe.train.runs",
    "offer_data_key": "lpe.pipeline.jobs.releasing",
    "open_dataset": "lpe.pipeline.dataset",
    "open_release": "lpe.pipeline.attestation.released_key",
    "predict": "lpe.pipeline.jobs.predict",
    "read_policy": "lpe.pipeline.attestation.policy",
    "read_trust": "lpe.pipeline.attestation.trust",
    "reencrypt": "lpe.pipeline.jobs.rotation",
    "register_run": "lpe.pipeline.jobs.register",
    "release_data_key": "lpe.pipeline.jobs.releasing",
    "release_to_file": "lpe.pipeline.jobs.releasing",
    "run_demo": "lpe.pipeline.jobs.demo",
    "sealed_dataset": "lpe.pipeline.jobs.releasing",
    "serve_data_key": "lpe.pipeline.jobs.key_server",
    "show": "lpe.pipeline.jobs.show",
    "show_page": "lpe.pipeline.jobs.page",
    "stats": "lpe.pipeline.jobs.stats",
    "train_released": "lpe.pipeline.jobs.attested_training",
    "unseal": "lpe.pipeline.jobs.unseal",
    "verify": "lpe.pipeline.jobs.verify",
    "write_policy": "lpe.pipeline.attestation.policy",
}
"""Where each public name is defined; the import above says the same to type checkers."""

__all__ = [
    "AttestationError",
    "AuditReport",
    "AuditSpec",
    "Augmentation",
    "BusyError",
    "CipherChange",
    "CipherChoice",
    "CipherError",
    "CipherSpec",
    "CompareSpec",
    "Comparison",
    "DataError",
    "Dataset",
    "DecryptImages",
    "DemoResult",
    "DemoSpec",
    "DestroyedKeys",
    "DoctorReport",
    "DueActions",
    "EncryptImages",
    "Evaluation",
    "Example",
    "ExportedModel",
    "FitSpec",
    "FittedReduction",
    "Forecast",
    "ImageFiles",
    "Inspection",
    "JobResult",
    "JobSpec",
    "JobStaged",
    "KeyRef",
    "KeyStore",
    "KeyStoreError",
    "Limits",
    "LpeError",
    "Outcome",
    "OwnerService",
    "Policy",
    "Prediction",
    "ReadOptions",
    "ReadSpec",
    "Registry",
    "ReleasePolicy",
    "ReleasedKey",
    "Run",
    "ServeSpec",
    "TrainResult",
    "TrainSpec",
    "UsageError",
    "Verification",
    "__version__",
    "append",
    "append_encrypted",
    "attacks",
    "attest",
    "attest_to",
    "audit",
    "ciphers",
    "compare",
    "decrypt",
    "decrypt_files",
    "delete_identity",
    "destroy_unused_keys",
    "doctor",
    "due_actions",
    "encrypt",
    "evaluate",
    "export_data_key",
    "export_model",
    "fit",
    "fit_reduction",
    "forecast",
    "ingest",
    "inspect",
    "keys_to_destroy",
    "keyset_status",
    "load_run",
    "offer_data_key",
    "open_dataset",
    "open_release",
    "predict",
    "read_policy",
    "read_trust",
    "reencrypt",
    "register_run",
    "release_data_key",
    "release_to_file",
    "run_demo",
    "sealed_dataset",
    "serve_data_key",
    "show",
    "show_page",
    "stats",
    "train_released",
    "unseal",
    "verify",
    "write_policy",
]


def __getattr__(name: str) -> Any:
    """Loads a public name on its first use (PEP 562)."""
    if name == "__version__":
        import importlib.metadata  # noqa: PLC0415  (slow, and seldom asked for)

        value: Any = importlib.metadata.version("learnable-pixel-encryption")
    elif name in _MODULES:
        value = _load(name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _load(name: str) -> Any:
    module = importlib.import_module(_MODULES[name])
    return (
        getattr(module, name)
        if hasattr(module, name)
        else importlib.import_module(f"{_MODULES[name]}.{name}")
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
