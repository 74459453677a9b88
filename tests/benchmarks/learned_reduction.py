"""Learned reductions, measured as `learned_reduction.md` says.

    python -m tests.benchmarks.learned_reduction cifar10-jpeg.tar.gz [--only NAME …] [--output results.jsonl]

One line for each reduction: the accuracy of the trainer's network and of the owner's own head, and for each attacker
the PSNR of what they restore and how often they rank the right photograph first among 1,000.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lpe.pipeline.records.bad_records import REPLACE_OR_SKIP, fail
from lpe.pipeline.sources.plan import ReadSpec, open_plan
from lpe.train import backend
from lpe.train.models import build
from lpe.train.optimizing import optimizer
from lpe.train.recipes import RECIPES
from lpe.train.reduction.examples import Examples
from lpe.train.reduction.fitting import fit_encoder
from lpe.train.reduction.spec import FitSpec
from lpe.transforms import ciphers
from lpe.transforms.reductions import Chain
from lpe.transforms.reductions.thumbnail import Thumbnail

OWN, PUBLIC, TEST, HELD = 14_400, 10_000, 3_000, 1_000
EPOCHS = 3
Release = Callable[[np.ndarray, int], np.ndarray]
"""uint8 [N, 32, 32, 3] and a seed for noise -> uint8 [N, H, W, K]."""


class Images(NamedTuple):
    """What everybody has: uint8 [N, 32, 32, 3], and labels of some."""

    own: np.ndarray
    own_labels: np.ndarray
    public: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    held: np.ndarray


@dataclasses.dataclass(frozen=True)
class Config:
    """A line of the table.

    Attributes:
      name: its name.
      fit: how the encoder is fitted; None for a thumbnail, or for plain images.
      side: of the thumbnail; None for plain images.
      noise: standard deviation of noise on what is released.
      images: how many of the owner's images the encoder is fitted to.
      classes: those whose images it is fitted to; the trainer has the others. None for all, for both.
      strong: whether attackers A2 and A3 are carried out, which take minutes.
      larger: another network that the trainer may choose, measured beside `cnn`.
      ciphers: those under which what is released is encrypted as well, to see what their keys add.
    """

    name: str
    fit: FitSpec | None = None
    side: int | None = None
    noise: int = 0
    images: int = OWN
    classes: tuple[int, ...] | None = None
    strong: bool = False
    larger: str | None = None
    ciphers: tuple[str, ...] = ()


_FIT = FitSpec(adversary=0)
_AGAINST = FitSpec()
_SOME = (0, 2, 4, 6, 8)
CONFIGS = (
    Config("plain"),
    Config("thumbnail 16", side=16),
    Config("thumbnail 8", side=8),
    Config("8x8x3", _FIT, strong=True),
    Config("8x8x3, adversary 1", _AGAINST, strong=True, larger="resnet18", ciphers=("pbe", "cpbe-100")),
    Config("8x8x3, adversary 4", dataclasses.replace(_FIT, adversary=4), strong=True),
    Config("8x8x1, adversary 1", dataclasses.replace(_AGAINST, channels=1)),
    Config("8x8x8, adversary 1", dataclasses.replace(_AGAINST, channels=8)),
    Config("4x4x3, adversary 1", dataclasses.replace(_AGAINST, side=4), strong=True),
    Config("4x4x3, adversary 1, noise 128", dataclasses.replace(_AGAINST, side=4, noise=128), noise=128),
    Config("4x4x3, adversary 1, noise 255", dataclasses.replace(_AGAINST, side=4, noise=255), noise=255),
    Config("8x8x3, adversary 1, noise 64", dataclasses.replace(_AGAINST, noise=64), noise=64),
    Config("8x8x3, adversary 1, shallow", FitSpec(width=16, convolutions=1, epochs=4), strong=True),
    Config(
        "8x8x3, adversary 1, 10 % of the images", dataclasses.replace(_AGAINST, epochs=30), images=OWN // 10
    ),
    Config("8x8x3, adversary 1, other classes", _AGAINST, classes=_SOME),
    Config("thumbnail 8, other classes", side=8, classes=_SOME),
    Config("plain, other classes", classes=_SOME),
)


def read(source: str) -> Images:
    """All images, in an order drawn with seed 0."""
    images, labels = {}, {}
    with open_plan(ReadSpec(f"folder:{source}")) as plan:
        for split in ("train", "test"):
            batches = [
                batch
                for task in plan.tasks
                if task.split == split
                for batch in task.reader.batches(fail(REPLACE_OR_SKIP))
            ]
            order = np.random.RandomState(0).permutation(sum(map(len, batches)))
            images[split] = np.concatenate([batch.images for batch in batches])[order]
            labels[split] = np.concatenate([batch.labels for batch in batches])[order]
    train, test = images["train"], images["test"]
    return Images(
        train[:OWN],
        labels["train"][:OWN],
        train[OWN : OWN + PUBLIC],
        test[:TEST],
        labels["test"][:TEST],
        test[TEST : TEST + HELD],
    )


def trained(
    images: np.ndarray, labels: np.ndarray, classes: int, model: str
) -> Callable[[np.ndarray], np.ndarray]:
    """The trainer's network: what is released to its classes."""
    keras = backend.prepare(0, "float32")
    reduction = {"steps": "", "image_shape": [32, 32, 3]}
    network = build(model, images.shape[1:], classes, encryption={"cipher": "plain", "reduction": reduction})
    recipe = RECIPES["small"]
    steps = EPOCHS * -(-len(images) // recipe.batch_size)
    network.compile(optimizer=optimizer(recipe, steps), loss="sparse_categorical_crossentropy")
    network.fit(images, labels, batch_size=recipe.batch_size, epochs=EPOCHS, verbose=0)
    del keras
    return lambda released: network.predict(released, batch_size=500, verbose=0).argmax(axis=1)


def decoder(
    released: np.ndarray, images: np.ndarray, width: int, layers: int, epochs: int
) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """A network that restores images of what is released, and how many weights it has."""
    keras = backend.prepare(1, "float32")
    height, _, _ = released.shape[1:]
    scale = 32 // height
    entry = keras.Input(released.shape[1:])
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(entry)
    for _ in range(layers):
        x = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(scale * scale * 3, 3, padding="same")(x)
    x = keras.layers.Reshape((height, height, scale, scale, 3))(x)
    x = keras.layers.Permute((1, 3, 2, 4, 5))(x)
    network = keras.Model(entry, keras.layers.Reshape((32, 32, 3))(x))
    steps = epochs * -(-len(images) // 64)
    network.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)), loss="mse"
    )
    network.fit(
        released.astype(np.float32), images / np.float32(127.5) - 1, batch_size=64, epochs=epochs, verbose=0
    )

    def restore(values: np.ndarray) -> np.ndarray:
        restored = network.predict(values.astype(np.float32), batch_size=250, verbose=0)
        return np.clip((restored + 1) * 127.5, 0, 255)

    return restore, network.count_params()


