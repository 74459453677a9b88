"""The commands that read or write a dataset: lpe ingest, encrypt, decrypt, unseal, verify, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import lpe
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.completion import complete_ciphers, complete_source
from lpe.pipeline.cli.console import Report, properties_table
from lpe.pipeline.cli.file_format import FORMAT, FORMAT_OR_KEPT, FileKind
from lpe.pipeline.cli.image_options import AS_THEY_ARE, ImageOptions, takes_image_options
from lpe.pipeline.cli.job import check_beam_options, process_count, run_job
from lpe.pipeline.cli.options import (
    ADD_LABELS,
    ANY_KEYSTORE,
    APPEND,
    AUGMENT,
    AUGMENT_SEED,
    BAD_RECORD,
    CIPHER_OR_KEPT,
    COPIES,
    DATASET_SOURCE,
    EXECUTION,
    HIDE_LABELS,
    HOME,
    JSON,
    KEEP_IDS,
    KEYSTORE,
    PARAM,
    REDUCE,
    SCOPE_OR_KEPT,
    SEAL,
    SOURCE,
    VALIDATION,
    WORKERS,
    OnBadRecord,
    augmentation_of,
    cipher_names,
    cipher_params,
    dataset_name,
    dataset_path,
)
from lpe.transforms.errors import UsageError

if TYPE_CHECKING:
    from lpe.pipeline.jobs.page import Page
    from lpe.pipeline.jobs.show import Grid
    from lpe.pipeline.records import FileFormat
    from lpe.transforms.keyed import Scope


_CIPHER = "lpe-100"


@takes_image_options
def ingest(
    ctx: typer.Context,
    source: SOURCE,
    output: HOME,
    validation_fraction: VALIDATION = None,
    keep_ids: KEEP_IDS = False,
    reading: ImageOptions = AS_THEY_ARE,
    append: APPEND = False,
    add_labels: ADD_LABELS = False,
    on_bad_record: BAD_RECORD = OnBadRecord.fail,
    file_format: FORMAT_OR_KEPT = None,
    workers: WORKERS = "auto",
    as_json: JSON = False,
) -> None:
    """Write images of any source as a plain dataset with neutral ids."""
    read = reading.read_spec(source, validation_fraction, keep_ids=keep_ids)
    checks.check_append(output, append=append, add_labels=add_labels)
    run_job(
        "ingest",
        (lambda spec: lpe.append(spec, add_labels=add_labels)) if append else lpe.ingest,
        read,
        output,
        ctx.args,
        on_bad_record=on_bad_record,
        file_format=None if file_format is None else file_format.value,
        workers=workers,
        as_json=as_json,
    )


@takes_image_options
def encrypt(
    ctx: typer.Context,
    source: SOURCE,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="HOME",
            help="The dataset's home, ROOT/NAME; the next version goes there. Required, but for --dry-run.",
        ),
    ] = None,
    keystore: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Directory of the key store. Required, but for --dry-run."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="NAME", help="The keyset's name. Required, but for --dry-run.")
    ] = None,
    cipher: CIPHER_OR_KEPT = None,
    param: PARAM = None,
    scope: SCOPE_OR_KEPT = None,
    hide_labels: HIDE_LABELS = False,
    seal: SEAL = False,
    reduce: REDUCE = None,
    augment: AUGMENT = None,
    copies: COPIES = None,
    augment_seed: AUGMENT_SEED = 0,
    validation_fraction: VALIDATION = None,
    keep_ids: KEEP_IDS = False,
    reading: ImageOptions = AS_THEY_ARE,
    append: APPEND = False,
    add_labels: ADD_LABELS = False,
    on_bad_record: BAD_RECORD = OnBadRecord.fail,
    file_format: FORMAT_OR_KEPT = None,
    workers: WORKERS = "auto",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Plan, measure the first images and say what it would take; needs no output and no key.",
            rich_help_panel=EXECUTION,
        ),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Encrypt images of any source, or of an ingested dataset, under a keyset's primary key."""
    params = cipher_params(param)
    if cipher is not None or not append:
        checks.check_cipher(cipher or _CIPHER, params, seal=seal, image_size=reading.image_size)
    checks.check_reduction(reduce)
    augmentation = augmentation_of(augment, copies, augment_seed)
    read = reading.read_spec(source, validation_fraction, keep_ids=keep_ids)
    kind: FileFormat | None = None if file_format is None else file_format.value
    key_scope: Scope = "dataset" if scope is None else scope.value
    choice = lpe.CipherChoice(cipher or _CIPHER, params, key_scope, hide_labels, seal, reduce or "")
    if dry_run:
        if append:
            raise UsageError("--dry-run tells of whole encryptions; leave out --append")
        check_beam_options(ctx.args)
        _print_forecast(lpe.forecast(read, choice, augmentation, kind or "tfrecord"), as_json)
        return
    if output is None or keystore is None or key is None:
        missing = "--output" if output is None else "--keystore" if keystore is None else "--key"
        raise UsageError(f"missing option {missing} (see lpe encrypt --help)")
    keyset = lpe.KeyRef(keystore, key)
    checks.check_keyset(keyset)
    checks.check_append(output, append=append, add_labels=add_labels)
    given = lpe.CipherChange(cipher, params, None if scope is None else scope.value)

    def job(spec: lpe.JobSpec) -> lpe.JobResult:
        if not append:
            return lpe.encrypt(spec, choice, keyset, augmentation)
        return lpe.append_encrypted(
            spec,
            keyset,
            given,
            hide_labels=hide_labels,
            seal=seal,
            augmentation=augmentation,
            reduction=reduce,
            add_labels=add_labels,
        )

    run_job(
        "encrypt",
        job,
        read,
        output,
        ctx.args,
        on_bad_record=on_bad_record,
        file_format=kind,
        workers=workers,
        as_json=as_json,
    )


