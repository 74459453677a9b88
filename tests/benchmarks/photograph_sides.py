"""The sides of `photographs`: each turns a folder of JPEG files into training data, or does a part of that.

    python -m tests.benchmarks.photograph_sides SIDE FOLDER OUTPUT

prints a JSON object with the seconds after its imports. `*_copied` sides write the files' own bytes without decoding
them, as these tools do where they are left to; all others decode every image, and what they write are its pixels.
"""

# ruff: noqa: PLC0415  (each side pays for its own imports, and for those alone)

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SHAPE = (224, 224, 3)
PROCESSES = 2
SALT = "photographs"

Job = Callable[[], object]


def files(folder: str) -> list[str]:
    """The images' paths, classes mixed, as an order of training has them."""
    return sorted(
        map(str, Path(folder).glob("*/*.jpg")), key=lambda path: hashlib.sha256(path.encode()).digest()
    )


def label(path: str) -> int:
    """The class of an image."""
    return int(Path(path).parent.name)


def in_processes(work: Callable[[list[str], str], None], folder: str, output: str) -> Job:
    """The work over equal parts of the folder, a process each."""
    paths = files(folder)
    context = multiprocessing.get_context("fork")

    def job() -> None:
        parts = [(paths[i::PROCESSES], f"{output}/{i}") for i in range(PROCESSES)]
        started = [context.Process(target=work, args=part) for part in parts]
        for process in started:
            process.start()
        for process in started:
            process.join()
            assert process.exitcode == 0

    return job


def pillow(folder: str, output: str) -> Job:
    """Decoding, and nothing else."""
    import numpy as np
    from PIL import Image

    def work(paths: list[str], to: str) -> None:
        for path in paths:
            np.asarray(Image.open(path).convert("RGB"))

    return in_processes(work, folder, output)


def floor(folder: str, output: str) -> Job:
    """What cannot be left out of an ingest: decoding, the sums of what is read and written, writing, syncing."""
    return _floor(folder, output, cipher=False)


def encrypt_floor(folder: str, output: str) -> Job:
    """The same of an encryption, with its cipher."""
    return _floor(folder, output, cipher=True)


