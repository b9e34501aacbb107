import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.terminal import (
    READS,
    Family,
    Group,
    Terminal,
    family_of_name,
    family_of_process,
    read_terminal,
    related,
)

# family, group, names in lock files, names and paths of processes
PRODUCTS: list[tuple[Family, Group, list[str], list[str]]] = [
    (
        Family.VSCODE,
        Group.VSCODE,
        ["Visual Studio Code", "Visual Studio Code - Insiders", "Code - OSS", "VSCode", "code"],
        [
            "code",
            "code-insiders",
            "Code.exe",
            "Code - Insiders.exe",
            "Code Helper (Plugin)",
            "/usr/share/code/code",
            "C:\\Program Files\\Microsoft VS Code\\Code.exe",
            "/Applications/Visual Studio Code.app/Contents/MacOS/Electron",
        ],
    ),
    (Family.VSCODIUM, Group.VSCODE, ["VSCodium"], ["codium", "/usr/bin/vscodium"]),
    (Family.CODE_SERVER, Group.VSCODE, ["code-server"], ["code-server", "/usr/lib/code-server"]),
    (
        Family.CURSOR,
        Group.VSCODE,
        ["Cursor", "Cursor Nightly"],
        ["cursor", "Cursor Helper", "cursor.AppImage"],
    ),
    (
        Family.WINDSURF,
        Group.VSCODE,
        ["Windsurf", "Devin Desktop", "Windsurf - Next"],
        ["windsurf", "devin-desktop"],
    ),
    (Family.TRAE, Group.VSCODE, ["Trae", "Trae CN"], ["Trae.exe"]),
    (Family.ANTIGRAVITY, Group.VSCODE, ["Antigravity"], ["antigravity"]),
    (Family.POSITRON, Group.VSCODE, ["Positron"], ["positron"]),
    (Family.KIRO, Group.VSCODE, ["Kiro"], ["kiro"]),
    (Family.VOID, Group.VSCODE, ["Void"], ["void"]),
    (
        Family.INTELLIJ,
        Group.JETBRAINS,
        ["IntelliJ IDEA", "IntelliJ IDEA Ultimate", "IntelliJ IDEA Community Edition", "idea"],
        ["idea", "idea64.exe", "idea.sh", "/Applications/IntelliJ IDEA CE.app/Contents/MacOS/idea"],
    ),
    (Family.PYCHARM, Group.JETBRAINS, ["PyCharm", "PyCharm Professional"], ["pycharm", "pycharm64"]),
    (Family.WEBSTORM, Group.JETBRAINS, ["WebStorm"], ["webstorm64.exe"]),
    (Family.PHPSTORM, Group.JETBRAINS, ["PhpStorm"], ["phpstorm"]),
    (Family.RUBYMINE, Group.JETBRAINS, ["RubyMine"], ["rubymine"]),
    (Family.CLION, Group.JETBRAINS, ["CLion", "CLion Nova"], ["clion"]),
    (Family.GOLAND, Group.JETBRAINS, ["GoLand"], ["goland"]),
    (Family.RIDER, Group.JETBRAINS, ["Rider", "JetBrains Rider"], ["rider64"]),
    (Family.RUSTROVER, Group.JETBRAINS, ["RustRover"], ["rustrover"]),
    (Family.DATAGRIP, Group.JETBRAINS, ["DataGrip"], ["datagrip"]),
    (Family.DATASPELL, Group.JETBRAINS, ["DataSpell"], ["dataspell"]),
    (Family.APPCODE, Group.JETBRAINS, ["AppCode"], ["appcode"]),
    (Family.AQUA, Group.JETBRAINS, ["Aqua"], ["aqua"]),
    (Family.GATEWAY, Group.JETBRAINS, ["JetBrains Gateway"], ["gateway64.exe"]),
    (Family.FLEET, Group.JETBRAINS, ["Fleet"], ["fleet"]),
    (Family.ANDROID_STUDIO, Group.JETBRAINS, ["Android Studio"], ["studio", "studio64.exe", "studio.sh"]),
    (Family.NEOVIM, Group.NEOVIM, ["Neovim", "NVIM"], ["nvim", "/usr/local/bin/nvim", "nvim.appimage"]),
    (
        Family.EMACS,
        Group.EMACS,
        ["Emacs", "Emacs (app-1)", "GNU Emacs"],
        ["emacs", "emacs-29.4", "emacs-gtk", "/Applications/Emacs.app/Contents/MacOS/Emacs-arm64-11"],
    ),
    (Family.NOVA, Group.NOVA, ["Nova"], ["/Applications/Nova.app/Contents/MacOS/Nova"]),
    (Family.ZED, Group.ZED, ["Zed", "Zed Preview"], ["zed", "zeditor", "/usr/libexec/zed-editor"]),
]
NAMES = [(name, family) for family, _, names, _ in PRODUCTS for name in names]
PROCESSES = [(process, family) for family, _, _, processes in PRODUCTS for process in processes]


