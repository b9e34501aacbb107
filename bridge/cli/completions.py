"""``bridge completions``: a script for each shell, made from the parsers, and what these scripts ask for."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from bridge.client import Client
from bridge.errors import BridgeError, ExitCode

PATIENCE_S = 1.0  # for a daemon that hangs: somebody has pressed a key

_EPILOG = """put one of these into your shell's start-up file:
  ~/.bashrc                   eval "$(bridge completions bash)"
  ~/.zshrc                    eval "$(bridge completions zsh)"      (after compinit)
  ~/.config/fish/config.fish  bridge completions fish | source
or write the output where your shell looks for completions. The scripts ask for `reviews` and
`ides`, which print one a line, with a tab before what is to be known of it, and never start the
bridge.
"""


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "what", choices=("bash", "zsh", "fish", "reviews", "ides"), help="the shell; or what its script asks for"
    )


def run(args: Namespace) -> int:
    """Print the script, or the values."""
    if args.what in ("reviews", "ides"):
        from bridge.core.text import visible

        for value, about in _values(args.what):
            print(f"{visible(value)}\t{visible(about)}")
        return ExitCode.DONE
    from bridge.cli.completion_scripts import SCRIPTS
    from bridge.cli.grammar import grammar

    print(SCRIPTS[args.what](tuple(grammar())), end="")
    return ExitCode.DONE


def _values(what: str) -> Iterator[tuple[str, str]]:
    """Ask a running daemon; whatever fails, there is nothing to choose from."""
    try:
        with Client(spawn=False, cwd="/", patience=PATIENCE_S) as client:
            status = client.request("status", timeout=PATIENCE_S)
    except BridgeError:
        return
    if what == "reviews":
        yield from ((review["id"], ", ".join(review["paths"])) for review in status["reviews"])
        return
    from bridge.core.terminal import family_of_name

    for ide in status["ides"]:
        about = f"{ide['name']} {', '.join(ide['workspace'])}"
        if family := family_of_name(ide["name"]):
            yield family, about
        yield str(ide["port"]), about
