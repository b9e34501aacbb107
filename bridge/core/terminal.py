"""Which IDE a terminal belongs to, as far as its environment and its processes' names tell.

Everything here is a hint. A port goes stale in restored terminals and in tmux; every fork of VS Code calls
itself ``vscode``, every JetBrains product the same thing; a program started from one IDE's terminal inherits
that IDE's variables. So nothing here admits or rejects an IDE: selection verifies the port, and uses the rest
to break ties. Sources: docs/protocol.md "Environment variables".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = [
    "PORTS",
    "READS",
    "Family",
    "Group",
    "Terminal",
    "family_of_name",
    "family_of_process",
    "read_port",
    "read_terminal",
    "related",
]


class Group(StrEnum):
    """Families that a terminal cannot tell apart."""

    VSCODE = "vscode"
    JETBRAINS = "jetbrains"
    NEOVIM = "neovim"
    EMACS = "emacs"
    NOVA = "nova"
    ZED = "zed"


class Family(StrEnum):
    """One product line, whatever its edition."""

    VSCODE = "vscode"
    VSCODIUM = "vscodium"
    CODE_SERVER = "code-server"
    CURSOR = "cursor"
    WINDSURF = "windsurf"
    TRAE = "trae"
    ANTIGRAVITY = "antigravity"
    POSITRON = "positron"
    KIRO = "kiro"
    VOID = "void"
    INTELLIJ = "intellij"
    PYCHARM = "pycharm"
    WEBSTORM = "webstorm"
    PHPSTORM = "phpstorm"
    RUBYMINE = "rubymine"
    CLION = "clion"
    GOLAND = "goland"
    RIDER = "rider"
    RUSTROVER = "rustrover"
    DATAGRIP = "datagrip"
    DATASPELL = "dataspell"
    APPCODE = "appcode"
    AQUA = "aqua"
    GATEWAY = "gateway"
    FLEET = "fleet"
    ANDROID_STUDIO = "android-studio"
    NEOVIM = "neovim"
    EMACS = "emacs"
    NOVA = "nova"
    ZED = "zed"


class _Product(NamedTuple):
    """A row of the table. `names` are lower case, of letters and digits, with single spaces between words."""

    family: Family
    group: Group
    names: tuple[str, ...]  # of its windows and of its processes; a lock file's may go on ("… Ultimate")


_PRODUCTS: Final = (
    _Product(
        Family.VSCODE,
        Group.VSCODE,
        ("visual studio code", "vs code", "vscode", "code", "code insiders", "code oss"),
    ),
    _Product(Family.VSCODIUM, Group.VSCODE, ("vscodium", "codium", "codium insiders")),
    _Product(Family.CODE_SERVER, Group.VSCODE, ("code server",)),
    _Product(Family.CURSOR, Group.VSCODE, ("cursor",)),
    _Product(Family.WINDSURF, Group.VSCODE, ("windsurf", "devin desktop")),  # renamed
    _Product(Family.TRAE, Group.VSCODE, ("trae",)),
    _Product(Family.ANTIGRAVITY, Group.VSCODE, ("antigravity",)),
    _Product(Family.POSITRON, Group.VSCODE, ("positron",)),
    _Product(Family.KIRO, Group.VSCODE, ("kiro",)),
    _Product(Family.VOID, Group.VSCODE, ("void",)),
    _Product(Family.INTELLIJ, Group.JETBRAINS, ("intellij idea", "intellij", "idea")),
    _Product(Family.PYCHARM, Group.JETBRAINS, ("pycharm",)),
    _Product(Family.WEBSTORM, Group.JETBRAINS, ("webstorm",)),
    _Product(Family.PHPSTORM, Group.JETBRAINS, ("phpstorm",)),
    _Product(Family.RUBYMINE, Group.JETBRAINS, ("rubymine",)),
    _Product(Family.CLION, Group.JETBRAINS, ("clion",)),
    _Product(Family.GOLAND, Group.JETBRAINS, ("goland",)),
    _Product(Family.RIDER, Group.JETBRAINS, ("rider",)),
    _Product(Family.RUSTROVER, Group.JETBRAINS, ("rustrover",)),
    _Product(Family.DATAGRIP, Group.JETBRAINS, ("datagrip",)),
    _Product(Family.DATASPELL, Group.JETBRAINS, ("dataspell",)),
    _Product(Family.APPCODE, Group.JETBRAINS, ("appcode",)),
    _Product(Family.AQUA, Group.JETBRAINS, ("aqua",)),
    _Product(Family.GATEWAY, Group.JETBRAINS, ("gateway",)),
    _Product(Family.FLEET, Group.JETBRAINS, ("fleet",)),
    _Product(Family.ANDROID_STUDIO, Group.JETBRAINS, ("android studio", "studio")),
    _Product(Family.NEOVIM, Group.NEOVIM, ("neovim", "nvim")),
    _Product(Family.EMACS, Group.EMACS, ("emacs", "emacs gtk", "emacs lucid", "emacs nox", "emacs pgtk")),
    _Product(Family.NOVA, Group.NOVA, ("nova",)),
    _Product(Family.ZED, Group.ZED, ("zed", "zed editor", "zeditor")),
)  # fmt: skip

_BY_NAME: Final = {name: product.family for product in _PRODUCTS for name in product.names}
_MOST_WORDS: Final = max(len(name.split()) for name in _BY_NAME)
_GROUPS: Final = {product.family: product.group for product in _PRODUCTS}

_VENDORS: Final = frozenset({"jetbrains", "gnu"})  # "JetBrains Rider", "GNU Emacs"

# What a process adds to the product's name: "Code Helper (Plugin)", "pycharm64.exe", "idea.sh", "emacs-29.4".
_ADDED: Final = re.compile(r"( helper\b.*|64|-[0-9][0-9.]*)?(\.exe|\.sh|\.appimage)?\Z", re.DOTALL)
_BUNDLE: Final = re.compile(r".*/([^/]+)\.app/", re.DOTALL)  # macOS: VS Code's own process is "Electron"


def family_of_name(ide_name: str) -> Family | None:
    """Tell the family from the name in a lock file: the longest beginning, in whole words, that we know.

    ``IntelliJ IDEA Ultimate``, ``Emacs (key)`` and ``Visual Studio Code - Insiders`` are known by their
    beginnings; ``code-server`` is not taken for VS Code. Case and punctuation do not matter.
    """
    words = _words(ide_name)
    beginnings = (" ".join(words[:end]) for end in range(_MOST_WORDS, 0, -1))
    return next((_BY_NAME[name] for name in beginnings if name in _BY_NAME), None)


def family_of_process(name_or_command: str) -> Family | None:
    """Tell the family from a process name or from the path of its program, with either slash.

    The whole name must be known, but for what processes add to it: ``codex`` and ``code-review.sh`` are
    nobody's. Behind a program that tells nothing, the innermost macOS bundle decides.
    """
    path = name_or_command.replace("\\", "/")
    family = _family_of_program(path.rpartition("/")[2])
    if family is None and (bundle := _BUNDLE.match(path)):
        return family_of_name(bundle[1])
    return family


def _family_of_program(program: str) -> Family | None:
    return _BY_NAME.get(" ".join(_words(_ADDED.sub("", program.casefold()))))


def _words(name: str) -> list[str]:
    words = re.findall(r"[a-z0-9]+", name.casefold())
    return words[1:] if words and words[0] in _VENDORS else words


def related(a: Family | Group | None, b: Family | Group | None) -> bool:
    """Tell whether both are of one group, so that a terminal could mean either. None is nobody's relative."""
    group = _group(a)
    return group is not None and group is _group(b)


