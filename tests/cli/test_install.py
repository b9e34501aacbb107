"""``bridge install`` and ``uninstall`` as they are typed, with files as programs write them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bridge.core.programs import PROGRAMS
from tests.e2e import support
from tests.e2e.support import PATIENCE_S, ROOT, Lines
from tests.e2e.terminal import Terminal

CASES = ROOT / "tests/cases/configs"
COMMAND = os.path.join(os.path.dirname(sys.executable), "bridge")
bridge = partial(support.bridge, program=[COMMAND])


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """A directory that has nothing to do with it, and a command of our name that must not be taken."""
    (tmp_path / "bridge").mkdir()
    (tmp_path / "bridge/__init__.py").write_text("raise SystemExit('the project was run')", encoding="utf-8")
    return tmp_path


def put(case: str, path: Path, mode: int = 0o600) -> bytes:
    """Put a case where the program has its file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(CASES / case, path)
    path.chmod(mode)
    return path.read_bytes()


def files(home: Path) -> dict[str, bytes]:
    """All files but the bridge's own."""
    found = (path for path in home.rglob("*") if path.is_file() and ".local" not in path.parts)
    return {str(path.relative_to(home)): path.read_bytes() for path in found}


def copies(home: Path) -> list[Path]:
    found = home / ".local/state/bridge/installed"
    return sorted(path for path in found.iterdir() if path.name != "receipts.json") if found.exists() else []


EVERYWHERE = {
    "claude/claude.json/ordinary.json": ".claude.json",
    "claude/settings/ordinary.json": ".claude/settings.json",
    "codex/config/ordinary.toml": ".codex/config.toml",
    "codex/hooks/ordinary.json": ".codex/hooks.json",
    "gemini/settings/ordinary.json": ".gemini/settings.json",
    "qwen/settings/ordinary.json": ".qwen/settings.json",
    "copilot/mcp-config/ordinary.json": ".copilot/mcp-config.json",
    "vscode/mcp/ordinary.jsonc": ".config/Code/User/mcp.json",
    "cursor/mcp/ordinary.json": ".cursor/mcp.json",
    "windsurf/mcp_config/ordinary.json": ".codeium/windsurf/mcp_config.json",
    "kiro/mcp/ordinary.json": ".kiro/settings/mcp.json",
}


def test_it_goes_into_every_program_as_shown_and_comes_out_to_the_byte(home: Path, cwd: Path) -> None:
    for case, name in EVERYWHERE.items():
        put(case, home / name)
    before = files(home)
    chosen = [name for name in PROGRAMS if name != "vscode-insiders"]
    shown = bridge("install", *chosen, "--dry-run", cwd=cwd)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert files(home) == before
    assert not (home / ".local").exists()
    done = bridge("install", *chosen, "--yes", cwd=cwd)
    assert (done.returncode, done.stdout) == (0, shown.stdout)
    assert "type /hooks in it" in done.stderr
    assert len(copies(home)) == len(EVERYWHERE)
    after = files(home)
    for case, name in EVERYWHERE.items():
        stem, dot, extension = case.rpartition(".")
        golden = (CASES / f"{stem}.installed{dot}{extension}").read_text(encoding="utf-8")
        assert after[name].decode() == golden.replace("/opt/bridge/bin/bridge", COMMAND)
        assert f"--- {home / name}\n+++ {home / name}\n" in done.stdout
    again = bridge("install", *chosen, "--yes", cwd=cwd)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.count(" already\n") == 12
    assert files(home) == after
    gone = bridge("uninstall", *chosen, "--yes", cwd=cwd)
    assert gone.returncode == 0
    assert files(home) == before
    assert json.loads((home / ".local/state/bridge/installed/receipts.json").read_text()) == {}
    nothing = bridge("uninstall", *chosen, "--yes", cwd=cwd)
    assert (nothing.returncode, nothing.stdout.count("no MCP server of the bridge is in ")) == (0, 9)


