"""Checks of what training would use: Keras's backend, and GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import lpe
from lpe.pipeline.jobs.doctor.check import Check, failed, fault
from lpe.train import backend
from lpe.transforms.errors import UsageError, did_you_mean, one_line
from lpe.transforms.extras import install_command, is_importable

_DEVICES = Path("/dev")
_GPUS = ("nvidia[0-9]*", "kfd")  # NVIDIA's, and AMD's all together
_SECONDS = 60.0
_FOR_GPUS = {
    "tensorflow": "pip install 'tensorflow[and-cuda]'",
    "jax": "pip install 'jax[cuda13]'",
    "torch": "install PyTorch's build for this GPU: https://pytorch.org/get-started/locally",
}
_HIDES = "CUDA_VISIBLE_DEVICES"


def check_training() -> list[Check]:
    """Checks that the backend is there, and where the machine has a GPU that the backend computes with it.

    That takes the seconds of importing the backend, in another process, on machines with a GPU alone.
    """
    asked = os.environ.get("KERAS_BACKEND")
    if not asked and not any(map(is_importable, (*backend.BACKENDS, "keras"))):
        return [
            Check(
                "backend", "note", "none is installed: nothing can be trained here", install_command("train")
            )
        ]
    try:
        name = backend.name()
    except UsageError as error:
        return [failed("backend", error)]
    if name not in backend.BACKENDS:
        hint = did_you_mean(name, backend.BACKENDS)
        detail = f"KERAS_BACKEND names {name!r}; there is {', '.join(backend.BACKENDS)}{hint}"
        return [fault("backend", detail, "unset KERAS_BACKEND, or set it to one of these")]
    missing = [module for module in (name, "keras") if not is_importable(module)]
    if missing:
        detail = f"training would use {backend.title()}, and {' and '.join(missing)} cannot be imported"
        return [fault("backend", detail, install_command(backend.EXTRAS[name]))]
    chosen = "named by KERAS_BACKEND" if asked else "the first that is installed"
    return [Check("backend", "ok", f"{backend.title()}, {chosen}"), _check_gpus(name)]


def _check_gpus(name: str) -> Check:
    if not any(True for pattern in _GPUS for _ in _DEVICES.glob(pattern)):
        return Check("GPU", "note", "none in this machine: training runs on the processor")
    code = "from lpe.train import backend; print(*backend.gpus(), sep=', ')"
    try:
        done = subprocess.run(  # noqa: S603  (our own words)
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
            cwd=Path(lpe.__file__).parents[1],  # a checkout need not be installed
        )
    except subprocess.TimeoutExpired:
        return fault(
            "GPU",
            f"{backend.title()} does not start within {_SECONDS:.0f} s",
            "see whether nvidia-smi answers",
        )
    except subprocess.CalledProcessError as error:
        said = one_line((error.stderr.strip().splitlines() or ["no message"])[-1])
        return fault(
            "GPU", f"{backend.title()} does not start: {said}", install_command(backend.EXTRAS[name])
        )
    seen = done.stdout.strip()
    if seen:
        return Check("GPU", "ok", seen)
    hidden = os.environ.get(_HIDES)
    detail = f"the machine has one, and {backend.title()} finds none"
    if hidden is not None:
        return fault("GPU", f"{detail}: {_HIDES} is {hidden!r}", f"unset {_HIDES}")
    return fault("GPU", detail, _FOR_GPUS[name])
