"""Examples of every command, as `--help` ends with them."""

from __future__ import annotations

from rich.markup import escape

_EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "lpe run",
        "lpe keys create owner --keystore keys",
        "lpe encrypt --source folder:photos --image-size 64x64 \\\n"
        "    --output enc/photos --keystore keys --key owner",
        "lpe train --data enc/photos --output runs/1 --front-end auto",
        "lpe --install-completion",
    ),
    "run": (
        "lpe run",
        "lpe run --source folder:photos --output work --epochs 10",
        "lpe run --source cifar10 --cipher pbe --no-baseline",
    ),
    "inspect": (
        "lpe inspect folder:photos",
        "lpe inspect folder:photos --image-size 224x224 --output contact-sheet.png",
        "lpe inspect 'parquet:hub/*.parquet' --cipher pbe --json",
    ),
    "ingest": (
        "lpe ingest --source folder:photos --image-size 224x224 \\\n    --output plain/photos",
        "lpe ingest --source tfds:cifar100 --label-key coarse_label \\\n    --output plain/kinds",
        "lpe ingest --source folder:photos --image-size 224x224 \\\n    --output plain/photos --append",
        "lpe ingest --source cifar:cifar-10-binary.tar.gz --output plain/cifar10",
        "lpe ingest --source 'parquet:hub/*.parquet' --output plain/hub --workers 4",
    ),
    "fit-reduction": (
        "lpe fit-reduction --source dataset:plain/photos --output encoders/photos",
        "lpe fit-reduction --source cifar10 --output encoders/1 --channels 1 \\\n"
        "    --adversary 3 --epochs 12 --images 5000",
        "lpe fit-reduction --source folder:photos --image-size 224x224 \\\n"
        "    --output encoders/2 --noise 16",
    ),
    "encrypt": (
        "lpe encrypt --source dataset:plain/photos --output enc/photos \\\n    --keystore keys --key owner",
        "lpe encrypt --source dataset:plain/photos --output enc/photos \\\n"
        "    --keystore keys --key owner --append",
        "lpe encrypt --source cifar10 --output enc/cifar10 \\\n"
        "    --keystore keys --key owner --augment flip,crop --copies 3 --workers 4",
        "lpe encrypt --source folder:photos --image-size 64x64 --dry-run",
        "lpe encrypt --source dataset:plain/photos --output enc/photos \\\n"
        "    --keystore keys --key owner --reduce thumbnail=16 --format parquet",
    ),
    "decrypt": (
        "lpe decrypt --source enc/photos --output back/photos --keystore keys",
        "lpe decrypt --source enc/photos --keystore keys --as-files photos",
        "lpe decrypt --source enc/photos/1.0.0 --output back/photos \\\n    --keystore keys --workers 4",
    ),
    "reencrypt": (
        "lpe reencrypt enc/photos --keystore keys",
        "lpe reencrypt enc/photos enc/cifar10 --keystore keys --if-due \\\n"
        "    --retire-after 7d --destroy-keys",
        "lpe reencrypt enc/photos --keystore keys --cipher pbe --dry-run",
    ),
    "verify": (
        "lpe verify enc/photos",
        "lpe verify enc/photos --keystore keys --against plain/photos",
    ),
    "unseal": (
        "lpe unseal --source sealed/photos --output enc/photos --data-key photos.key",
        "lpe unseal --source sealed/photos --output enc/photos \\\n    --data-key photos.key --workers 4",
    ),
    "show": (
        "lpe show enc/photos --keystore keys --output photos.png",
        "lpe show enc/photos --against plain/photos --images 20",
        "lpe show --source folder:photos --image-size 64x64 --ciphers all",
        "lpe show --source folder:photos --image-size 64x64 --reduce thumbnail=16",
    ),
    "keys": (
        "lpe keys create owner --keystore keys",
        "lpe keys list owner --keystore keys",
        "lpe keys rotate owner --keystore keys",
    ),
    "keys create": (
        "lpe keys create owner --keystore keys",
        "lpe keys create owner --keystore keys --rotation-period 30d",
        "lpe keys create owner --keystore s3://bucket/keys \\\n    --kek aws-kms://arn:aws:kms:eu-west-1:1:key/2",
    ),
    "keys list": (
        "lpe keys list owner --keystore keys",
        "lpe keys list owner --keystore keys --root enc --json",
    ),
    "keys rotate": (
        "lpe keys rotate owner --keystore keys",
        "lpe keys rotate owner --keystore keys --rotation-period 90d",
    ),
    "keys disable": (
        "lpe keys disable owner 1234567 --keystore keys",
        "lpe keys disable owner 1234567 --keystore keys --json",
    ),
    "keys enable": (
        "lpe keys enable owner 1234567 --keystore keys",
        "lpe keys enable owner 1234567 --keystore keys --json",
    ),
    "keys destroy": (
        "lpe keys destroy owner 1234567 --keystore keys",
        "lpe keys destroy owner 1234567 --keystore keys --force",
    ),
    "keys register": (
        "lpe keys register runs/1 --keystore keys",
        "lpe keys register runs/1 --keystore keys --json",
    ),
    "keys forget": (
        "lpe keys forget owner enc/photos/1.0.0 --keystore keys",
        "lpe keys forget owner runs/1 --keystore keys",
    ),
    "keys export": (
        "lpe keys export owner --keystore keys --dataset sealed/photos \\\n    --output photos.key",
        "lpe keys export owner --keystore keys --dataset sealed/photos/1.0.0 \\\n    --output photos.key --json",
    ),
    "keys policy": (
        "lpe keys policy --dataset sealed/photos --output photos.toml \\\n"
        "    --audience https://hospital.example/lpe --jwks google.json \\\n"
        "    --image-digest sha256:DIGEST --hardware GCP_INTEL_TDX --support STABLE",
        "lpe keys policy --explain photos.toml",
    ),
    "keys offer": (
        "lpe keys offer owner --keystore keys --dataset sealed/photos \\\n"
        "    --policy photos.toml --output offer.json",
        "lpe keys offer owner --keystore keys --dataset sealed/photos \\\n"
        "    --policy photos.toml --output offer.json --valid 2d",
    ),
    "keys release": (
        "lpe keys release owner request.json --keystore keys \\\n"
        "    --policy photos.toml --output release.json",
        "lpe keys release owner request.json --keystore keys \\\n"
        "    --policy photos.toml --output release.json --json",
    ),
    "keys serve": (
        "lpe keys serve owner --keystore keys --dataset sealed/photos \\\n"
        "    --policy photos.toml --certificate owner.pem --private-key owner-key.pem",
        "lpe keys serve owner --keystore keys --dataset sealed/photos \\\n"
        "    --policy photos.toml --certificate owner.pem --private-key owner-key.pem \\\n"
        "    --host 10.0.0.5 --port 443",
    ),
    "attest": (
        "lpe attest --offer offer.json --output request.json",
        "lpe attest --offer offer.json --output request.json \\\n    --token 'command:get-token --quiet'",
    ),
    "keys log": (
        "lpe keys log owner --keystore keys",
        "lpe keys log owner --keystore keys --accept",
    ),
    "train": (
        "lpe train --data enc/photos --output runs/1 --front-end auto",
        "lpe train --data enc/photos --output runs/2 --model resnet18 --epochs 30 \\\n"
        "    --recipe fast --precision mixed_bfloat16",
        "lpe train --data enc/photos --output runs/3 --init-from runs/1",
        "lpe train --data sealed/photos --data-key photos.key --output runs/4",
        "lpe train --data sealed/photos --release release.json \\\n    --output out/model.sealed",
    ),
    "evaluate": (
        "lpe evaluate --run runs/1 --data enc/photos",
        "lpe evaluate --run runs/1 --data enc/photos/1.0.0 --split validation",
        "lpe evaluate --run runs/4 --data sealed/photos --data-key photos.key",
    ),
    "predict": (
        "lpe predict --run runs/1 --keystore keys cat.png",
        "lpe predict --run runs/1 --keystore keys photos/*.jpg --json",
        "lpe predict --model photos.onnx --keystore keys cat.png",
        "lpe predict --model model.sealed --keystore keys cat.png",
    ),
    "export": (
        "lpe export --run runs/1 --output photos.onnx",
        "lpe export --run runs/1 --format savedmodel --output served/photos/1",
    ),
    "audit": (
        "lpe audit enc/photos --keystore keys --output audit",
        "lpe audit --source synthetic:500 --cipher all --images 100 --output audit",
        "lpe audit --source folder:photos --image-size 32x32 \\\n"
        "    --adversary ciphertext-only --output audit",
    ),
    "compare": (
        "lpe compare --source synthetic:2000 --output compare --epochs 4 --seeds 1",
        "lpe compare --source folder:photos --image-size 32x32 --output compare \\\n"
        "    --ciphers lpe-100,etc --controls all --control thumbnail=16,noise=32",
        "lpe compare --source cifar10 --output compare --ciphers lpe-100,pbe \\\n"
        "    --model resnet18 --recipe fast --epochs 30",
    ),
    "ciphers": (
        "lpe ciphers",
        "lpe ciphers lpe-100",
        "lpe ciphers --json",
    ),
    "doctor": (
        "lpe doctor",
        "lpe doctor --keystore keys --storage enc --workers 4",
        "lpe doctor --keystore s3://bucket/keys --storage s3://bucket/enc --json",
    ),
    "stats": (
        "lpe stats --source cifar10",
        "lpe stats --source folder:photos --image-size 64x64 --ciphers lpe-100,pbe",
    ),
}
_BEAM = "Other options are Beam's, such as --runner=DataflowRunner."


def examples(command: str) -> tuple[str, ...]:
    """Command lines, each as one would type it; `command` is what follows `lpe`."""
    return _EXAMPLES[command]


def epilog(command: str, *, beam: bool = False) -> str:
    """The end of a command's help, in Rich's markup.

    Args:
      command: as for `examples`.
      beam: whether it passes options to Beam.
    """
    lines = [escape(line) for line in examples(command)]
    return "\n".join(["[bold]Examples[/bold]", *lines, *(["", _BEAM] if beam else [])])
