"""The commands that read or write a dataset: lpe ingest, encrypt, decrypt, unseal, verify, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import lpe
from lpe.pipeline.cli.console import Report, properties_table
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
    MAX_MEMBERS,
    MAX_PIXELS,
    MAX_UNPACKED_BYTES,
    PARAM,
    SCOPE,
    SEAL,
    SOURCE,
    VALIDATION,
    WORKERS,
    KeyScope,
    OnBadRecord,
    augmentation_of,
    check_beam_options,
    cipher_names,
    cipher_params,
    dataset_path,
    read_limits,
    read_spec,
    run_job,
)
from lpe.transforms.errors import UsageError

if TYPE_CHECKING:
    from lpe.pipeline.jobs.page import Page
    from lpe.pipeline.jobs.show import Grid


def ingest(
    ctx: typer.Context,
    source: SOURCE,
    output: HOME,
    validation_fraction: VALIDATION = None,
    image_size: IMAGE_SIZE = "same",
    grey: GREY = False,
    keep_ids: KEEP_IDS = False,
    on_bad_record: BAD_RECORD = OnBadRecord.fail,
    max_pixels: MAX_PIXELS = None,
    max_members: MAX_MEMBERS = None,
    max_unpacked_bytes: MAX_UNPACKED_BYTES = None,
    workers: WORKERS = 1,
    as_json: JSON = False,
) -> None:
    """Write images of any source as a plain dataset with neutral ids."""
    limits = read_limits(max_pixels, max_members, max_unpacked_bytes)
    run_job(
        "ingest",
        lpe.ingest,
        read_spec(source, image_size, grey, validation_fraction, keep_ids, limits),
        output,
        ctx.args,
        on_bad_record=on_bad_record,
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
    max_pixels: MAX_PIXELS = None,
    max_members: MAX_MEMBERS = None,
    max_unpacked_bytes: MAX_UNPACKED_BYTES = None,
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
    choice = lpe.CipherChoice(cipher, cipher_params(param), scope.value, hide_labels, seal)
    augmentation = augmentation_of(augment, copies, augment_seed)
    limits = read_limits(max_pixels, max_members, max_unpacked_bytes)
    read = read_spec(source, image_size, grey, validation_fraction, keep_ids, limits)
    if dry_run:
        check_beam_options(ctx.args)
        _print_forecast(lpe.forecast(read, choice, augmentation), as_json)
        return
    if output is None or keystore is None or key is None:
        missing = "--output" if output is None else "--keystore" if keystore is None else "--key"
        raise UsageError(f"missing option {missing} (see lpe encrypt --help)")
    run_job(
        "encrypt",
        lambda spec: lpe.encrypt(spec, choice, lpe.KeyRef(keystore, key), augmentation),
        read,
        output,
        ctx.args,
        on_bad_record=on_bad_record,
        workers=workers,
        as_json=as_json,
    )


def _print_forecast(forecast: lpe.Forecast, as_json: bool) -> None:
    table = properties_table("encrypt, dry run", forecast.properties())
    Report("encrypt", as_json=as_json).result(forecast.to_json(), table, lines=("Nothing was written.",))


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
    run_job(
        "decrypt",
        lambda spec: lpe.decrypt(spec, keystore),
        lpe.ReadSpec(source),
        output,
        ctx.args,
        on_bad_record=on_bad_record,
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
    run_job(
        "unseal",
        lambda spec: lpe.unseal(spec, data_key),
        lpe.ReadSpec(source),
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
    report = Report("verify", as_json=as_json)
    verification = lpe.verify(dataset, keystore, dataset_path(against), tuple(ctx.args))
    value = verification.to_json()
    problems = verification.problems
    if problems:
        report.result({**value, "status": "error", "error": problems[0]}, lines=problems)
        raise typer.Exit(1)
    report.result(value, properties_table("verify", verification.properties()))


def show(
    target: Annotated[
        str | None,
        typer.Argument(
            help="A dataset's home or version directory; with --html also a run of lpe train or a work directory of "
            "lpe run."
        ),
    ] = None,
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
    page: Annotated[
        str | None,
        typer.Option(
            "--html",
            metavar="PAGE",
            help="Write a page instead: images, statistics, accuracy, curves, verdict; the file holds all of it.",
        ),
    ] = None,
    audit: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="With --html: the audit whose verdict is shown. [default: the work directory's]",
        ),
    ] = None,
    image_size: IMAGE_SIZE = "same",
    grey: GREY = False,
    as_json: JSON = False,
) -> None:
    """Draw images plain and encrypted, one column an image, or make a page of what one has."""
    report = Report("show", as_json=as_json)
    shown: Grid | Page
    if page is not None:
        if target is None or source is not None:
            raise UsageError("--html shows what is there: name a dataset, a run or a work directory")
        shown = lpe.show_page(
            page,
            target,
            keystore=keystore,
            against=dataset_path(against),
            audit=audit,
            split=split,
            count=images,
        )
    else:
        if audit is not None:
            raise UsageError("--audit goes with --html, e.g. --html page.html")
        shown = lpe.show(
            output,
            dataset=target,
            read=None if source is None else read_spec(source, image_size, grey, None, False),
            ciphers=[] if source is None else cipher_names(ciphers),
            keystore=keystore,
            against=dataset_path(against),
            split=split,
            count=images,
        )
    report.result(shown.to_json(), properties_table("show", shown.properties()))