def _print_forecast(forecast: lpe.Forecast, as_json: bool) -> None:
    table = properties_table("encrypt, dry run", forecast.properties())
    Report("encrypt", as_json=as_json).result(forecast.to_json(), table, lines=("Nothing was written.",))


def _dataset_spec(source: str) -> lpe.ReadSpec:
    return lpe.ReadSpec(f"dataset:{dataset_path(source, '--source')}")


def decrypt(
    ctx: typer.Context,
    source: DATASET_SOURCE,
    keystore: KEYSTORE,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="HOME", help="The plain dataset's home, ROOT/NAME; the next version goes there."
        ),
    ] = None,
    as_files: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Instead of a dataset: PNG files with their original names, DIR/SPLIT/CLASS/NAME.png.",
        ),
    ] = None,
    on_bad_record: BAD_RECORD = OnBadRecord.fail,
    file_format: FORMAT = FileKind.tfrecord,
    workers: WORKERS = "auto",
    as_json: JSON = False,
) -> None:
    """Restore the plain dataset, or the image files, from an encrypted one."""
    if (output is None) == (as_files is None):
        raise UsageError("say where the images go: --output HOME for a dataset, or --as-files DIR for files")
    read = _dataset_spec(source)
    checks.check_keystore(keystore)
    if as_files is not None:
        if on_bad_record is OnBadRecord.skip or file_format is not FileKind.tfrecord:
            raise UsageError("--on-bad-record and --format go with --output, not with --as-files")
        report = Report("decrypt", as_json=as_json)
        spec = lpe.JobSpec(read, as_files, tuple(ctx.args), processes=process_count(workers))
        files = lpe.decrypt_files(spec, keystore)
        report.result(files.to_json(), properties_table("decrypt", files.properties()), lines=files.notes)
        return
    assert output is not None
    run_job(
        "decrypt",
        lambda spec: lpe.decrypt(spec, keystore),
        read,
        output,
        ctx.args,
        on_bad_record=on_bad_record,
        file_format=file_format.value,
        workers=workers,
        as_json=as_json,
    )