def _group(of: Family | Group | None) -> Group | None:
    return _GROUPS[of] if isinstance(of, Family) else of


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What a terminal says about the IDE that it belongs to; ``Terminal()`` says nothing."""

    port: int | None = None
    """Of the IDE that opened it, 1-65535; perhaps long gone, perhaps another program's by now."""

    companions: frozenset[int] = frozenset()
    """Ports at which the same IDE listens for agents of other families."""

    family: Family | None = None
    """Where the product is known."""

    group: Group | None = None
    """Where only the kind is known (a VS Code of unknown make), and always beside `family`."""

    multiplexer: str | None = None
    """``tmux`` or ``screen``: the variables may be those of another terminal, the ancestors tell nothing."""


class _Sign(NamedTuple):
    """If `variable` has `value` (compared without case; None: any but the empty one), it means `of`."""

    variable: str
    value: str | None
    of: Family | Group


# First match wins. Editors that run inside another's terminal come first, then the forks, whose TERM_PROGRAM
# names the whole kind. tmux and screen write their own TERM_PROGRAM, which means no IDE.
_SIGNS: Final = (
    _Sign("NVIM", None, Family.NEOVIM),
    _Sign("INSIDE_EMACS", None, Family.EMACS),
    _Sign("CURSOR_TRACE_ID", None, Family.CURSOR),
    _Sign("TERM_PRODUCT", "trae", Family.TRAE),
    _Sign("ANTIGRAVITY_CLI_ALIAS", None, Family.ANTIGRAVITY),
    _Sign("POSITRON", "1", Family.POSITRON),
    _Sign("ZED_SESSION_ID", None, Family.ZED),
    _Sign("TERMINAL_EMULATOR", "jetbrains-jediterm", Group.JETBRAINS),
    _Sign("TERM_PROGRAM", "kiro", Family.KIRO),
    _Sign("TERM_PROGRAM", "zed", Family.ZED),
    _Sign("TERM_PROGRAM", "emacs", Family.EMACS),
    _Sign("TERM_PROGRAM", "vscode", Group.VSCODE),
)

