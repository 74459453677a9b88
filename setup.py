"""What Beam's `--setup_file` runs to stage this package; its metadata is in pyproject.toml."""

from setuptools import setup

setup()