def unseal(
    ctx: typer.Context,
    source: DATASET_SOURCE,
    output: HOME,
    data_key: Annotated[
        str, typer.Option(metavar="FILE", help="The file that the owner's lpe keys export wrote.")
    ],
    workers: WORKERS = "auto",
    as_json: JSON = False,
) -> None:
    """Open a sealed dataset with its data key: the images stay encrypted, and can be trained on."""
    read = _dataset_spec(source)
    run_job(
        "unseal",
        lambda spec: lpe.unseal(spec, data_key),
        read,
        output,
        ctx.args,
        workers=workers,
        as_json=as_json,
    )


def verify(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Argument(help="A dataset's home or version directory, or dataset:DIR.")],
    keystore: ANY_KEYSTORE = None,
    against: Annotated[
        str | None, typer.Option(metavar="DATASET", help="The plain dataset that it must decrypt to.")
    ] = None,
    workers: WORKERS = "auto",
    as_json: JSON = False,
) -> None:
    """Check every record of a dataset: whole, under its key, equal to the plain one."""
    report = Report("verify", as_json=as_json)
    path = dataset_path(dataset, "DATASET")
    plain = None if against is None else dataset_path(against, "--against")
    checks.check_keystore(keystore)
    verification = lpe.verify(path, keystore, plain, tuple(ctx.args), process_count(workers))
    value = verification.to_json()
    problems = verification.problems
    if problems:
        report.result({**value, "status": "error", "error": problems[0]}, lines=problems)
        raise typer.Exit(1)
    report.result(value, properties_table("verify", verification.properties()))


@takes_image_options
def show(
    target: Annotated[
        str | None,
        typer.Argument(
            help="A dataset's home or version directory; with --html also a run of lpe train or a work directory of "
            "lpe run."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Instead of a dataset: images to encrypt for show; see lpe encrypt.",
            autocompletion=complete_source,
        ),
    ] = None,
    ciphers: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="With --source: schemes, comma-separated, or `all`.",
            autocompletion=complete_ciphers,
        ),
    ] = "lpe-100",
    reduce: REDUCE = None,
    keystore: ANY_KEYSTORE = None,
    against: Annotated[
        str | None, typer.Option(metavar="DATASET", help="Take the plain images from this dataset.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which split. \\[default: test if there is one]"),
    ] = None,
    images: Annotated[int, typer.Option(min=1, max=40, metavar="N", help="How many images.")] = 10,
    output: Annotated[str, typer.Option(metavar="FILE", help="The PNG file to write.")] = "grid.png",
    page: Annotated[
        str | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write a page instead: images, statistics, accuracy, curves, verdict; the file holds all of it.",
        ),
    ] = None,
    audit: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="With --html: the audit whose verdict is shown. \\[default: the work directory's]",
        ),
    ] = None,
    reading: ImageOptions = AS_THEY_ARE,
    as_json: JSON = False,
) -> None:
    """Draw images plain and encrypted, one column an image, or make a page of what one has."""
    report = Report("show", as_json=as_json)
    checks.check_keystore(keystore)
    checks.check_reduction(reduce)
    plain = None if against is None else dataset_path(against, "--against")
    shown: Grid | Page
    if page is not None:
        if target is None or source is not None or reduce is not None:
            raise UsageError("--html shows what is there: name a dataset, a run or a work directory")
        target = dataset_name(target, "TARGET")
        shown = lpe.show_page(
            page, target, keystore=keystore, against=plain, audit=audit, split=split, count=images
        )
    else:
        if audit is not None:
            raise UsageError("--audit goes with --html, e.g. --html page.html")
        checks.check_picture(output)
        shown = lpe.show(
            output,
            dataset=None if target is None else dataset_path(target, "TARGET"),
            read=None if source is None else reading.read_spec(source),
            ciphers=[] if source is None else cipher_names(ciphers),
            keystore=keystore,
            against=plain,
            split=split,
            count=images,
            reduction=reduce or "",
        )
    report.result(shown.to_json(), properties_table("show", shown.properties()))
