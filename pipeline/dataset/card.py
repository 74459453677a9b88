"""The card of a dataset of Parquet files: a README.md that tells Hugging Face's `datasets` the files of each split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lpe.pipeline.dataset.manifest import ShardInfo


def card(name: str, version: str, shards: Mapping[str, Sequence[ShardInfo]], *, encrypted: bool) -> bytes:
    """The content of a version's README.md.

    Args:
      name: of the dataset.
      version: of the dataset, e.g. `1.0.0`.
      shards: of each split, in the order of splits and shards.
      encrypted: whether the images are ciphertext.
    """
    lines = ["---", "configs:", "- config_name: default", "  data_files:"]
    for split, part in shards.items():
        # `datasets` has no dash in the name of a split.
        lines += [f"  - split: {split.replace('-', '_')}", f"    path: {_pattern(part)}"]
    kind = "encrypted" if encrypted else "ingested"
    lines += ["---", "", f"# {name} {version}", "", f"Images {kind} by lpe.", "", "```python"]
    lines += ["import datasets", "", 'datasets.load_dataset("THIS_DIRECTORY")', "```"]
    return "".join(f"{line}\n" for line in lines).encode()


def _pattern(part: Sequence[ShardInfo]) -> str:
    """A pattern that all files of a split match, and no other split's."""
    return '"' + re.sub(r"-\d{5}-of-", "-?????-of-", part[0].file if part else "none") + '"'
