"""Checks of what a command line names, made before anything slow is imported: neither Beam nor Keras is.

What is on this machine is looked for; remote paths are left to the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import lpe
from lpe.pipeline import storage
from lpe.pipeline.attestation import SEALED_MODEL
from lpe.pipeline.jobs.work_directory import run_directory
from lpe.transforms.errors import DataError, KeyStoreError, UsageError, did_you_mean


def check_source(read: lpe.ReadSpec) -> None:
    """Refuses an input that is none: an unknown kind, nothing at its path, or options that do not go with it.

    Raises:
      UsageError: the options.
      DataError: the kind or the path.
    """
    from lpe.pipeline.sources import open_source, plan, split_uri  # noqa: PLC0415  (Pillow)

    kind, place = split_uri(read.source)
    plan.check_options(read)
    if kind == "dataset":
        check_dataset(place)
    elif kind == "synthetic":
        open_source(read.source, read.options).close()
    elif kind == "parquet":
        from lpe.pipeline.sources.parquet_files import find  # noqa: PLC0415  (pyarrow)

        if not storage.is_remote(place):
            find(place)
    elif kind != "tfds" and not storage.is_remote(place) and not storage.exists(place):
        raise DataError(f"{place}: nothing is there; check the path of {read.source}")


def check_append(home: str, *, append: bool, add_labels: bool) -> None:
    """Refuses options of appending that cannot be meant.

    Raises:
      UsageError: classes are to be added to a dataset that is written anew.
      DataError: there is no dataset to append to.
    """
    if add_labels and not append:
        raise UsageError("--add-labels goes with --append; a new dataset has all classes of its source")
    if append:
        check_dataset(home)


def check_dataset(path: str) -> None:
    """Raises DataError unless there is a dataset, or the path is remote."""
    from lpe.pipeline.dataset import version_directory  # noqa: PLC0415  (Pillow)
    from lpe.train.runs import RUN_FILE, SPEC_FILE  # noqa: PLC0415  (NumPy)

    if storage.is_remote(path):
        return
    try:
        version_directory(path)
    except DataError:
        if any(storage.exists(storage.join(path, name)) for name in (RUN_FILE, SPEC_FILE)):
            raise DataError(f"{path}: a training run; name the dataset that it was trained on") from None
        if storage.exists(run_directory(path, "encrypted")):
            within = storage.join(path, "encrypted", "NAME")
            raise DataError(f"{path}: a work directory of lpe run; name a dataset in it, {within}") from None
        raise


def check_keystore(uri: str | None) -> None:
    """Raises KeyStoreError for a key store of this machine that is not there."""
    if uri is not None and not storage.is_remote(uri) and not Path(uri).is_dir():
        raise KeyStoreError(
            f"{uri}: no key store here; give --keystore the one that the data was encrypted with"
        )


def check_keyset(key: lpe.KeyRef) -> None:
    """Raises KeyStoreError if a key store of this machine has no such keyset."""
    if not storage.is_remote(key.keystore):
        lpe.KeyStore(key.keystore).metadata(key.name)


def check_cipher(
    name: str, params: Mapping[str, str], *, seal: bool = False, image_size: str = "same"
) -> None:
    """Refuses an encryption that there is not.

    Raises:
      CipherError: an unknown scheme, parameter or value.
      UsageError: a seal around images of many shapes.
    """
    lpe.ciphers.resolve_params(name, params)
    if seal and image_size == "any":
        raise UsageError("--seal needs images of one shape; give --image-size HEIGHTxWIDTH, such as 224x224")


def check_reduction(text: str | None) -> None:
    """Raises UsageError for a reduction that there is not."""
    from lpe.pipeline.encryption.reduction import given_chain  # noqa: PLC0415  (Tink)

    if text is not None:
        given_chain(text)


def check_network(model: str, front_end: str = "none", precision: str = "float32") -> None:
    """Raises UsageError for a network, a front end or a precision that there is not."""
    from lpe.train import backend, front_ends, models  # noqa: PLC0415  (NumPy)

    models.check(model)
    front_ends.check(front_end)
    backend.check_precision(precision)


def check_run(directory: str) -> None:
    """Raises DataError unless there is a finished training run."""
    within = run_directory(directory, "encrypted")
    if storage.exists(within):
        raise DataError(f"{directory}: a work directory of lpe run; did you mean {within}?")
    lpe.load_run(directory)


def chosen_model(run: str | None, model: str | None) -> str:
    """The model that `--run` or `--model` names, which is there.

    Raises:
      UsageError: neither of them, or both.
      DataError: no finished run, or no file.
    """
    if (run is None) == (model is None):
        raise UsageError("name one model: --run DIR, or --model FILE of lpe export or lpe train --release")
    if run is not None:
        check_run(run)
        return run
    # A sealed model may be in a bucket, and whoever opens it says more.
    if not str(model).endswith(SEALED_MODEL) and not Path(str(model)).is_file():
        raise DataError(
            f"{model}: no such file; --model takes an ONNX file of lpe export, --run a run's directory"
        )
    return str(model)


def check_picture(path: str) -> None:
    """Raises UsageError unless a picture of this name can be a PNG."""
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"{path}: the picture is a PNG; give --output a name that ends in .png")


def chosen_adversaries(name: str) -> tuple[str, ...]:
    """The adversaries that `--adversary` stands for. Raises UsageError for an unknown one."""
    known = lpe.AuditSpec.adversaries
    if name == "all":
        return known
    if name not in known:
        names = ["all", *known]
        hint = did_you_mean(name, names)
        raise UsageError(f"unknown adversary {name!r}; there is {', '.join(names)}{hint}")
    return (name,)
