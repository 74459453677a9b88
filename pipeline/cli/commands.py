"""The kinds of command that `lpe` is made of: they refuse a slip of their own options and commands at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup, TyperOption

from lpe.transforms.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from typer._click.core import Command as ClickCommand
    from typer._click.core import Context, Parameter

BEAM = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Context settings of commands that pass what they do not know to Beam."""

_NEAR = 0.85  # of `difflib`; no option of Beam's is so near to one of ours
_BEAMS = ("--dry_run", "--label")  # but these


class Command(TyperCommand):
    """A command that names its own option where one is misspelt, before anything is passed to Beam."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        """The parameters; a flag's type, which is said by its having no value, is not shown."""
        return _plain_flags(super().get_params(ctx))

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parses the words after the command's name. Raises UsageError for a slip of an option, or an empty value."""
        _check_options(self, ctx, args)
        rest = super().parse_args(ctx, args)
        for param in self.params if not ctx.resilient_parsing else ():
            if ctx.params.get(param.name or "") == "":
                raise UsageError(f"{param.opts[0]} is empty; give it a value (or is a variable not set?)")
        return rest


class Group(TyperGroup):
    """A group of commands that names the one that is meant where it is misspelt."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        """The parameters, as a command's."""
        return _plain_flags(super().get_params(ctx))

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parses the words before a command's name. Raises UsageError for a slip of an option."""
        _check_options(self, ctx, args[: _own_words(args)])
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, ClickCommand | None, list[str]]:
        """The command that is named. Raises UsageError if there is none of that name."""
        if args and args[0] not in self.commands and not ctx.resilient_parsing:
            hint = did_you_mean(args[0], self.commands) or f"; see {ctx.command_path} --help"
            raise UsageError(f"no command {args[0]}{hint}")
        return super().resolve_command(ctx, args)


def slip_of(word: str, names: Iterable[str]) -> str | None:
    """The option that a word is a slip of: one letter more, less or other, two swapped, or nearly alike."""
    if word in _BEAMS:
        return None
    names = list(names)
    word = word.replace("_", "-")
    near = difflib.get_close_matches(word, names, 1, _NEAR)
    return near[0] if near else next((name for name in names if _differ_by_one_slip(word, name)), None)


def _check_options(command: TyperCommand | TyperGroup, ctx: Context, words: Iterable[str]) -> None:
    if ctx.resilient_parsing:  # for a shell that completes the word
        return
    known = [
        name
        for param in command.get_params(ctx)
        for name in (*param.opts, *param.secondary_opts)
        if "--" in name
    ]
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if name.startswith("--") and name not in known and (meant := slip_of(name, known)):
            raise UsageError(f"no option {name}; did you mean {meant}?")


def _differ_by_one_slip(word: str, name: str) -> bool:
    start = _shared(word, name)
    word, name = word[start:], name[start:]
    end = _shared(word[::-1], name[::-1])
    word, name = word[: len(word) - end], name[: len(name) - end]
    return max(len(word), len(name)) <= 1 or (len(word) == 2 and word == name[::-1])


def _shared(word: str, name: str) -> int:
    """How many letters two words have in common from the beginning."""
    return next(
        (i for i, (a, b) in enumerate(zip(word, name, strict=False)) if a != b), min(len(word), len(name))
    )


def _own_words(words: list[str]) -> int:
    """How many words come before the name of a command."""
    return next((i for i, word in enumerate(words) if not word.startswith("-")), len(words))


def _plain_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_bool_flag:
            param.metavar = ""
    return params
