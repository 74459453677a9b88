"""lpe reencrypt: the owner's policy applied to datasets, planned or carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lpe
from lpe.pipeline import clock
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.completion import complete_cipher
from lpe.pipeline.cli.console import Report, properties_table, rows_table
from lpe.pipeline.cli.job import check_beam_options, process_count
from lpe.pipeline.cli.options import (
    ENCRYPTION,
    EXECUTION,
    JSON,
    KEYSTORE,
    PARAM,
    WORKERS,
    KeyScope,
    cipher_params,
    dataset_name,
    dataset_path,
)
from lpe.transforms.errors import LpeError, UsageError
from lpe.transforms.tables import megabytes

if TYPE_CHECKING:
    from rich.table import Table


def reencrypt(
    ctx: typer.Context,
    datasets: Annotated[list[str], typer.Argument(help="The datasets' homes, ROOT/NAME.")],
    keystore: KEYSTORE,
    if_due: Annotated[
        bool,
        typer.Option(
            "--if-due",
            help="For schedules: rotate the keyset where its rotation period has passed; where another run holds a "
            "dataset, leave it to that one and exit with 0.",
        ),
    ] = False,
    retire_after: Annotated[
        str | None,
        typer.Option(metavar="PERIOD", help="Delete versions that were replaced so long ago, e.g. 7d."),
    ] = None,
    destroy_keys: Annotated[
        bool, typer.Option("--destroy-keys", help="Destroy keys that no recorded dataset or run needs.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print what would be done, and change nothing.", rich_help_panel=EXECUTION
        ),
    ] = False,
    cipher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Another scheme. \\[default: the same]",
            autocompletion=complete_cipher,
            rich_help_panel=ENCRYPTION,
        ),
    ] = None,
    param: PARAM = None,
    scope: Annotated[
        KeyScope | None,
        typer.Option(help="Another key scope. \\[default: the same]", rich_help_panel=ENCRYPTION),
    ] = None,
    workers: WORKERS = "auto",
    as_json: JSON = False,
) -> None:
    """Write datasets' next versions under the primary key, verified; retire and delete the old ones."""
    # Options that are not known here end up among the words: they are Beam's.
    words = [word for word in datasets if not word.startswith("-")]
    if not words:
        raise UsageError("name the datasets to re-encrypt, ROOT/NAME")
    # Of several, one that is gone is told of when the others are done.
    named = dataset_path if len(words) == 1 else dataset_name
    homes = [named(word.rstrip("/"), "DATASETS") for word in words]
    checks.check_keystore(keystore)
    if cipher is not None:
        checks.check_cipher(cipher, cipher_params(param))
    period = None if retire_after is None else clock.parse_period(retire_after)
    policy = lpe.Policy(
        if_due=if_due,
        retire_after=period,
        destroy_keys=destroy_keys,
        change=lpe.CipherChange(cipher, cipher_params(param), None if scope is None else scope.value),
    )
    processes = process_count(workers)
    report = Report("reencrypt", as_json=as_json)
    beam = (*(word for word in datasets if word.startswith("-")), *ctx.args)
    check_beam_options(beam)
    if dry_run:
        _print_due_actions(report, homes, keystore, policy)
    else:
        _reencrypt(report, homes, keystore, policy, processes, beam)


def _print_due_actions(report: Report, homes: Sequence[str], keystore: str, policy: lpe.Policy) -> None:
    actions = [lpe.due_actions(home, keystore, policy) for home in homes]
    destroy = lpe.keys_to_destroy(actions, keystore) if policy.destroy_keys else {}
    value = {"dry_run": True, "plans": [due.to_json() for due in actions], "destroy": destroy}
    lines = (*_actions_lines(actions), *_destroy_lines(destroy, keystore), "Nothing was changed.")
    report.result(value, _actions_table(actions), lines=lines)


def _actions_table(actions: Sequence[lpe.DueActions]) -> Table:
    rows = [
        [
            due.current.directory,
            due.reason or "not due",
            f"{_images(due):,}",
            megabytes(0 if due.reason is None else due.current.num_bytes),
            ", ".join(old.version for old in due.retire) or "none",
            ", ".join(f"{old.version} ({megabytes(old.bytes)})" for old in due.delete) or "none",
        ]
        for due in actions
    ]
    return rows_table("plan", ["dataset", "re-encrypt", "images", "size", "retire", "delete"], rows)


def _images(due: lpe.DueActions) -> int:
    """How many images are to be re-encrypted."""
    return 0 if due.reason is None else sum(split.examples for split in due.current.splits.values())