def test_files_that_were_missing_are_private_and_removed_again(home: Path, cwd: Path) -> None:
    made = bridge("install", "claude", "codex", "--yes", cwd=cwd, PATH="/nowhere")
    assert made.returncode == 0
    assert "warning: Codex was not found on this machine: it may look elsewhere\n" in made.stderr
    assert set(files(home)) == {".claude.json", ".claude/settings.json", ".codex/config.toml", ".codex/hooks.json"}
    assert {stat.S_IMODE((home / name).stat().st_mode) for name in files(home)} == {0o600}
    done = bridge("uninstall", "claude", "codex", "--yes", cwd=cwd)
    assert f"removed {home}/.claude.json, which the bridge had made; as it was: " in done.stderr
    assert files(home) == {}
    assert (home / ".codex").is_dir()


def test_programs_that_keep_their_things_elsewhere_do(home: Path, cwd: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    bridge("install", "claude", "--yes", cwd=cwd, CLAUDE_CONFIG_DIR=str(elsewhere))
    assert sorted(os.listdir(elsewhere)) == [".claude.json", "settings.json"]
    assert files(home) == {}
    refused = bridge("install", "codex", cwd=cwd, CODEX_HOME="here")
    assert (refused.returncode, "CODEX_HOME is here, which is not an absolute path" in refused.stderr) == (78, True)


def test_only_the_one_and_another_name(home: Path, cwd: Path) -> None:
    assert bridge("install", "gemini", "--only", "mcp", "--name", "ide", "--yes", cwd=cwd).returncode == 0
    path = home / ".gemini/settings.json"
    assert json.loads(path.read_bytes()) == {"mcpServers": {"ide": {"command": COMMAND, "args": ["mcp"]}}}
    assert bridge("install", "gemini", "--only", "hook", "--yes", cwd=cwd).returncode == 0
    assert bridge("uninstall", "gemini", "--only", "mcp", "--yes", cwd=cwd).returncode == 0
    assert bridge("install", "gemini", "--only", "hook", "--strict", "--yes", cwd=cwd).returncode == 0
    (group,) = json.loads(path.read_bytes())["hooks"]["BeforeTool"]
    assert group["hooks"][0]["command"] == f"{COMMAND} hook gemini --timeout 3590 --strict"
    assert bridge("uninstall", "gemini", "--yes", cwd=cwd).returncode == 0
    assert files(home) == {}


# ---- the question


async def test_it_asks_and_a_no_is_a_no(home: Path, cwd: Path) -> None:
    before = put("cursor/mcp/ordinary.json", home / ".cursor/mcp.json")
    for answer in ("\n", "n\n", "yess\n"):
        with Terminal([COMMAND, "install", "cursor"], cwd=cwd) as terminal:
            screen = await terminal.until("make this change? [y/N] ")
            assert f'+      "command": "{COMMAND}",' in screen
            terminal.type(answer)
            await terminal.until("nothing was changed")
            assert await terminal.end() == 1
    assert files(home) == {".cursor/mcp.json": before}
    assert copies(home) == []


async def test_a_yes_writes_and_says_where_the_copy_is(home: Path, cwd: Path) -> None:
    before = put("cursor/mcp/ordinary.json", home / ".cursor/mcp.json")
    with Terminal([COMMAND, "install", "cursor", "kiro"], cwd=cwd) as terminal:
        await terminal.until("make these changes? [y/N] ")
        terminal.type("y\n")
        screen = await terminal.until("is started again")
        assert await terminal.end() == 0
    (copy,) = copies(home)
    assert f"wrote {home}/.cursor/mcp.json; as it was: {copy}\n" in screen
    assert copy.read_bytes() == before
    assert (stat.S_IMODE(copy.stat().st_mode), stat.S_IMODE(copy.parent.stat().st_mode)) == (0o600, 0o700)


async def test_what_changes_while_the_human_reads_is_not_written_over(home: Path, cwd: Path) -> None:
    path = home / ".cursor/mcp.json"
    put("cursor/mcp/ordinary.json", path)
    with Terminal([COMMAND, "install", "cursor"], cwd=cwd) as terminal:
        await terminal.until("[y/N] ")
        path.write_bytes(b"{}")
        terminal.type("y\n")
        await terminal.until(f"error: {path} changed meanwhile: nothing was written")
        assert await terminal.end() == 65
    assert path.read_bytes() == b"{}"


async def test_what_changes_meanwhile_is_not_removed_either(home: Path, cwd: Path) -> None:
    path = home / ".cursor/mcp.json"
    bridge("install", "cursor", "--yes", cwd=cwd)
    with Terminal([COMMAND, "uninstall", "cursor"], cwd=cwd) as terminal:
        await terminal.until("[y/N] ")
        path.write_bytes(b"{ }")
        terminal.type("y\n")
        await terminal.until("changed meanwhile")
        assert await terminal.end() == 65
    assert path.read_bytes() == b"{ }"


def test_without_a_terminal_it_does_nothing_unless_told_to(home: Path, cwd: Path) -> None:
    done = bridge("install", "cursor", cwd=cwd, stdin=b"y\n")
    assert (done.returncode, files(home)) == (2, {})
    assert "hint: --yes agrees, --dry-run only shows" in done.stderr
    assert "+++ " in done.stdout


# ---- files as they are found


@pytest.fixture
def linked(home: Path, tmp_path: Path) -> Iterator[Path]:
    """A file that lies among somebody's dotfiles; the program's own is a link to it."""
    real = tmp_path / "dotfiles/claude.json"
    put("claude/settings/ordinary.json", real, mode=0o640)
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").symlink_to(real)
    yield real
    assert (home / ".claude/settings.json").readlink() == real


def test_a_link_stays_a_link_and_a_mode_a_mode(linked: Path, home: Path, cwd: Path) -> None:
    before = linked.read_bytes()
    assert bridge("install", "claude", "--only", "hook", "--yes", cwd=cwd).returncode == 0
    assert b"hook claude" in linked.read_bytes()
    assert stat.S_IMODE(linked.stat().st_mode) == 0o640
    assert bridge("uninstall", "claude", "--only", "hook", "--yes", cwd=cwd).returncode == 0
    assert linked.read_bytes() == before
    assert os.listdir(linked.parent) == ["claude.json"]


def test_a_file_that_somebody_changed_since_keeps_that(home: Path, cwd: Path) -> None:
    path = home / ".codex/config.toml"
    put("codex/config/ordinary.toml", path)
    bridge("install", "codex", "--only", "mcp", "--yes", cwd=cwd)
    path.write_bytes(path.read_bytes().replace(b'"trusted"', b'"untrusted"') + b"\n[more]\n# and more\n")
    assert bridge("uninstall", "codex", "--only", "mcp", "--yes", cwd=cwd).returncode == 0
    before = (CASES / "codex/config/ordinary.toml").read_bytes()
    assert path.read_bytes() == before.replace(b'"trusted"', b'"untrusted"') + b"\n[more]\n# and more\n"


def test_one_file_that_cannot_be_read_keeps_all_as_they_are(home: Path, cwd: Path) -> None:
    put("cursor/mcp/ordinary.json", home / ".cursor/mcp.json")
    path = home / ".kiro/settings/mcp.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{\n  "a": 1,,\n}')
    before = files(home)
    done = bridge("install", "cursor", "kiro", "--yes", cwd=cwd)
    assert done.returncode == 65
    assert f"error: {path}: line 2, column 10: " in done.stderr
    assert "mend it, then try again; the bridge changed nothing" in done.stderr
    assert files(home) == before


def test_hostile_text_in_a_file_is_shown_not_sent(home: Path, cwd: Path) -> None:
    path = home / ".cursor/mcp.json"
    path.parent.mkdir()
    path.write_text('{\n  "mcpServers": {"\x7f\u202e\x9b31m": {}}\n}\n', encoding="utf-8")
    done = bridge("install", "cursor", "--dry-run", cwd=cwd)
    assert r'{"\x7f\u202e\x9b31m": {}}' in done.stdout
    assert done.stdout.isprintable() or not {"\x7f", "\u202e", "\x9b"} & set(done.stdout)


@pytest.mark.skipif(os.getuid() != 0, reason="gives a file away")
def test_somebody_elses_file_is_not_touched(home: Path, cwd: Path) -> None:
    path = home / ".cursor/mcp.json"
    put("cursor/mcp/ordinary.json", path)
    os.chown(path, 12345, 12345)
    done = bridge("install", "cursor", "--yes", cwd=cwd)
    assert (done.returncode, f"{path} belongs to somebody else" in done.stderr) == (77, True)


def test_a_file_with_two_names_is_left_to_its_user(home: Path, cwd: Path) -> None:
    path = home / ".cursor/mcp.json"
    put("cursor/mcp/ordinary.json", path)
    os.link(path, path.with_name("other"))
    done = bridge("install", "cursor", "--yes", cwd=cwd)
    assert (done.returncode, "has other names (hard links)" in done.stderr) == (65, True)


def test_what_cannot_be_written_is_said(home: Path, cwd: Path) -> None:
    (home / ".cursor").write_bytes(b"no directory")
    done = bridge("install", "cursor", "--yes", cwd=cwd)
    assert done.returncode in (65, 74)
    assert f"{home}/.cursor/mcp.json: Not a directory" in done.stderr
    (home / ".kiro").symlink_to("/proc/nowhere")
    done = bridge("install", "kiro", "--yes", cwd=cwd)
    assert (done.returncode, "mend the cause, then try again" in done.stderr) == (74, True)


def test_a_bridge_that_moved_is_brought_up_to_date(home: Path, cwd: Path) -> None:
    path = home / ".cursor/mcp.json"
    path.parent.mkdir()
    path.write_text('{"mcpServers": {"bridge": {"command": "/gone/bridge", "args": ["mcp"], "env": {"A": "b"}}}}')
    done = bridge("install", "cursor", "--yes", cwd=cwd)
    assert f"starts /gone/bridge mcp; it will start {COMMAND}\n" in done.stdout
    assert json.loads(path.read_bytes())["mcpServers"]["bridge"] == {
        "command": COMMAND,
        "args": ["mcp"],
        "env": {"A": "b"},
    }


def test_the_command_that_was_typed_is_the_one_that_is_registered(home: Path, cwd: Path, tmp_path: Path) -> None:
    """As pipx links it into a directory of the PATH; and whichever directory one stands in."""
    link = tmp_path / "bin/bridge"
    link.parent.mkdir()
    link.symlink_to(COMMAND)
    assert bridge("install", "cursor", "--yes", cwd=link.parent, program=["./bridge"]).returncode == 0
    entry = json.loads((home / ".cursor/mcp.json").read_bytes())["mcpServers"]["bridge"]
    assert entry["command"] == str(link)
    assert "mcp: yes" in bridge("install", "--list", "cursor", cwd=cwd).stdout


def test_lost_copies_and_receipts_cost_only_exactness(home: Path, cwd: Path) -> None:
    before = put("cursor/mcp/ordinary.json", home / ".cursor/mcp.json")
    bridge("install", "cursor", "--yes", cwd=cwd)
    for copy in copies(home):
        copy.unlink()
    bridge("uninstall", "cursor", "--yes", cwd=cwd)
    assert files(home) == {".cursor/mcp.json": before}
    bridge("install", "cursor", "--yes", cwd=cwd)
    (home / ".local/state/bridge/installed/receipts.json").write_bytes(b"\xff")
    assert bridge("uninstall", "cursor", "--yes", cwd=cwd).returncode == 0
    assert files(home) == {".cursor/mcp.json": before}


def test_no_copy_no_change(home: Path, cwd: Path) -> None:
    before = put("cursor/mcp/ordinary.json", home / ".cursor/mcp.json")
    state = home / ".local/state/bridge"
    (state / "installed").mkdir(parents=True, mode=0o755)
    state.chmod(0o700)
    done = bridge("install", "cursor", "--yes", cwd=cwd)
    assert (done.returncode, f"{state}/installed can be entered by others" in done.stderr) == (77, True)
    (state / "installed").chmod(0o700)
    (state / "installed/receipts.json").mkdir()
    done = bridge("install", "cursor", "--yes", cwd=cwd)
    assert (done.returncode, "receipts.json is not a regular file" in done.stderr) == (65, True)
    assert files(home) == {".cursor/mcp.json": before}


# ---- what is registered


def test_it_tells_who_is_here_and_what_is_registered(home: Path, cwd: Path) -> None:
    (home / ".codex").mkdir()
    (home / ".gemini").mkdir()
    (home / ".gemini/settings.json").write_bytes(b"{")
    put("cursor/mcp/ordinary.json", home / ".cursor/mcp.json")
    bridge("install", "cursor", "--yes", cwd=cwd)
    (home / ".qwen").mkdir()
    (home / ".qwen/settings.json").write_text('{"mcpServers": {"b": {"command": "/gone/bridge", "args": ["mcp"]}}}')
    done = bridge("install", cwd=cwd, PATH="/nowhere")
    rows = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert list(rows) == list(PROGRAMS)
    assert rows["codex"] == f"● codex           {'Codex':<28}mcp: no, hook: no"
    assert rows["cursor"] == f"● cursor          {'Cursor':<28}mcp: yes"
    assert rows["claude"] == f"○ claude          {'Claude Code':<28}mcp: no, hook: no"
    assert rows["qwen"].endswith("mcp: a bridge that is gone (/gone/bridge)")
    assert f"mcp: unreadable ({home}/.gemini/settings.json: line 1, column 2: " in rows["gemini"]
    (row,) = json.loads(bridge("install", "--list", "cursor", "--json", cwd=cwd).stdout)
    assert row == {
        "program": "cursor",
        "title": "Cursor",
        "present": True,
        "parts": {"mcp": {"state": "registered", "path": f"{home}/.cursor/mcp.json", "starts": COMMAND}},
    }


def test_a_command_on_the_path_is_a_program_that_is_here(home: Path, cwd: Path, tmp_path: Path) -> None:
    command = tmp_path / "bin/kiro"
    command.parent.mkdir()
    command.touch(0o755)
    done = bridge("uninstall", cwd=cwd, PATH=str(command.parent), QWEN_HOME="relative", CLAUDE_CONFIG_DIR=str(home))
    here = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("●")]
    assert here == ["qwen", "kiro"]
    assert "QWEN_HOME is relative, which is not an absolute path" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["install", "emacs"], "there is no program emacs that the bridge knows"),
        (["install", "cursor", "--json"], "--json goes with --list"),
        (["install", "cursor", "--only", "hook"], "Cursor has no hook that the bridge knows of"),
        (["install", "gemini", "--only", "mcp", "--strict"], "--strict is said of a hook"),
        (["install", "cursor", "--name", "a b"], "a server's name is of letters, digits, - and _"),
        (["uninstall", "cursor", "--name", "a"], "unrecognized arguments"),
    ],
)
def test_what_makes_no_sense_is_usage(words: list[str], says: str, home: Path, cwd: Path) -> None:
    done = bridge(*words, cwd=cwd)
    assert (done.returncode, says in done.stderr, files(home)) == (2, True, {})