@pytest.mark.parametrize(("name", "family"), NAMES)
def test_a_lock_files_name_tells_the_family(name: str, family: Family) -> None:
    assert [family_of_name(spelt) for spelt in (name, name.upper(), f" {name} ")] == [family] * 3


@pytest.mark.parametrize(("process", "family"), PROCESSES)
def test_a_process_tells_the_family(process: str, family: Family) -> None:
    assert [family_of_process(spelt) for spelt in (process, process.replace("/", "\\"))] == [family] * 2


@pytest.mark.parametrize("name", ["", "IDE", "Coder", "Visual Studio", "JetBrains", "Eclipse", "My Cursor", "é"])
def test_any_other_name_is_of_no_family(name: str) -> None:
    assert family_of_name(name) is None


@pytest.mark.parametrize(
    "process",
    [
        "",
        "/",
        "bash",
        "node",
        "java",
        "codex",
        "code-review.sh",
        "emacsclient",
        "/opt/cursor/bin/",
        "x.app/y",
        "64",
    ],
)
def test_any_other_process_is_of_no_family(process: str) -> None:
    assert family_of_process(process) is None


def test_every_family_and_every_group_has_a_row() -> None:
    assert [row[0] for row in PRODUCTS] == list(Family)
    assert {row[1] for row in PRODUCTS} == set(Group)


@pytest.mark.parametrize(("family", "group"), [row[:2] for row in PRODUCTS])
def test_families_are_related_within_their_group(family: Family, group: Group) -> None:
    assert {other for other in Family if related(family, other)} == {row[0] for row in PRODUCTS if row[1] is group}
    assert {other for other in Group if related(family, other)} == {group}
    assert not related(family, None)


def test_nothing_known_is_nobodys_relative() -> None:
    assert not related(None, None)
    assert related(Group.ZED, Group.ZED)


VSCODE = Terminal(group=Group.VSCODE)
CURSOR = Terminal(group=Group.VSCODE, family=Family.CURSOR)
JETBRAINS = Terminal(group=Group.JETBRAINS)
NEOVIM = Terminal(group=Group.NEOVIM, family=Family.NEOVIM)
EMACS = Terminal(group=Group.EMACS, family=Family.EMACS)
ZED = Terminal(group=Group.ZED, family=Family.ZED)

