"""lpe reencrypt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpe.pipeline.cli.options import JSON, KEYSTORE, PARAM, WORKERS, KeyScope, cipher_params
from lpe.transforms.errors import LpeError, UsageError

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions
    from rich.table import Table

    from lpe.pipeline.cli.console import Report
    from lpe.pipeline.jobs.rotation import DueActions, Outcome, Policy


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
        bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")
    ] = False,
    cipher: Annotated[str | None, typer.Option(help="Another scheme [default: the same].")] = None,
    param: PARAM = None,
    scope: Annotated[KeyScope | None, typer.Option(help="Another key scope [default: the same].")] = None,
    workers: WORKERS = 1,
    as_json: JSON = False,
) -> None:
    """Write datasets' next versions under the primary key, verified; retire and delete the old ones."""
    from lpe.pipeline import clock  # noqa: PLC0415
    from lpe.pipeline.cli.console import Report  # noqa: PLC0415
    from lpe.pipeline.jobs.rotation import Policy  # noqa: PLC0415
    from lpe.pipeline.jobs.spec import CipherChange  # noqa: PLC0415

    policy = Policy(
        if_due=if_due,
        retire_after=None if retire_after is None else clock.parse_period(retire_after),
        destroy_keys=destroy_keys,
        change=CipherChange(cipher, cipher_params(param), None if scope is None else scope.value),
    )
    report = Report("reencrypt", as_json=as_json)
    # Options that are not known here end up among the words: they are Beam's.
    homes = [word.rstrip("/") for word in datasets if not word.startswith("-")]
    beam = tuple([word for word in datasets if word.startswith("-")] + ctx.args)
    if not homes:
        raise UsageError("name the datasets to re-encrypt, ROOT/NAME")
    if dry_run:
        _print_plan(report, homes, keystore, policy)
    else:
        _carry_out(report, homes, keystore, policy, workers, beam)


def _print_plan(report: Report, homes: Sequence[str], keystore: str, policy: Policy) -> None:
    from lpe.pipeline.jobs.rotation import due_actions, keys_to_destroy  # noqa: PLC0415

    plans = [due_actions(home, keystore, policy) for home in homes]
    destroy = keys_to_destroy(plans, keystore) if policy.destroy_keys else {}
    value = {"dry_run": True, "plans": [each.to_json() for each in plans], "destroy": destroy}
    report.result(value, _plan_table(plans), lines=_plan_lines(plans, destroy))


def _plan_table(plans: Sequence[DueActions]) -> Table:
    from lpe.pipeline.cli.console import columns, megabytes  # noqa: PLC0415

    rows = []
    for each in plans:
        value = each.to_json()
        rows.append(
            [
                each.current.directory,
                each.reason or "not due",
                f"{value['images']:,}",
                megabytes(value["bytes"]),
                ", ".join(old.version for old in each.retire) or "none",
                ", ".join(f"{old.version} ({megabytes(old.bytes)})" for old in each.delete) or "none",
            ]
        )
    return columns("plan", ["dataset", "re-encrypt", "images", "size", "retire", "delete"], rows)


def _plan_lines(plans: Sequence[DueActions], destroy: dict[str, list[int]]) -> tuple[str, ...]:
    rotated = dict.fromkeys(each.encryption.key_name for each in plans if each.rotate)
    lines = [f"Keyset {name} would be rotated." for name in rotated]
    for name, ids in destroy.items():
        keys = ", ".join(map(str, ids)) or "none"
        lines.append(f"Keys of {name} that would be destroyed: {keys}.")
    return (*lines, "Nothing was changed.")


def _carry_out(
    report: Report, homes: Sequence[str], keystore: str, policy: Policy, workers: int, beam: PipelineOptions
) -> None:
    from lpe.pipeline.engine.beam_options import beam_options  # noqa: PLC0415
    from lpe.pipeline.engine.runners import JobStaged, template  # noqa: PLC0415
    from lpe.pipeline.jobs.rotation import destroy_unused_keys
    from lpe.pipeline.jobs.rotation import reencrypt as carry_out  # noqa: PLC0415
    from lpe.pipeline.jobs.spec import JobSpec  # noqa: PLC0415
    from lpe.pipeline.sources.plan import ReadSpec  # noqa: PLC0415

    if template(beam_options(beam)) is not None and len(homes) > 1:
        raise UsageError("a template holds one job: name one dataset")
    outcomes: list[Outcome] = []
    errors: list[str] = []
    for home in homes:
        with report.progress(f"reencrypt {home}") as progress:
            spec = JobSpec(ReadSpec(f"dataset:{home}"), home, beam, progress=progress, processes=workers)
            try:
                outcomes.append(carry_out(home, keystore, policy, spec))
            except JobStaged as staged:
                # What follows a finished job (retiring, deleting, destroying) is left to the next run.
                report.staged(staged.template, home)
                return
            except LpeError as error:
                if len(homes) == 1:
                    raise
                errors.append(f"{home}: {error}")
    keysets = dict.fromkeys(outcome.key_name for outcome in outcomes)
    from lpe.pipeline.jobs.rotation import DestroyedKeys  # noqa: PLC0415

    keys = destroy_unused_keys(list(keysets), keystore) if policy.destroy_keys else DestroyedKeys()
    _report(report, outcomes, errors, keys.to_json())
    if errors:
        raise typer.Exit(1)


def _report(report: Report, outcomes: Sequence[Outcome], errors: Sequence[str], keys: dict[str, Any]) -> None:
    from lpe.pipeline.cli.console import job_table  # noqa: PLC0415

    values = [outcome.to_json() for outcome in outcomes]
    done = keys["destroyed_keys"] or any(value["status"] == "ok" for value in values)
    status = "error" if errors else "ok" if done else "skipped"
    # One dataset: its fields directly; several: a list of them.
    one = len(values) == 1 and not errors
    value: dict[str, Any] = dict(values[0]) if one else {"datasets": values}
    value = {**value, **keys, "status": status}
    if errors:
        value["error"] = "; ".join(errors)
    tables = [job_table("reencrypt", each) for each in values]
    report.result(value, *tables, lines=tuple(_lines(outcomes, keys)))
    for error in errors:
        report.note(f"lpe: {error}")


def _lines(outcomes: Sequence[Outcome], keys: dict[str, Any]) -> list[str]:
    lines = []
    for outcome in outcomes:
        verb = "left as it is" if outcome.result.skipped else "re-encrypted"
        lines.append(f"{outcome.result.dataset.directory}: {verb}: {outcome.reason}")
        lines += [f"retired {place}" for place in outcome.retired]
        lines += [f"deleted {place}" for place in outcome.deleted]
        lines += [
            f"stale: {run} was trained under the old key; lpe train --init-from {run} adapts it"
            for run in outcome.stale_runs
        ]
        if outcome.rotated is not None:
            lines.append(f"keyset rotated: key {outcome.rotated} is the primary one")
    lines += [f"destroyed key {key_id}" for key_id in keys["destroyed_keys"]]
    for key in keys["kept_keys"]:
        needed = ", ".join(key["needed_by"]) or "nothing recorded; no dataset was ever recorded under it"
        lines.append(f"kept key {key['id']}: {needed}")
    return lines