def test_a_bridge_that_is_no_command_is_not_registered(home: Path, cwd: Path, tmp_path: Path) -> None:
    """``python -m bridge`` would start whatever is called so in the directory of the project."""
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.symlink_to(os.path.realpath(sys.executable))
    program = [str(python), "-P", "-c", "import sys; sys.argv[0] = '-m'; from bridge.cli import main; sys.exit(main())"]
    path = os.pathsep.join([str(ROOT), *(p for p in sys.path if "site-packages" in p)])
    done = bridge("install", "cursor", "--yes", cwd=cwd, program=program, PYTHONPATH=path)
    assert (done.returncode, files(home)) == (78, {})
    assert "is not installed as a command" in done.stderr


# ---- doctor


def test_doctor_looks_at_the_entries(home: Path, cwd: Path) -> None:
    def findings() -> tuple[int, dict[str, tuple[str, str]], str]:
        done = bridge("doctor", "--json", cwd=cwd, PATH="/nowhere", BROWSER="x")
        found = [finding for finding in json.loads(done.stdout) if finding["check"] == "install"]
        fixes = " ".join(finding["fix"] or "" for finding in found)
        return (
            done.returncode,
            {f["found"].partition(" in ")[0].removesuffix(" is"): (f["level"], f["found"]) for f in found},
            fixes,
        )

    assert bridge("install", "gemini", "cursor", "qwen", "--yes", cwd=cwd).returncode == 0
    other = home / "bin/bridge"
    other.parent.mkdir()
    other.touch(0o755)
    for name, command in ((".gemini/settings.json", "/gone/bridge"), (".cursor/mcp.json", str(other))):
        text = (home / name).read_text(encoding="utf-8")
        (home / name).write_text(text.replace(COMMAND, command), encoding="utf-8")
    (home / ".kiro/settings").mkdir(parents=True)
    (home / ".kiro/settings/mcp.json").write_bytes(b"{")
    (home / ".codex").mkdir()
    code, found, fixes = findings()
    assert code == 78
    assert {what: level for what, (level, _) in found.items()} == {
        "Gemini CLI: the MCP server": "warn",
        "Gemini CLI: the hook": "fail",
        "Qwen Code: the MCP server": "ok",
        "Cursor: the MCP server": "warn",
        f"Kiro: {home}/.kiro/settings/mcp.json: line 1, column 2: Expecting property name enclosed": "warn",
        "not registered, see bridge install: Codex (MCP server), Codex (hook)": "ok",
    }
    assert found["Gemini CLI: the hook"][1].endswith(" starts /gone/bridge, which cannot be executed")
    assert "bridge install gemini --only hook" in fixes
    assert bridge("install", "gemini", "cursor", "--yes", cwd=cwd).returncode == 0
    code, found, _ = findings()
    assert (code, [level for level, _ in found.values()]) == (0, ["ok", "ok", "ok", "ok", "warn", "ok"])