ENVIRONMENTS: list[tuple[dict[str, str], Terminal]] = [
    ({}, Terminal()),
    ({"TERM_PROGRAM": "vscode"}, VSCODE),  # any fork
    ({"TERM_PROGRAM": "vscode", "CURSOR_TRACE_ID": "0a1b"}, CURSOR),
    ({"TERM_PROGRAM": "vscode", "CURSOR_TRACE_ID": ""}, VSCODE),
    ({"TERM_PROGRAM": "vscode", "TERM_PRODUCT": "Trae"}, Terminal(group=Group.VSCODE, family=Family.TRAE)),
    ({"TERM_PROGRAM": "vscode", "TERM_PRODUCT": "Other"}, VSCODE),
    ({"ANTIGRAVITY_CLI_ALIAS": "agy"}, Terminal(group=Group.VSCODE, family=Family.ANTIGRAVITY)),
    ({"TERM_PROGRAM": "vscode", "POSITRON": "1"}, Terminal(group=Group.VSCODE, family=Family.POSITRON)),
    ({"TERM_PROGRAM": "vscode", "POSITRON": "0"}, VSCODE),
    ({"TERM_PROGRAM": "kiro"}, Terminal(group=Group.VSCODE, family=Family.KIRO)),
    ({"TERM_PROGRAM": "Zed"}, ZED),
    ({"ZED_SESSION_ID": "7"}, ZED),
    ({"TERM_PROGRAM": "emacs"}, EMACS),
    ({"INSIDE_EMACS": "29.4,comint"}, EMACS),
    ({"INSIDE_EMACS": "vterm", "TERM_PROGRAM": "vscode"}, EMACS),
    ({"NVIM": "/run/user/1000/nvim.1.0"}, NEOVIM),
    ({"NVIM": "/run/user/1000/nvim.1.0", "CURSOR_TRACE_ID": "0a1b"}, NEOVIM),  # runs in Cursor's terminal
    ({"TERMINAL_EMULATOR": "JetBrains-JediTerm"}, JETBRAINS),  # any product
    ({"TERMINAL_EMULATOR": "xterm"}, Terminal()),
    ({"TERM_PROGRAM": "iTerm.app"}, Terminal()),
    ({"TMUX": "/tmp/tmux-1000/default,1,0", "TERM_PROGRAM": "tmux"}, Terminal(multiplexer="tmux")),
    ({"TERM_PROGRAM": "tmux"}, Terminal(multiplexer="tmux")),
    ({"TERM_PROGRAM": "screen"}, Terminal(multiplexer="screen")),
    ({"STY": "1.pts-0.host", "TERM_PROGRAM": "vscode"}, Terminal(multiplexer="screen", group=Group.VSCODE)),
    ({"TMUX": "x", "STY": "y"}, Terminal(multiplexer="tmux")),
    ({"CLAUDE_CODE_SSE_PORT": "31439"}, Terminal(port=31439)),
    ({"GEMINI_CLI_IDE_SERVER_PORT": "31440"}, Terminal(companions=frozenset({31440}))),
    (
        {"GEMINI_CLI_IDE_SERVER_PORT": "31440", "QWEN_CODE_IDE_SERVER_PORT": "31441"},
        Terminal(companions=frozenset({31440, 31441})),
    ),
    ({"QWEN_CODE_IDE_SERVER_PORT": "0"}, Terminal()),
    ({"CLAUDE_CODE_SSE_PORT": "65535"}, Terminal(port=65535)),
]


@pytest.mark.parametrize(("environ", "terminal"), ENVIRONMENTS)
def test_the_environment_tells_the_terminal(environ: dict[str, str], terminal: Terminal) -> None:
    assert read_terminal({"PATH": "/bin", **environ}) == terminal


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "+1", " 1", "1\n", "1e3", "1_0", "\u0661", "1" * 5000, "ws"])
def test_a_port_that_is_none_is_ignored(port: str) -> None:
    assert read_terminal({"CLAUDE_CODE_SSE_PORT": port}) == Terminal()


def test_the_variables_that_count_are_listed() -> None:
    assert {variable for environ, _ in ENVIRONMENTS for variable in environ} == READS


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(READS)), st.text()))
def test_no_environment_is_too_strange(environ: dict[str, str]) -> None:
    terminal = read_terminal(environ)
    assert terminal.family is None or related(terminal.family, terminal.group)


@settings(deadline=None)
@given(st.text() | st.lists(st.sampled_from(["Code", "Helper", "64", ".exe", "/", ".app/", " "])).map("".join))
def test_no_name_is_too_strange(name: str) -> None:
    assert family_of_name(name) in (None, *Family)
    assert family_of_process(name) in (None, *Family)
