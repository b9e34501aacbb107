"""The grammar of the command line, read from its parsers: what completions and the manual page are made from."""

from __future__ import annotations

from argparse import SUPPRESS, Action
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bridge.cli import COMMANDS, parser_of
from bridge.core.programs import PROGRAMS

__all__ = ["Argument", "Command", "Kind", "grammar"]


class Kind(StrEnum):
    """What an argument's value is, as far as one can help to type it."""

    CHOICE = "choice"
    FILE = "file"
    REVIEW = "review"
    IDE = "ide"
    WORD = "word"


# Metavars say what a value is. Another one means a word that nobody but the human knows.
_KINDS = {
    "PATH": Kind.FILE,
    "FILE": Kind.FILE,
    "ID": Kind.REVIEW,
    "NAME|PORT": Kind.IDE,
    "NAME|PORT|auto": Kind.IDE,
}

_NAMES = {"PROGRAM": tuple(PROGRAMS)}  # argparse would refuse none of them where it checks them


@dataclass(frozen=True, slots=True)
class Argument:
    """One option, or one positional argument, which has no flags."""

    flags: tuple[str, ...]
    help: str
    metavar: str  # empty: it takes no value
    kind: Kind = Kind.WORD
    choices: tuple[str, ...] = ()
    required: bool = False
    many: bool = False

    @property
    def usage(self) -> str:
        """How it is written, in brackets if it may be left out."""
        written = " ".join(filter(None, (self.flags[-1] if self.flags else "", self.metavar)))
        written += " …" if self.many else ""
        return written if self.required else f"[{written}]"


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    name: str
    help: str
    usage: str
    epilog: str
    arguments: tuple[Argument, ...]

    @property
    def options(self) -> tuple[Argument, ...]:
        """Those with flags."""
        return tuple(argument for argument in self.arguments if argument.flags)

    @property
    def positionals(self) -> tuple[Argument, ...]:
        """Those without."""
        return tuple(argument for argument in self.arguments if not argument.flags)

    @property
    def valued(self) -> tuple[str, ...]:
        """The flags after which a value comes."""
        return tuple(flag for option in self.options if option.metavar for flag in option.flags)


def grammar() -> Iterator[Command]:
    """Read every command."""
    for name, (_, help_) in COMMANDS.items():
        parser = parser_of(name)
        # argparse has no public way to its arguments; every generator of completions goes this one.
        arguments = tuple(_argument(action) for action in parser._actions if action.help is not SUPPRESS)
        usage = parser.usage or " ".join([parser.prog, *(a.usage for a in arguments if "--help" not in a.flags)])
        yield Command(name, help_, usage, (parser.epilog or "").rstrip("\n"), arguments)


def _argument(action: Action) -> Argument:
    choices = tuple(map(str, action.choices or ()))
    metavar = action.metavar if isinstance(action.metavar, str) else "|".join(choices) or action.dest.upper()
    choices = choices or _NAMES.get(metavar, ())
    takes_value = action.nargs != 0
    return Argument(
        flags=tuple(action.option_strings),
        help=(action.help or "").replace("%%", "%"),
        metavar=metavar if takes_value else "",
        kind=Kind.CHOICE if choices else _KINDS.get(metavar, Kind.WORD),
        choices=choices,
        required=action.required,
        many=action.nargs in ("+", "*", "..."),
    )