def linear(released: np.ndarray, images: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The best affine estimator of an image from all that is released of it, its ridge chosen on a tenth."""
    x = np.c_[released.reshape(len(released), -1), np.ones(len(released))].astype(np.float64)
    mean = images.mean(axis=0).reshape(-1)
    y = images.reshape(len(images), -1) - mean
    cut = len(x) * 9 // 10
    gram, right = x[:cut].T @ x[:cut], x[:cut].T @ y[:cut]
    maps = [np.linalg.solve(gram + 10.0**ridge * np.eye(len(gram)), right) for ridge in range(2, 8)]
    best = min(maps, key=lambda weights: ((x[cut:] @ weights - y[cut:]) ** 2).mean())

    def restore(values: np.ndarray) -> np.ndarray:
        flat = np.c_[values.reshape(len(values), -1), np.ones(len(values))]
        return np.clip(flat @ best + mean, 0, 255).reshape(len(values), 32, 32, 3)

    return restore


def psnr(restored: np.ndarray, images: np.ndarray) -> float:
    """In dB."""
    return 10 * math.log10(255**2 / ((restored - images) ** 2.0).mean())


def first_by_correlation(restored: np.ndarray, candidates: np.ndarray) -> float:
    """How often the right candidate, which has the restored image's own number, correlates most."""
    one, other = (_centred(images) for images in (restored, candidates))
    return float(((one @ other.T).argmax(axis=1) == np.arange(len(one))).mean())


def _centred(images: np.ndarray) -> np.ndarray:
    """Each image's difference from the mean of all, of length 1, float64 [N, values]."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(axis=0)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)


def first_by_encoding(released: np.ndarray, candidates: np.ndarray, noise: int) -> float:
    """How often the right candidate, encoded, is likeliest to have led to what is released; ties are drawn by lot."""
    one, other = (values.reshape(len(values), -1) for values in (released, candidates))
    of_value, likelihoods = _likelihoods(noise), np.zeros((len(one), len(other)))
    for seen, encoded in zip(one.T, other.T, strict=True):
        likelihoods += of_value[seen][:, encoded]
    likeliest = likelihoods >= likelihoods.max(axis=1, keepdims=True) - 1e-6
    return float((np.diag(likeliest) / likeliest.sum(axis=1)).mean())


def _likelihoods(noise: int) -> np.ndarray:
    """The logarithm of the probability that noise makes a value (row) of an encoded one (column), float64 [256, 256].

    What noise makes of a value is rounded, and cut to 0..255.
    """
    if not noise:
        return np.where(np.eye(256, dtype=bool), 0.0, -1e3)
    below = np.array(
        [[math.erf((edge - 0.5 - mean) / noise / 2**0.5) for mean in range(256)] for edge in range(257)]
    )
    below[0], below[256] = -1, 1
    return np.log(np.maximum(np.diff(below, axis=0) / 2, 1e-300))


def measure(config: Config, images: Images) -> dict[str, object]:
    """One line."""
    started = time.monotonic()
    own, own_labels, test, test_labels = images.own, images.own_labels, images.test, images.test_labels
    chain = Chain((Thumbnail(config.side),)) if config.side else Chain()
    encode, line = chain.apply, {"name": config.name}
    if config.fit is not None:
        classes = range(10) if config.classes is None else config.classes
        chosen = np.flatnonzero(np.isin(own_labels, classes))[: config.images]
        tested = np.isin(test_labels, classes)
        examples = Examples.read([(own[chosen], own_labels[chosen])], config.fit)
        fitted = fit_encoder(
            examples, Examples.read([(test[tested], test_labels[tested])], config.fit), config.fit
        )
        encode = fitted.encoder.encode
        line |= {"head": fitted.accuracy, "fit_seconds": round(fitted.seconds)}
    if config.classes is not None:
        others = [number for number in range(10) if number not in config.classes]
        own, own_labels = own[np.isin(own_labels, others)], own_labels[np.isin(own_labels, others)]
        test, test_labels = test[np.isin(test_labels, others)], test_labels[np.isin(test_labels, others)]

    def release(plain: np.ndarray, seed: int) -> np.ndarray:
        values = encode(plain)
        if not config.noise:
            return values
        noise = np.random.RandomState(seed).normal(0, config.noise, values.shape)
        return np.clip(np.round(values + noise), 0, 255).astype(np.uint8)

    learnt, tried = release(own, 0), release(test, 1)
    for figure, model in {"accuracy": "cnn", "larger": config.larger}.items():
        if model is not None:
            network = trained(learnt, own_labels, 10, model)
            line[figure] = float((network(tried) == test_labels).mean())
    if config.fit is not None or config.side:
        line |= attacked(config, images, release, encode)
    return line | {"seconds": round(time.monotonic() - started)}


def attacked(
    config: Config, images: Images, release: Release, encode: Callable[[np.ndarray], np.ndarray]
) -> dict[str, object]:
    """What each attacker restores, and how often they name the right photograph."""
    public, held = release(images.public, 2), release(images.held, 3)
    restores = {
        "L": (linear(public, images.public), 0),
        "A1": decoder(public[:2000], images.public[:2000], 64, 3, 12),
    }
    if config.strong:
        own = release(images.own[:2000], 0)
        restores["A2"] = decoder(public, images.public, 128, 4, 12)
        restores["A3"] = decoder(own, images.own[:2000], 128, 4, 12)
    figures: dict[str, object] = {
        "M": {"first": first_by_encoding(held, encode(images.held), config.noise)},
        **{name: keyed(name, public, release(images.own[:1000], 0)) for name in config.ciphers},
    }
    for name, (restore, weights) in restores.items():
        restored = restore(held)
        first = first_by_correlation(restored, images.held)
        figures[name] = {"psnr": round(psnr(restored, images.held), 2), "first": first, "weights": weights}
    return figures


def keyed(name: str, public: np.ndarray, own: np.ndarray) -> dict[str, float]:
    """What share of the released values a public encoder gives back from ciphertexts alone, by their number.

    Both ciphers XOR each place with bytes of one key: `cpbe-100` all channels with any byte, `pbe` each channel with 0
    or 255. The attacker counts how often each value stands at each place in the public images' releases, and takes the
    byte under which the ciphertexts are likeliest.
    """
    count, *shape = public.shape
    places, channels = shape[0] * shape[1], shape[2]
    flat = public.reshape(count, -1)
    seen = np.stack([np.bincount(values, minlength=256) for values in flat.T]) + 0.5
    likelihoods = np.log(seen / seen.sum(axis=1, keepdims=True))
    cipher = ciphers.create(name, secret=bytes(range(32)), image_shape=tuple(shape))
    encrypted = cipher.encrypt(own).reshape(len(own), -1)
    bytes_of_key = np.array([0, 255] if name == "pbe" else range(256), np.uint8)
    shares = {}
    for number in (10, 100, len(own)):
        scores = np.stack(
            [
                np.take_along_axis(likelihoods, encrypted[:number].T ^ byte, axis=1).sum(axis=1)
                for byte in bytes_of_key
            ]
        )
        if name != "pbe":
            scores = np.repeat(scores.reshape(-1, places, channels).sum(axis=2), channels, axis=1)
        restored = encrypted ^ bytes_of_key[scores.argmax(axis=0)]
        shares[str(number)] = float((restored == own.reshape(len(own), -1)).mean())
    return shares


def main() -> None:
    """Measures, a line of JSON each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--only", nargs="*", metavar="NAME")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    images = read(given.source)
    for config in CONFIGS:
        if not given.only or config.name in given.only:
            line = json.dumps(measure(config, images))
            print(line, flush=True)
            if given.output:
                with given.output.open("a") as file:
                    file.write(line + "\n")


if __name__ == "__main__":
    main()
