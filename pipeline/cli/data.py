"""lpe ingest, encrypt, decrypt, verify, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lpe.pipeline.cli.options import (
    ANY_KEYSTORE,
    AUGMENT,
    AUGMENT_SEED,
    BAD_RECORD,
    CIPHER,
    COPIES,
    GREY,
    HIDE_LABELS,
    HOME,
    IMAGE_SIZE,
    JSON,
    KEEP_IDS,
    KEYSTORE,
    PARAM,
    SCOPE,
    SEAL,
    SOURCE,
    VALIDATION,
    WORKERS,
    KeyScope,
    OnBadRecord,
    augmentation_of,
    cipher_names,
    cipher_params,
    read_spec,
    run_job,
)
from lpe.transforms.errors import DataError, UsageError

if TYPE_CHECKING:
    from lpe.pipeline.jobs.spec import CipherChoice
    from lpe.pipeline.sources.plan import ReadSpec
    from lpe.transforms.augment import Augmentation


def ingest(
    ctx: typer.Context,
    source: SOURCE,
    output: HOME,
    validation_fraction: VALIDATION = None,
    image_size: IMAGE_SIZE = "same",
    grey: GREY = False,
    keep_ids: KEEP_IDS = False,
    on_bad_record: BAD_RECORD = OnBadRecord.fail,
    workers: WORKERS = 1,
    as_json: JSON = False,
) -> None:
    """Write images of any source as a plain dataset with neutral ids."""
    from lpe.pipeline.jobs.ingest import ingest as run_ingest  # noqa: PLC0415

    read = read_spec(source, image_size, grey, validation_fraction, keep_ids)
    run_job(
        "ingest",
        run_ingest,
        read,
        output,
        ctx.args,
        policy=on_bad_record,
        workers=workers,
        as_json=as_json,
    )


def encrypt(
    ctx: typer.Context,
    source: SOURCE,
    output: Annotated[
        str | None,
        typer.Option(help="The dataset's home, ROOT/NAME; the next version goes there. [required]"),
    ] = None,
    keystore: Annotated[str | None, typer.Option(help="Directory of the key store. [required]")] = None,
    key: Annotated[str | None, typer.Option(help="The keyset's name. [required]")] = None,
    cipher: CIPHER = "lpe-100",
    param: PARAM = None,
    scope: SCOPE = KeyScope.dataset,
    hide_labels: HIDE_LABELS = False,
    seal: SEAL = False,
    augment: AUGMENT = None,
    copies: COPIES = None,
    augment_seed: AUGMENT_SEED = 0,
    validation_fraction: VALIDATION = None,
    image_size: IMAGE_SIZE = "same",
    grey: GREY = False,
    keep_ids: KEEP_IDS = False,
    on_bad_record: BAD_RECORD = OnBadRecord.fail,
    workers: WORKERS = 1,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Plan, measure the first images and say what it would take; needs no output and no key.",
        ),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Encrypt images of any source, or of an ingested dataset, under a keyset's primary key."""
    from lpe.pipeline.engine.beam_options import beam_options  # noqa: PLC0415
    from lpe.pipeline.jobs.encrypt import encrypt as run_encrypt  # noqa: PLC0415
    from lpe.pipeline.jobs.spec import CipherChoice  # noqa: PLC0415
    from lpe.pipeline.keystore import KeyRef  # noqa: PLC0415

    choice = CipherChoice(cipher, cipher_params(param), scope.value, hide_labels, seal)
    augmentation = augmentation_of(augment, copies, augment_seed)
    read = read_spec(source, image_size, grey, validation_fraction, keep_ids)
    if dry_run:
        beam_options(ctx.args)
        _print_forecast(read, choice, augmentation, as_json)
        return
    if output is None or keystore is None or key is None:
        missing = "--output" if output is None else "--keystore" if keystore is None else "--key"
        raise UsageError(f"missing option {missing} (see lpe encrypt --help)")
    run_job(
        "encrypt",
        lambda spec: run_encrypt(spec, choice, KeyRef(keystore, key), augmentation),
        read,
        output,
        ctx.args,
        policy=on_bad_record,
        workers=workers,
        as_json=as_json,
    )


def _print_forecast(
    read: ReadSpec, choice: CipherChoice, augmentation: Augmentation | None, as_json: bool
) -> None:
    from lpe.pipeline.cli.console import Report, facts, forecast_rows  # noqa: PLC0415
    from lpe.pipeline.jobs.dry_run import forecast  # noqa: PLC0415

    report = Report("encrypt", as_json=as_json)
    value = forecast(read, choice, augmentation).to_json()
    report.result(value, facts("encrypt, dry run", forecast_rows(value)), lines=("Nothing was written.",))


