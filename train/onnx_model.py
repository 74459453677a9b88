"""Exported models in ONNX, run by onnxruntime alone: no Keras, and nothing in the file that is not the network.

Others may have written the file. It can name no code: operators are ONNX's own, all tensors are within it, and no
library of operators is loaded. How long its network takes, and what it answers, is up to whoever made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lpe.train.predict import check_images
from lpe.train.served_model import ServedModel
from lpe.transforms.errors import DataError, one_line
from lpe.transforms.extras import require

SUFFIX = ".onnx"
"""How the names of its files end."""
METADATA = "lpe"
"""The name in an ONNX file's `metadata_props` under which it carries what `ServedModel` says."""
INPUT, OUTPUT = "image", "probabilities"
"""What the network's input and output are called."""
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_MOST_BYTES = 2**31 - 1  # the most that a protocol buffer holds
_REMEDY = "export the model again"


class OnnxModel:
    """A network for prediction.

    Args:
      path: the file.

    Attributes:
      served: what its file says of it.

    Raises:
      DataError: the file is missing or damaged, or no model of `lpe export`.
      UsageError: onnx or onnxruntime is not installed.
    """

    def __init__(self, path: str) -> None:
        onnx, runtime = require("onnx", "onnx"), require("onnxruntime", "onnx")
        self._path = path
        content = _read(path)
        try:
            model = onnx.load_model_from_string(content)
        except Exception as error:
            raise DataError(f"{path}: no ONNX model ({one_line(error)}); {_REMEDY}") from error
        _check(model, onnx, path)
        texts = [entry.value for entry in model.metadata_props if entry.key == METADATA]
        if len(texts) != 1:
            raise DataError(f"{path}: not a model of lpe's (it does not say so); make one with lpe export")
        self.served = ServedModel.parse(texts[0], path)
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what is wrong is raised
        try:
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a class for each kind, and none above them
            raise DataError(f"{path}: onnxruntime does not load it ({one_line(error)}); {_REMEDY}") from error
        self._check_network()

    def _check_network(self) -> None:
        """Raises DataError unless it takes images and gives probabilities as its file says."""
        takes = [(value.name, value.type, tuple(value.shape[1:])) for value in self._session.get_inputs()]
        gives = [(value.name, value.type, tuple(value.shape[1:])) for value in self._session.get_outputs()]
        if takes != [(INPUT, "tensor(uint8)", self.served.image_shape)] or gives != [
            (OUTPUT, "tensor(float)", (len(self.served.class_names),))
        ]:
            raise DataError(
                f"{self._path}: damaged (its network is not for its images and classes); {_REMEDY}"
            )

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Class probabilities, float32 [N, classes], of images uint8 [N, H, W, C], encrypted as those it learnt from.

        Raises:
          DataError: images of another shape or type, or a network that does not answer.
        """
        check_images(images, self.served.image_shape)
        try:
            (answers,) = self._session.run([OUTPUT], {INPUT: images})
        except Exception as error:
            raise DataError(f"{self._path}: its network fails ({one_line(error)}); {_REMEDY}") from error
        if answers.shape != (len(images), len(self.served.class_names)) or not np.isfinite(answers).all():
            raise DataError(f"{self._path}: its network does not answer with probabilities; {_REMEDY}")
        return np.asarray(answers, np.float32)


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: no such file; make it with lpe export") from None
    if len(content) > _MOST_BYTES:
        raise DataError(f"{path}: larger than {_MOST_BYTES >> 20} MB, which no ONNX model in one file is")
    return content


def _check(model: Any, onnx: Any, path: str) -> None:
    """Refuses operators that are not ONNX's own, and tensors in other files."""
    foreign = {entry.domain for entry in model.opset_import} | {
        function.domain for function in model.functions
    }
    foreign -= {*_DOMAINS}
    if foreign or model.functions or model.training_info:
        raise DataError(f"{path}: refused, since it holds operators of its own; {_REMEDY}")
    for graph in _graphs(model.graph):
        if any(node.domain not in _DOMAINS for node in graph.node):
            raise DataError(f"{path}: refused, since it holds operators of its own; {_REMEDY}")
        for tensor in _tensors(graph):
            if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
                raise DataError(f"{path}: refused, since it reads other files; {_REMEDY}")


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and all within it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _graphs(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    """The tensors of a graph, without those of graphs within it."""
    yield from graph.initializer
    sparse = list(graph.sparse_initializer)
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
    for tensor in sparse:
        yield tensor.values
        yield tensor.indices