# (variable, value or None for any but the empty one, multiplexer)
_MULTIPLEXERS: Final = (
    ("TMUX", None, "tmux"),
    ("STY", None, "screen"),
    ("TERM_PROGRAM", "tmux", "tmux"),
    ("TERM_PROGRAM", "screen", "screen"),
)

_PORT: Final = "CLAUDE_CODE_SSE_PORT"  # for WebSockets too; the name is historical
# Beside Gemini's stands the token, for every child process to see: it is not read, lock files have it.
_COMPANIONS: Final = ("GEMINI_CLI_IDE_SERVER_PORT", "QWEN_CODE_IDE_SERVER_PORT")
PORTS: Final = (_PORT, *_COMPANIONS)
"""The variables with the ports of the IDE that opened a terminal, that of the Claude family first."""

READS: Final = frozenset({*PORTS, *(sign[0] for sign in _SIGNS), *(row[0] for row in _MULTIPLEXERS)})
"""Every variable that `read_terminal` looks at: a client need send no other."""


def read_terminal(environ: Mapping[str, str]) -> Terminal:
    """Read what the environment of an agent says of its IDE. Garbage counts as absent; never raises."""
    of = next((of for variable, value, of in _SIGNS if _says(environ, variable, value)), None)
    return Terminal(
        port=read_port(environ, _PORT),
        companions=frozenset(filter(None, (read_port(environ, variable) for variable in _COMPANIONS))),
        family=of if isinstance(of, Family) else None,
        group=_group(of),
        multiplexer=next((name for variable, value, name in _MULTIPLEXERS if _says(environ, variable, value)), None),
    )


def _says(environ: Mapping[str, str], variable: str, value: str | None) -> bool:
    found = environ.get(variable, "")
    return bool(found) if value is None else found.casefold() == value


def read_port(environ: Mapping[str, str], variable: str) -> int | None:
    """Read one of `PORTS`; None: it holds no port."""
    text = environ.get(variable, "")
    port = int(text) if re.fullmatch("[0-9]{1,5}", text) else 0
    return port if 0 < port < 65536 else None