# ---- what is registered works


@pytest.mark.usefixtures("started")
def test_what_is_registered_starts_and_answers(home: Path, cwd: Path) -> None:
    """As the agent starts it: the server by its words, the hook by a shell, in a project that is up to something."""
    assert bridge("install", "claude", "--yes", cwd=cwd).returncode == 0
    server = json.loads((home / ".claude.json").read_bytes())["mcpServers"]["bridge"]
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).encode() + b"\n"
    environ = {**os.environ, "PATH": "/usr/bin:/bin"}
    argv = [server["command"], *server["args"]]
    with subprocess.Popen(argv, cwd=cwd, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(line)
        process.stdin.flush()
        answer = json.loads(Lines(process.stdout).until(lambda _: True))
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
    assert answer["result"]["serverInfo"]["name"] == "bridge"
    (group,) = json.loads((home / ".claude/settings.json").read_bytes())["hooks"]["PreToolUse"]
    asked = {"hook_event_name": "PreToolUse", "tool_name": "Read", "tool_input": {"file_path": "/x"}, "cwd": str(cwd)}
    done = subprocess.run(
        ["sh", "-c", group["hooks"][0]["command"]],
        cwd=cwd,
        env=environ,
        input=json.dumps({**asked, "session_id": "s", "permission_mode": "default"}).encode(),
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stdout) == (0, b"")
