"""Trained networks written for other runtimes: ONNX, TensorFlow's SavedModel, PyTorch's ExportedProgram.

The network is built by this package and takes its weights from the run, as for prediction: no code of the run's is run.
Its front end is inside; input is uint8 [N, H, W, C], encrypted as the training images were, output probabilities.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lpe.pipeline import storage
from lpe.train import backend
from lpe.train.onnx_model import INPUT, METADATA, OUTPUT, SUFFIX, OnnxModel
from lpe.train.runs import Run
from lpe.train.served_model import ServedModel
from lpe.transforms.errors import DataError, UsageError, did_you_mean, one_line
from lpe.transforms.extras import require
from lpe.transforms.tables import megabytes, properties_html

if TYPE_CHECKING:
    import keras

DESCRIPTION = "lpe.json"
"""The file within a SavedModel or an ExportedProgram that says what `ServedModel` does."""
_OPSET = 18  # the first with bitwise operators, which front ends need
_MOST_DIFFERENCE = 1e-4
_MOST_BATCH = 1 << 20


@dataclasses.dataclass(frozen=True)
class _Format:
    """A format: the backend that Keras writes it with, how its files' names end, what it is called."""

    backend: str
    suffix: str
    title: str
    write: Callable[[keras.Model, ServedModel, Path], None]


@dataclasses.dataclass(frozen=True)
class ExportedModel:
    """A model that was written for another runtime.

    Attributes:
      run: the run's directory.
      format: `onnx`, `savedmodel` or `torch`.
      output: the file, or the directory of a SavedModel.
      bytes: how large it is.
    """

    run: str
    format: str
    output: str
    bytes: int

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        title = _FORMATS[self.format].title
        return {"run": self.run, "format": title, "model": self.output, "size": megabytes(self.bytes)}

    def _repr_html_(self) -> str:
        return properties_html("export", self.properties())

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that is the command's."""
        return dataclasses.asdict(self)


def names() -> list[str]:
    """The formats."""
    return list(_FORMATS)


def check(form: str, output: str) -> None:
    """Refuses, before Keras is imported, what `export_model` would refuse later.

    Args:
      form: the format's name.
      output: where the model is to go, on this machine.

    Raises:
      UsageError: an unknown format, one that the backend does not write, or a name that does not go with it.
      DataError: a directory where the model is to go.
    """
    if form not in _FORMATS:
        raise UsageError(
            f"unknown format {form!r}; there is {', '.join(_FORMATS)}{did_you_mean(form, _FORMATS)}"
        )
    wanted = _FORMATS[form]
    if storage.is_remote(output):
        raise UsageError(f"{output}: models are written on this machine; name a local path, and copy it")
    if wanted.suffix and not output.endswith(wanted.suffix):
        raise UsageError(
            f"{output}: {wanted.title} is a file; give --output a name that ends in {wanted.suffix}"
        )
    if Path(output).is_dir() and (wanted.suffix or any(Path(output).iterdir())):
        raise DataError(f"{output}: a directory is there; remove it, or choose another --output")
    if backend.name() != wanted.backend:
        raise UsageError(
            f"Keras on {backend.title()} does not write {wanted.title}: set KERAS_BACKEND={wanted.backend} (extra "
            f"{backend.EXTRAS[wanted.backend]}); any run can be read with it"
        )


def export_model(run: Run, form: str, output: str) -> ExportedModel:
    """Writes a run's network, and what prediction needs to know of it, whole or not at all.

    Args:
      run: a finished run, from `lpe.train.runs.load_run`.
      form: `onnx`: one file, for `lpe predict --model` and any runtime; `savedmodel`: a directory, for TensorFlow;
        `torch`: one file, for `torch.export.load`.
      output: the path, on this machine. A file that is there is replaced.

    Raises:
      DataError: the run is damaged, or its network cannot be written so.
      UsageError: as for `check`, or a library is missing.
    """
    check(form, output)
    target = Path(output).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    # Weights are float32 whatever was computed in.
    run = dataclasses.replace(run, spec={**run.spec, "precision": "float32"})
    with (
        backend.one_device(),
        tempfile.TemporaryDirectory(prefix=".lpe-export-", dir=target.parent) as folder,
    ):
        made = Path(folder, f"model{_FORMATS[form].suffix}")
        model = run.load_model()
        model(np.zeros((1, *run.image_shape), np.uint8), training=False)  # Keras writes what has been called
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the libraries to their developers
                _FORMATS[form].write(model, ServedModel.of(run), made)
        except (DataError, UsageError, OSError):
            raise
        except Exception as error:  # each library has its own
            raise DataError(
                f"{run.directory}: this network cannot be written as {_FORMATS[form].title} ({one_line(error)})"
            ) from error
        size = sum(path.stat().st_size for path in (made, *made.rglob("*")) if path.is_file())
        if target.is_dir():
            target.rmdir()  # empty
        made.replace(target)
    return ExportedModel(run.directory, form, output, size)


def _write_onnx(model: keras.Model, served: ServedModel, path: Path) -> None:
    onnx = require("onnx", "onnx")
    require("onnxruntime", "onnx")
    _teach_bitwise_operators()
    model.export(path, format="onnx", opset_version=_OPSET, verbose=False)
    proto = onnx.load(path)
    _rename(proto.graph, proto.graph.input[0].name, INPUT)
    _rename(proto.graph, proto.graph.output[0].name, OUTPUT)
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    del proto.graph.value_info[:]
    onnx.helper.set_model_props(proto, {METADATA: served.to_text()})
    path.write_bytes(proto.SerializeToString(deterministic=True))
    images = np.random.default_rng(0).integers(0, 256, (3, *served.image_shape), np.uint8)
    expected = np.asarray(model(images, training=False))
    if not np.allclose(OnnxModel(str(path)).probabilities(images), expected, atol=_MOST_DIFFERENCE, rtol=0):
        raise DataError("the ONNX model answers otherwise than the network; export it as savedmodel")


@functools.cache
def _teach_bitwise_operators() -> None:
    """Has tf2onnx pass on TensorFlow's bitwise operators, which ONNX has under the same names."""
    handler = require("tf2onnx.handler", "onnx")

    @handler.tf_op(["BitwiseAnd", "BitwiseXor"])
    class _Bitwise:
        @classmethod
        def version_18(cls, ctx: Any, node: Any, **kwargs: Any) -> None:
            """Leaves the node as it is."""


def _rename(graph: Any, old: str, new: str) -> None:
    for value in (*graph.input, *graph.output):
        if value.name == old:
            value.name = new
    for node in graph.node:
        for names_of in (node.input, node.output):
            for i, name in enumerate(names_of):
                if name == old:
                    names_of[i] = new


def _write_saved_model(model: keras.Model, served: ServedModel, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)
    extra = path / "assets.extra"  # which TensorFlow leaves to others
    extra.mkdir()
    (extra / DESCRIPTION).write_text(served.to_text())


def _write_torch(model: keras.Model, served: ServedModel, path: Path) -> None:
    torch = require("torch", "torch")
    whole_batches = {0: torch.export.Dim("N", min=1, max=_MOST_BATCH)}
    model.export(path, format="torch", verbose=False, dynamic_shapes=whole_batches)
    program = torch.export.load(path)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names files of this machine
    torch.export.save(program, path, extra_files={DESCRIPTION: served.to_text()})


_FORMATS = {
    "onnx": _Format("tensorflow", SUFFIX, "ONNX", _write_onnx),
    "savedmodel": _Format("tensorflow", "", "SavedModel", _write_saved_model),
    "torch": _Format("torch", ".pt2", "ExportedProgram", _write_torch),
}
