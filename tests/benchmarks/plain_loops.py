"""Hand-written training loops of the network `cnn`, as short as their frameworks allow, to be measured against.

    python -m tests.benchmarks.plain_loops torch|torch-compiled|jax IMAGES BATCH

Each prints the images/s of its third pass over random images 32×32×3 in memory: uint8 in, AdamW, loss and accuracy out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

WIDTHS = ((16,), (32, 32), (64, 64), (128,))
CLASSES, RATE, DECAY = 10, 2e-3, 0.02
Step = Callable[[np.ndarray, np.ndarray], object]


def torch_step(compiled: bool) -> Step:
    import torch  # noqa: PLC0415  (one framework a process)
    from torch import nn  # noqa: PLC0415

    layers: list[nn.Module] = []
    channels = 3
    for halvings, widths in enumerate(WIDTHS):
        layers += [nn.MaxPool2d(2)] if halvings else []
        for width in widths:
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)

    def losses(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores = network(images.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return nn.functional.cross_entropy(scores, labels), (scores.argmax(1) == labels).sum()

    forward = torch.compile(losses) if compiled else losses

    def step(images: np.ndarray, labels: np.ndarray) -> object:
        loss, right = forward(torch.from_numpy(images), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return right

    return step


def jax_step() -> Step:
    import jax  # noqa: PLC0415
    from jax import lax  # noqa: PLC0415
    from jax import numpy as jnp  # noqa: PLC0415

    random = np.random.default_rng(0)
    weights, channels = [], 3
    for widths in WIDTHS:
        for width in widths:
            kernel = random.normal(0, (2 / (9 * channels)) ** 0.5, (3, 3, channels, width))
            weights.append(
                [kernel.astype(np.float32), np.ones(width, np.float32), np.zeros(width, np.float32)]
            )
            channels = width
    weights.append(
        [random.normal(0, 0.1, (channels, CLASSES)).astype(np.float32), np.zeros(CLASSES, np.float32)]
    )

    def losses(weights, averages, images, labels):
        x, updated, layer = images.astype(jnp.float32) / 127.5 - 1, [], iter(range(len(weights)))
        for halvings, widths in enumerate(WIDTHS):
            if halvings:
                x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            for _ in widths:
                number = next(layer)
                kernel, scale, shift = weights[number]
                x = lax.conv_general_dilated(
                    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
                )
                mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
                before = averages[number]
                updated.append((0.9 * before[0] + 0.1 * mean, 0.9 * before[1] + 0.1 * variance))
                x = jax.nn.relu((x - mean) * lax.rsqrt(variance + 1e-3) * scale + shift)
        scores = x.mean((1, 2)) @ weights[-1][0] + weights[-1][1]
        chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], 1)
        return -chosen.mean(), (updated, (scores.argmax(1) == labels).sum())

    @jax.jit
    def update(state, images, labels):
        weights, averages, first, second, count = state
        gradients, (averages, right) = jax.grad(losses, has_aux=True)(weights, averages, images, labels)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        rate = RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        weights = jax.tree.map(
            lambda w, m, v: w * (1 - RATE * DECAY) - rate * m / (jnp.sqrt(v) + 1e-7), weights, first, second
        )
        return (weights, averages, first, second, count + 1), right

    zeros = jax.tree.map(np.zeros_like, weights)
    averages = [(np.zeros_like(layer[1]), np.ones_like(layer[1])) for layer in weights[:-1]]
    state = (weights, averages, zeros, zeros, np.float32(1))

    def step(images: np.ndarray, labels: np.ndarray) -> object:
        nonlocal state
        state, right = update(state, images, labels)
        return right

    return step


def main() -> None:
    side, count, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    step = jax_step() if side == "jax" else torch_step(side == "torch-compiled")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
    labels = random.integers(0, CLASSES, count)
    for _ in range(3):
        started, order = time.perf_counter(), random.permutation(count)
        right = [
            step(images[order[at : at + batch]], labels[order[at : at + batch]])
            for at in range(0, count - batch + 1, batch)
        ]
        sum(int(one) for one in right)  # waits for the last
        seconds = time.perf_counter() - started
    print(count // batch * batch / seconds)


if __name__ == "__main__":
    main()
