"""The `lpe` command: its commands wired together, its own options, its exit codes and one-line errors."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated

import typer

import lpe
from lpe.pipeline import storage
from lpe.pipeline.cli import (
    attestation,
    audit,
    compare,
    data,
    doctor,
    fit_reduction,
    inspect,
    keys,
    reencrypt,
    run,
    schemes,
    training,
)
from lpe.pipeline.cli.commands import BEAM, Command, Group
from lpe.pipeline.cli.console import Report
from lpe.pipeline.cli.examples import epilog
from lpe.pipeline.cli.startup import collect_garbage_rarely
from lpe.transforms.errors import LpeError, UsageError

_INTERRUPTED = 130
_DEBUG = "--debug"

app = typer.Typer(
    name="lpe",
    cls=Group,
    help="Learnable pixel-based encryption for image datasets. It hides images from eyes, not from an analyst: "
    "see README.",
    epilog=epilog(""),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _add(function: Callable[..., None], name: str, *, beam: bool = False) -> None:
    settings = BEAM if beam else None
    app.command(name, cls=Command, context_settings=settings, epilog=epilog(name, beam=beam))(function)


_add(run.run, "run", beam=True)
_add(inspect.inspect, "inspect")
_add(data.ingest, "ingest", beam=True)
_add(fit_reduction.fit_reduction, "fit-reduction")
_add(data.encrypt, "encrypt", beam=True)
_add(data.decrypt, "decrypt", beam=True)
_add(reencrypt.reencrypt, "reencrypt", beam=True)
_add(data.verify, "verify", beam=True)
_add(data.unseal, "unseal", beam=True)
_add(data.show, "show")
app.add_typer(keys.app, name="keys", epilog=epilog("keys"))
_add(attestation.attest, "attest")
_add(training.train, "train")
_add(training.evaluate, "evaluate")
_add(training.predict, "predict")
_add(training.export, "export")
_add(audit.audit, "audit")
_add(compare.compare, "compare", beam=True)
_add(schemes.list_ciphers, "ciphers")
_add(schemes.stats, "stats")
_add(doctor.doctor, "doctor")


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"lpe {lpe.__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option(_DEBUG, help="Show libraries' warnings, and where an error came from; anywhere.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """The command's own options, before a command's name."""
    if not debug:
        _quieten()


def main(arguments: list[str] | None = None) -> int:
    """Runs the command.

    Args:
      arguments: the command line without the program's name.

    Returns:
      0 done, 1 failed (one line on standard error), 2 wrong usage, 130 interrupted.
    """
    words = sys.argv[1:] if arguments is None else arguments
    debug = _DEBUG in words
    words = [word for word in words if word != _DEBUG]
    try:
        shown = [_DEBUG, *words] if debug else words
        # The name by which shells complete it, however it was started.
        code = int(app(shown, prog_name="lpe", standalone_mode=False) or 0)
        if code == _INTERRUPTED:  # what Typer makes of Ctrl-C
            return _fail(
                words, "interrupted; run the same command again to continue where it stopped", code, debug
            )
        return code
    except SystemExit as done:  # how Typer ends what it does for a shell's completion
        return int(done.code or 0)
    except UsageError as error:
        return _fail(words, str(error), 2, debug)
    except LpeError as error:
        return _fail(words, str(error), 1, debug, getattr(error, "__notes__", ()), error.details)
    except typer.exceptions.TyperException as error:
        if not error.format_message():  # help was printed, for a command without arguments
            return 2
        return _fail(words, f"{_as_ours(error.format_message())} (see {_help(words)})", 2, debug)
    except OSError as error:
        return _fail(words, str(storage.explain(error)), 1, debug)
    except Exception as error:
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        return _fail(words, f"internal error: {line} ({_DEBUG} shows where)", 1, debug)
    finally:
        Report.stop_all()


def _fail(
    arguments: list[str],
    line: str,
    code: int,
    debug: bool,
    notes: Iterable[str] = (),
    details: Mapping[str, object] | None = None,
) -> int:
    Report.stop_all()
    if debug:
        traceback.print_exc()
    if "--json" in arguments:
        value = {"command": _command(arguments), "status": "error", "error": line, **(details or {})}
        sys.stdout.write(json.dumps(value) + "\n")
    else:
        sys.stderr.write("".join(f"{text}\n" for text in (f"lpe: {line}", *notes)))
    return code


def _as_ours(message: str) -> str:
    """A message of Typer's in the form of ours: no capital, no full stop, no quotes around an option."""
    message = re.sub(r"'(--[\w-]+)'", r"\1", message.removesuffix("."))
    return message[:1].lower() + message[1:]


def _command(arguments: list[str]) -> str:
    words = [argument for argument in arguments if not argument.startswith("-")]
    return " ".join(words[: 2 if words[:1] == ["keys"] else 1])


def _help(arguments: list[str]) -> str:
    return " ".join(word for word in ("lpe", _command(arguments), "--help") if word)


def _quieten() -> None:
    """Silences libraries' chatter: it is for developers; what a person should know, `lpe` says itself."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    # Beam logs the traceback of every error that it passes on, some of them to the root.
    logging.basicConfig(level=logging.CRITICAL, format="%(message)s")
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    logging.getLogger("lpe").setLevel(logging.WARNING)


def entry_point() -> None:
    """Runs the command in a process that does nothing else, and ends it with the exit code."""
    # Not in `main`, which tests and programs call in a process of their own.
    collect_garbage_rarely()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if code == _INTERRUPTED:
        # Worker processes would keep this one alive until their shard is done; what they
        # leave behind is what a kill leaves behind, and the next run continues.
        os._exit(code)
    sys.exit(code)
