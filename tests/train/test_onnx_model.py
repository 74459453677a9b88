"""ONNX files that others may have written: what they hold is checked before anything is run."""

import json
from pathlib import Path

import numpy as np
import pytest

from lpe.train.onnx_model import OnnxModel
from lpe.transforms.errors import DataError
from tests.train.datasets import CLASSES, ENCRYPTION

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, Tensor = onnx.helper, onnx.TensorProto

SERVED = {
    "format_version": 1,
    "class_names": list(CLASSES),
    "image_shape": [2, 2, 1],
    "encryption": ENCRYPTION,
}


def network(shape=(2, 2, 1), classes=3, *, kernel=None, domain=""):
    """A network that takes the mean brightness for the probability of every class."""
    values = np.full((4, classes), 1 / 1020, np.float32)
    kernel = kernel or onnx.numpy_helper.from_array(values, "kernel")
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=Tensor.FLOAT),
        helper.make_node("Flatten", ["values"], ["flat"]),
        helper.make_node("MatMul", ["flat", "kernel"], ["probabilities"], domain=domain),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", Tensor.UINT8, ["N", *shape])],
        [helper.make_tensor_value_info("probabilities", Tensor.FLOAT, ["N", classes])],
        [kernel],
    )
    domains = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=domains, ir_version=9)


def written(folder, model, text=None):
    """The path of a file with a model, and what it says of itself."""
    onnx.helper.set_model_props(model, {"lpe": json.dumps(SERVED) if text is None else text})
    path = Path(folder, "model.onnx")
    path.write_bytes(model.SerializeToString())
    return str(path)


def test_a_network_is_run_as_it_is(tmp_path):
    model = OnnxModel(written(tmp_path, network()))
    assert (model.served.class_names, model.served.image_shape) == (CLASSES, (2, 2, 1))
    images = np.full((2, 2, 2, 1), 255, np.uint8)
    assert model.probabilities(images) == pytest.approx(1)
    assert model.probabilities(images[:0]).shape == (0, 3)
    with pytest.raises(DataError, match=r"takes uint8 images of shape \[N, 2, 2, 1\]"):
        model.probabilities(images.astype(np.float32))


def external(location):
    tensor = Tensor(name="kernel", data_type=Tensor.FLOAT, dims=[4, 3], data_location=Tensor.EXTERNAL)
    for key, value in {"location": location, "length": "48"}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def within_a_branch(tensor):
    """A network with a tensor in a graph within its graph, where it is as well read."""
    model = network()
    inner = helper.make_graph([], "inner", [], [], [tensor])
    model.graph.node.append(helper.make_node("If", ["c"], ["x"], then_branch=inner, else_branch=inner))
    return model


def as_constant(tensor):
    model = network()
    model.graph.node.append(helper.make_node("Constant", [], ["x"], value=tensor))
    return model


def with_function():
    model = network()
    node = helper.make_node("Identity", ["a"], ["b"])
    model.functions.append(
        helper.make_function("", "Relu", ["a"], ["b"], [node], [helper.make_opsetid("", 18)])
    )
    return model


HOSTILE = {
    "a file beside it": (lambda: network(kernel=external("weights.bin")), "it reads other files"),
    "a file elsewhere": (lambda: network(kernel=external("../../../etc/passwd")), "it reads other files"),
    "a file, in a branch": (lambda: within_a_branch(external("/etc/passwd")), "it reads other files"),
    "a file, as a constant": (lambda: as_constant(external("/etc/passwd")), "it reads other files"),
    "another's operators": (lambda: network(domain="evil"), "operators of its own"),
    "onnxruntime's own": (lambda: network(domain="com.microsoft"), "operators of its own"),
    "a function": (with_function, "operators of its own"),
    "other images": (lambda: network(shape=(2, 1, 2)), "its network is not for its images and classes"),
    "other classes": (lambda: network(classes=4), "its network is not for its images and classes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_model_that_reaches_out_is_refused(tmp_path, name):
    make, said = HOSTILE[name]
    with pytest.raises(DataError, match=rf"model\.onnx: .*{said}"):
        OnnxModel(written(tmp_path, make()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[]", "not a JSON object"),
        (json.dumps({**SERVED, "format_version": 2}), "model format 2, this `lpe` reads 1"),
        (json.dumps({**SERVED, "class_names": []}), "0 class names"),
        (json.dumps({**SERVED, "class_names": ["a\nb", "b", "c"]}), "damaged"),
        (json.dumps({**SERVED, "image_shape": [1 << 20, 1 << 20, 3]}), "damaged"),
        (json.dumps({**SERVED, "encryption": {**ENCRYPTION, "key": None}}), "damaged"),
        (json.dumps({**SERVED, "encryption": {**ENCRYPTION, "salt": "../x"}}), "damaged"),
        (json.dumps({**SERVED, "more": "x" * (64 << 20)}), "too large"),
    ],
    ids=range(9),
)
def test_a_description_that_is_none_is_refused(tmp_path, text, said):
    with pytest.raises(DataError, match=rf"model\.onnx: .*{said}"):
        OnnxModel(written(tmp_path, network(), text))


def test_files_that_are_no_models_of_lpes(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(DataError, match=r"model\.onnx: no such file; make it with lpe export"):
        OnnxModel(str(path))
    path.write_bytes(network().SerializeToString())
    with pytest.raises(DataError, match="not a model of lpe's"):
        OnnxModel(str(path))
    whole = Path(written(tmp_path, network())).read_bytes()
    for content in (whole[: len(whole) // 2], b"\x00" * 100, b"no model"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"model\.onnx: "):
            OnnxModel(str(path))


def test_answers_that_are_none_are_refused(tmp_path):
    kernel = onnx.numpy_helper.from_array(np.full((4, 3), np.nan, np.float32), "kernel")
    model = OnnxModel(written(tmp_path, network(kernel=kernel)))
    with pytest.raises(DataError, match="does not answer with probabilities"):
        model.probabilities(np.ones((1, 2, 2, 1), np.uint8))