def _floor(folder: str, output: str, *, cipher: bool) -> Job:
    import io

    import google_crc32c
    import numpy as np
    from PIL import Image

    import lpe

    # Loaded before the clock starts.
    scheme = lpe.ciphers.create("lpe-100", secret=bytes(32), image_shape=SHAPE) if cipher else None

    def work(paths: list[str], to: str) -> None:
        whole, crc = hashlib.sha256(), 0
        with Path(to).open("wb") as file:
            for start in range(0, len(paths), 32):
                pixels = []
                for path in paths[start : start + 32]:
                    data = Path(path).read_bytes()
                    hashlib.sha256(data)
                    pixels.append(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
                batch = np.stack(pixels)
                if scheme is not None:
                    batch = scheme.encrypt(batch)
                google_crc32c.value(batch)
                crc = google_crc32c.extend(crc, batch)
                whole.update(batch.data)
                file.write(batch.data)
            file.flush()
            os.fsync(file.fileno())

    return in_processes(work, folder, output)


def lpe_ingest(folder: str, output: str) -> Job:
    """`lpe ingest --workers 2`."""
    import lpe

    spec = lpe.JobSpec(lpe.ReadSpec(f"folder:{folder}"), f"{output}/plain", processes=PROCESSES)
    return lambda: lpe.ingest(spec)


def lpe_encrypt(folder: str, output: str) -> Job:
    """`lpe encrypt --cipher lpe-100 --workers 2`."""
    import lpe

    lpe.KeyStore(f"{output}/keys").create("bench")
    spec = lpe.JobSpec(lpe.ReadSpec(f"folder:{folder}"), f"{output}/encrypted", processes=PROCESSES)
    key = lpe.KeyRef(f"{output}/keys", "bench")
    return lambda: lpe.encrypt(spec, lpe.CipherChoice("lpe-100"), key)


def tfds(folder: str, output: str) -> Job:
    """A builder of raw pixels, decoded by Pillow; it works in one process, as `tfds build` does without Beam."""
    import numpy as np
    import tensorflow_datasets
    from PIL import Image

    feature = tensorflow_datasets.features.Tensor(shape=SHAPE, dtype=np.uint8, encoding="bytes")
    return _tfds(folder, output, feature, lambda path: np.asarray(Image.open(path).convert("RGB")))


def tfds_copied(folder: str, output: str) -> Job:
    """A builder with the feature Image, which takes a file's bytes as they are."""
    import tensorflow_datasets

    feature = tensorflow_datasets.features.Image(shape=SHAPE, encoding_format="jpeg")
    return _tfds(folder, output, feature, lambda path: path)


def _tfds(folder: str, output: str, feature: Any, image: Callable[[str], Any]) -> Job:
    import tensorflow_datasets as tf_datasets

    class Photographs(tf_datasets.core.GeneratorBasedBuilder):
        VERSION = tf_datasets.core.Version("1.0.0")

        def _info(self) -> Any:
            features = {"image": feature, "label": tf_datasets.features.ClassLabel(num_classes=20)}
            return tf_datasets.core.DatasetInfo(
                builder=self, features=tf_datasets.features.FeaturesDict(features)
            )

        def _split_generators(self, manager: object) -> dict[str, Any]:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
            for path in files(folder):
                yield path, {"image": image(path), "label": label(path)}

    tf_datasets.disable_progress_bar()
    builder = Photographs(data_dir=output)
    return builder.download_and_prepare


def datasets(folder: str, output: str) -> Job:
    """`map` that decodes to an array, from two processes, and `to_parquet`."""
    import datasets as hugging
    import numpy as np

    features = hugging.Features({"image": hugging.Array3D(SHAPE, "uint8"), "label": hugging.Value("int64")})

    def decode(batch: dict[str, list[Any]]) -> dict[str, Any]:
        return {
            "image": [np.asarray(image.convert("RGB")) for image in batch["image"]],
            "label": batch["label"],
        }

    def job() -> None:
        data = _image_folder(folder, output)
        decoded = data.map(decode, batched=True, batch_size=100, features=features, num_proc=PROCESSES)
        decoded.to_parquet(f"{output}/train.parquet")

    return job


def datasets_copied(folder: str, output: str) -> Job:
    """The folder as it is loaded, with `to_parquet`: the files' bytes are copied into the Parquet file."""
    return lambda: _image_folder(folder, output).to_parquet(f"{output}/train.parquet")


def _image_folder(folder: str, output: str) -> Any:
    import datasets as hugging

    hugging.disable_progress_bars()
    return hugging.load_dataset(
        "imagefolder", data_dir=folder, split="train", cache_dir=f"{output}/cache", num_proc=PROCESSES
    )


def litdata(folder: str, output: str) -> Job:
    """`optimize` with tensors of raw pixels, from two processes."""
    return _litdata(folder, output, _decoded)


def litdata_copied(folder: str, output: str) -> Job:
    """`optimize` with opened images, of which litData takes the files' bytes."""
    return _litdata(folder, output, _opened)


def _litdata(folder: str, output: str, example: Callable[[str], dict[str, Any]]) -> Job:
    import litdata as lit

    return lambda: lit.optimize(
        fn=example,
        inputs=files(folder),
        output_dir=f"{output}/chunks",
        chunk_bytes="64MB",
        num_workers=PROCESSES,
        start_method="fork",
        verbose=False,
    )


def _decoded(path: str) -> dict[str, Any]:
    import numpy as np
    import torch
    from PIL import Image

    return {"image": torch.from_numpy(np.array(Image.open(path).convert("RGB"))), "label": label(path)}


def _opened(path: str) -> dict[str, Any]:
    from PIL import Image

    return {"image": Image.open(path), "label": label(path)}


SIDES: dict[str, Callable[[str, str], Job]] = {
    side.__name__: side
    for side in (
        pillow,
        lpe_ingest,
        floor,
        lpe_encrypt,
        encrypt_floor,
        tfds,
        datasets,
        litdata,
        tfds_copied,
        datasets_copied,
        litdata_copied,
    )
}
"""By name, in the order in which they run; those beside each other are compared."""


def main() -> None:
    side, folder, output = sys.argv[1:]
    job = SIDES[side](folder, output)
    started = time.perf_counter()
    job()
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
