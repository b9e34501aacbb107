"""``bridge man``: the manual page, made from the parsers, in the macros of man(7)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator

from bridge.errors import ExitCode

_ABOUT = """\
One background daemon per user stands between the coding agents in terminals and
the IDE windows that are open.
An agent asks to open a file, or to show a change and tell what the human
decides; the bridge finds the window that the human works in, and with no IDE
running a review page in the browser takes its place.
The first command starts the daemon; it leaves by itself when nobody has needed
it for a while."""

_FILES = (
    ("$XDG_CONFIG_HOME/bridge/config.toml", "Settings, all optional; default: ~/.config/bridge/config.toml."),
    ("$XDG_STATE_HOME/bridge", "Journal and log; default: ~/.local/state/bridge."),
    ("$XDG_RUNTIME_DIR/bridge", "The daemon's socket."),
    ("$CLAUDE_CONFIG_DIR/ide, ~/.claude/ide", "Where IDEs announce themselves; read only."),
    ("$TMPDIR/gemini/ide, ~/.qwen/ide", "Where the companions of Gemini CLI and Qwen Code do; read only."),
)

_ENVIRONMENT = (
    ("CLAUDE_CODE_SSE_PORT", "The port of the IDE that the terminal belongs to; a hint, which is verified."),
    ("GEMINI_CLI_IDE_SERVER_PORT, QWEN_CODE_IDE_SERVER_PORT", "The same, of their companions."),
    ("NO_COLOR, FORCE_COLOR, TERM=dumb", "Whether to colour."),
    ("BROWSER, DISPLAY, WAYLAND_DISPLAY", "Whether there is a browser for the review page."),
)


def add(parser: ArgumentParser) -> None:
    """Add the arguments: there are none."""


def run(args: Namespace) -> int:
    """Print the page."""
    print("\n".join(_page()))
    return ExitCode.DONE


def _page() -> Iterator[str]:
    from bridge import __version__
    from bridge.cli import EXIT_CODES
    from bridge.cli.grammar import grammar

    yield f'.TH BRIDGE 1 "" "bridge {__version__}" "User Commands"'
    yield from _section("NAME", [r"bridge \- one bridge between coding agents and IDEs"])
    yield from _section("SYNOPSIS", [r".B bridge", r".I COMMAND", r"[\fB\-\-help\fR] \&..."])
    yield from _section("DESCRIPTION", [_text(_ABOUT)])
    yield from _section("COMMANDS", [])
    for command in grammar():
        yield f'.SS "bridge {_text(command.name)}"'
        yield f"{_text(command.help[0].upper() + command.help[1:])}."
        yield ".PP"
        yield from _verbatim([command.usage])
        for argument in command.arguments:
            if "--help" in argument.flags:
                continue
            names = [f"\\fB{_text(flag)}\\fR" for flag in argument.flags]
            value = f"\\fI{_text(argument.metavar)}\\fR" if argument.metavar else ""
            yield from _item(" ".join(filter(None, (", ".join(names), value))), argument.help)
        if command.epilog:
            yield ".PP"
            yield from _verbatim(command.epilog.splitlines())
    yield from _section("EXIT STATUS", _verbatim(EXIT_CODES.splitlines()[1:]))
    for title, rows in (("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES)):
        yield from _section(title, [])
        for name, about in rows:
            yield from _item(_text(name), about)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f".SH {title}"
    yield from lines


def _item(tag: str, about: str) -> Iterator[str]:
    yield ".TP"
    yield tag
    yield _text(about) or r"\&"


def _verbatim(lines: Iterable[str]) -> Iterator[str]:
    yield ".nf"
    yield from (_text(line) or r"\&" for line in lines)
    yield ".fi"


def _text(text: str) -> str:
    """Escape what roff would read as its own; only ASCII is the same for every roff."""
    escaped = (
        text.replace("\\", r"\e").replace("-", r"\-").replace("…", "...").replace("'", r"\(aq").replace("`", r"\(ga")
    )
    return "\n".join(rf"\&{line}" if line.startswith((".", r"\(aq")) else line for line in escaped.split("\n"))