def decrypt(
    ctx: typer.Context,
    source: SOURCE,
    output: HOME,
    keystore: KEYSTORE,
    on_bad_record: BAD_RECORD = OnBadRecord.fail,
    workers: WORKERS = 1,
    as_json: JSON = False,
) -> None:
    """Restore the plain dataset from an encrypted one."""
    from lpe.pipeline.jobs.decrypt import decrypt as run_decrypt  # noqa: PLC0415
    from lpe.pipeline.sources.plan import ReadSpec  # noqa: PLC0415

    run_job(
        "decrypt",
        lambda spec: run_decrypt(spec, keystore),
        ReadSpec(source),
        output,
        ctx.args,
        policy=on_bad_record,
        workers=workers,
        as_json=as_json,
    )


def unseal(
    ctx: typer.Context,
    source: SOURCE,
    output: HOME,
    data_key: Annotated[str, typer.Option(help="The file that the owner's lpe keys export wrote.")],
    workers: WORKERS = 1,
    as_json: JSON = False,
) -> None:
    """Open a sealed dataset with its data key: the images stay encrypted, and can be trained on."""
    from lpe.pipeline.jobs.unseal import unseal as run_unseal  # noqa: PLC0415
    from lpe.pipeline.sources.plan import ReadSpec  # noqa: PLC0415

    run_job(
        "unseal",
        lambda spec: run_unseal(spec, data_key),
        ReadSpec(source),
        output,
        ctx.args,
        workers=workers,
        as_json=as_json,
    )


def verify(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Argument(help="A dataset's home or version directory.")],
    keystore: ANY_KEYSTORE = None,
    against: Annotated[
        str | None, typer.Option(metavar="dataset:DIR", help="The plain dataset that it must decrypt to.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Check every record of a dataset: whole, under its key, equal to the plain one."""
    from lpe.pipeline.cli.console import Report, facts, megabytes, work_done  # noqa: PLC0415
    from lpe.pipeline.jobs.verify import verify as run_verify  # noqa: PLC0415

    report = Report("verify", as_json=as_json)
    found = run_verify(dataset, keystore, _dataset_path(against), ctx.args)
    value = found.to_json()
    if found.problems:
        report.result({**value, "status": "error", "error": found.problems[0]}, lines=found.problems)
        raise typer.Exit(1)
    checked = ["metadata, sizes, checksums, counts, labels, ids"]
    checked += ["key"] if keystore is not None and found.dataset.encrypted else []
    checked += ["every seal"] if keystore is not None and found.dataset.seal is not None else []
    checked += ["every image equals the plain one"] if found.compared else []
    rows = {
        "dataset": found.dataset.directory,
        "examples": f"{found.examples:,} ({megabytes(found.dataset.num_bytes)})",
        "checked": "; ".join(checked),
        "result": "ok",
    }
    if found.metrics is not None:
        rows["work"] = work_done(found.metrics.to_json())
    rows["time"] = f"{found.seconds:.1f} s"
    report.result(value, facts("verify", rows))


def show(
    dataset: Annotated[str | None, typer.Argument(help="A dataset's home or version directory.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Instead of a dataset: images to encrypt for show.")
    ] = None,
    ciphers: Annotated[
        str, typer.Option(help="With --source: schemes, comma-separated, or `all`.")
    ] = "lpe-100",
    keystore: ANY_KEYSTORE = None,
    against: Annotated[
        str | None, typer.Option(metavar="dataset:DIR", help="Take the plain images from this dataset.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Which split (default: test if there is one).")] = None,
    images: Annotated[int, typer.Option(min=1, max=40, help="How many images.")] = 10,
    output: Annotated[str, typer.Option(help="The PNG file to write.")] = "grid.png",
    image_size: IMAGE_SIZE = "same",
    grey: GREY = False,
    as_json: JSON = False,
) -> None:
    """Draw images plain and encrypted, one column an image."""
    from lpe.pipeline.cli.console import Report, facts  # noqa: PLC0415
    from lpe.pipeline.jobs import show as drawing  # noqa: PLC0415

    report = Report("show", as_json=as_json)
    if (dataset is None) == (source is None):
        raise UsageError("name either a dataset or a --source")
    if dataset is not None:
        picture, columns = drawing.show_dataset(dataset, keystore, _dataset_path(against), split, images)
    else:
        read = read_spec(str(source), image_size, grey, None, False)
        picture, columns = drawing.show_ciphers(read, cipher_names(ciphers), split, images)
    drawing.save(picture, output)
    value = {"output": output, "images": columns}
    report.result(value, facts("show", {"picture": output, "images": str(len(columns))}))


def _dataset_path(against: str | None) -> str | None:
    if against is None:
        return None
    kind, colon, place = against.partition(":")
    if kind == "dataset" and place:
        return place
    if colon and "://" not in against:
        raise DataError(f"--against {against}: name a plain dataset as dataset:DIR")
    return against