def _actions_lines(actions: Sequence[lpe.DueActions]) -> list[str]:
    rotated = dict.fromkeys(due.encryption.key_name for due in actions if due.rotate)
    return [f"Keyset {name} would be rotated." for name in rotated]


def _destroy_lines(destroy: Mapping[str, Sequence[int]], keystore: str) -> list[str]:
    """Lines on the keys to be destroyed, by keyset, and on the models that are lost with each."""
    from lpe.pipeline.jobs import rotation  # noqa: PLC0415  (jobs are slow to import)

    lines = []
    for name, ids in destroy.items():
        lines.append(f"Keys of {name} that would be destroyed: {', '.join(map(str, ids)) or 'none'}.")
        lost = rotation.lost_runs(name, ids, keystore)
        lines += [f"Without key {key_id}: {rotation.loss_in_words(runs)}." for key_id, runs in lost.items()]
    return lines


def _reencrypt(
    report: Report,
    homes: Sequence[str],
    keystore: str,
    policy: lpe.Policy,
    processes: int | None,
    beam: Sequence[str],
) -> None:
    if len(homes) > 1 and _is_template(beam):
        raise UsageError("a template holds one job: name one dataset")
    outcomes: list[lpe.Outcome] = []
    errors: list[str] = []
    for home in homes:
        with report.progress(f"reencrypt {home}") as update:
            spec = lpe.JobSpec(
                lpe.ReadSpec(f"dataset:{home}"), home, tuple(beam), progress=update, processes=processes
            )
            try:
                outcomes.append(lpe.reencrypt(home, keystore, policy, spec))
            except lpe.JobStaged as staged:
                # What follows a finished job (retiring, deleting, destroying) is left to the next run.
                report.staged(staged.template, home)
                return
            except LpeError as error:
                if len(homes) == 1:
                    raise
                errors.append(f"{home}: {error}")
    keysets = dict.fromkeys(outcome.key_name for outcome in outcomes)
    keys = lpe.DestroyedKeys()
    if policy.destroy_keys:
        keys = lpe.destroy_unused_keys(list(keysets), keystore, report.note)
    tables = [properties_table("reencrypt", outcome.result.properties()) for outcome in outcomes]
    report.result(_value(outcomes, errors, keys), *tables, lines=tuple(_lines(outcomes, keys)))
    for line in errors:
        report.note(f"lpe: {line}")
    if errors:
        raise typer.Exit(1)


def _is_template(beam: Sequence[str]) -> bool:
    """Whether the job is to be staged as a template instead of run."""
    from lpe.pipeline.engine import runners  # noqa: PLC0415  (the engine is slow to import)

    return runners.template(runners.options(beam)) is not None


def _value(outcomes: Sequence[lpe.Outcome], errors: Sequence[str], keys: lpe.DestroyedKeys) -> dict[str, Any]:
    """The JSON fields: one dataset's directly, those of several as a list."""
    values = [outcome.to_json() for outcome in outcomes]
    value: dict[str, Any] = values[0] if len(values) == 1 and not errors else {"datasets": values}
    changed = keys.destroyed or any(_is_changed(outcome) for outcome in outcomes)
    status = "error" if errors else "ok" if changed else "skipped"
    value = {**value, **keys.to_json(), "status": status}
    return {**value, "error": "; ".join(errors)} if errors else value


def _is_changed(outcome: lpe.Outcome) -> bool:
    """Whether this run changed the dataset or its keyset."""
    rotated = outcome.rotated is not None
    return not outcome.result.skipped or rotated or bool(outcome.retired or outcome.deleted)


def _lines(outcomes: Sequence[lpe.Outcome], keys: lpe.DestroyedKeys) -> list[str]:
    lines = []
    for outcome in outcomes:
        verb = "left as it is" if outcome.result.skipped else "re-encrypted"
        lines.append(f"{outcome.result.dataset.directory}: {verb}: {outcome.reason}")
        lines += [f"retired {version}" for version in outcome.retired]
        lines += [f"deleted {version}" for version in outcome.deleted]
        lines += [
            f"stale: {run} was trained under the old key; lpe train --init-from {run} adapts it"
            for run in outcome.stale_runs
        ]
        if outcome.rotated is not None:
            lines.append(f"keyset rotated: key {outcome.rotated} is the primary one")
    lines += [f"destroyed key {key_id}" for key_id in keys.destroyed]
    for key in keys.kept:
        needed = ", ".join(key.needed_by) or "nothing recorded; no dataset was ever recorded under it"
        lines.append(f"kept key {key.id}: {needed}")
    return lines
