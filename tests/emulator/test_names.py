"""What an IDE calls files; and an IDE on Windows as a whole, played on directories of the test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ide_plugins.emulator import Emulator
from ide_plugins.emulator.names import HERE, FolderStyle, Windows
from tests.emulator.agent import agent
from tests.emulator.conftest import MakeIde

SHARE = "\\\\wsl.localhost\\Ubuntu"


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """The directory behind C:, with a project in it."""
    path = tmp_path / "drive"
    (path / "proj").mkdir(parents=True)
    (path / "proj" / "A b.py").write_text("one = 1\n", encoding="utf-8")
    (path / "proj" / "q\uf03f.py").touch()  # as Windows sees what Linux calls q?.py
    return path


@pytest.fixture
def windows(drive: Path) -> Windows:
    return Windows(roots={"C:": drive, "//wsl.localhost/Ubuntu": Path("/")})


# ---- here


def test_here_the_names_are_the_real_ones() -> None:
    path = Path("/w/é.py")
    assert (HERE.path(path), HERE.folder(path), HERE.uri(path)) == ("/w/é.py", "/w/é.py", "file:///w/%C3%A9.py")
    assert HERE.real(Path("/w"), "é.py") == HERE.real(Path("/"), "/w/é.py") == path
    assert HERE.real_of_uri("file:///w/%C3%A9.py") == path


# ---- on Windows

NAMED = [
    # below the drive, as a path, as a URI
    ("", "c:\\", "file:///c%3A/"),
    ("proj/A b.py", "c:\\proj\\A b.py", "file:///c%3A/proj/A%20b.py"),
    ("q?é#.py", "c:\\q\uf03fé#.py", "file:///c%3A/q%EF%80%BF%C3%A9%23.py"),
]


@pytest.mark.parametrize(("below", "path", "uri"), NAMED)
def test_a_file_on_a_drive_has_vs_codes_spelling(
    windows: Windows, drive: Path, below: str, path: str, uri: str
) -> None:
    assert (windows.path(drive / below), windows.uri(drive / below)) == (path, uri)


def test_a_file_elsewhere_is_on_the_distributions_share(windows: Windows) -> None:
    assert windows.path(Path("/home/u/a.py")) == f"{SHARE}\\home\\u\\a.py"
    assert windows.uri(Path("/home/u/a.py")) == "file://wsl.localhost/Ubuntu/home/u/a.py"
    assert windows.path(Path("/")) == f"{SHARE}\\"


def test_what_is_on_no_drive_has_no_name(drive: Path) -> None:
    with pytest.raises(ValueError, match="not on any drive"):
        Windows(roots={"C:": drive}).path(Path("/home"))


@pytest.mark.parametrize(
    ("style", "folder", "root", "shared"),
    [
        ("windows", "C:\\proj", "C:\\", f"{SHARE}\\home"),
        ("mnt", "/mnt/c/proj", "/mnt/c", f"{SHARE}\\home"),
    ],
)
def test_the_lock_file_has_its_own_style(drive: Path, style: FolderStyle, folder: str, root: str, shared: str) -> None:
    windows = Windows(roots={"C:": drive, SHARE: Path("/")}, folder_style=style)
    assert windows.folder(drive / "proj") == folder
    assert windows.folder(drive) == root
    assert windows.folder(Path("/home")) == shared


FOUND = ["C:\\proj\\A b.py", "c:/PROJ/a B.PY", "proj\\A b.py", "C:\\proj\\.\\A b.py"]


@pytest.mark.parametrize("name", FOUND)
def test_a_path_is_found_whatever_its_case(windows: Windows, drive: Path, name: str) -> None:
    assert windows.real(drive, name) == drive / "proj" / "A b.py"


def test_what_is_not_there_keeps_its_spelling(windows: Windows, drive: Path) -> None:
    assert windows.real(drive, "C:\\PROJ\\New\\x.py") == drive / "proj" / "New" / "x.py"


@pytest.mark.parametrize("host", ["wsl.localhost", "WSL$", "wsl$"])
def test_a_share_is_found_by_all_its_names(windows: Windows, host: str) -> None:
    assert windows.real(Path(), f"\\\\{host}\\ubuntu\\etc\\passwd") == Path("/etc/passwd")


def test_a_linux_name_that_windows_has_not_shows_itself_otherwise(windows: Windows, drive: Path) -> None:
    (drive / "a?.py").touch()
    assert windows.real(drive, "C:\\a\uf03f.py") == drive / "a?.py"


NO_FILES = ["/mnt/c/proj", "\\proj", "C:proj", "E:\\x", "\\\\nas\\x\\y", "C:\\a?", "C:\\a\0b"]


@pytest.mark.parametrize("name", NO_FILES, ids=ascii)
def test_what_is_no_file_to_windows_is_refused(windows: Windows, drive: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"not a Windows path|no such drive|no file can have"):
        windows.real(drive, name)


def test_a_uri_is_found(windows: Windows, drive: Path) -> None:
    for uri in ("file:///c%3A/proj/A%20b.py", "file:///C:/proj/A b.py"):
        assert windows.real_of_uri(uri) == drive / "proj" / "A b.py"
    assert windows.real_of_uri("file://wsl.localhost/Ubuntu/etc/passwd") == Path("/etc/passwd")
    for uri in ("file:///mnt/c/proj", "untitled:Untitled-1"):
        with pytest.raises(ValueError, match="not a"):
            windows.real_of_uri(uri)


@pytest.mark.parametrize("root", ["C", "C:\\x", "/mnt/c", "", "//host"])
def test_a_root_is_a_drive_or_a_share(root: str) -> None:
    with pytest.raises(ValueError, match="neither a drive"):
        Windows(roots={root: Path("/")})


# ---- the IDE as a whole


@pytest.fixture
def ide(make_ide: MakeIde, windows: Windows, drive: Path) -> Emulator:
    return make_ide(workspace=drive / "proj", names=windows)


async def test_its_lock_file_says_so(ide: Emulator) -> None:
    async with ide:
        lock = json.loads(ide.lock_path.read_bytes())
    assert (lock["runningInWindows"], lock["workspaceFolders"]) == (True, ["C:\\proj"])


async def test_its_tools_read_the_real_file_and_speak_of_windows(ide: Emulator, drive: Path) -> None:
    name, spelled = "C:\\proj\\A b.py", "c:\\proj\\A b.py"
    async with ide, agent(ide) as ann:
        opened = await ann.tool("openFile", filePath=name, startText="one", endText="")
        assert opened == ['Opened file and selected text from "one" to "one"']
        assert ide.window.selection is not None
        assert ide.window.selection.path == drive / "proj" / "A b.py"
        (selection,) = await ann.tool("getCurrentSelection")
        assert json.loads(selection)["filePath"] == spelled
        assert json.loads(selection)["fileUrl"] == "file:///c%3A/proj/A%20b.py"
        (editors,) = await ann.tool("getOpenEditors")
        assert json.loads(editors)["tabs"][0]["fileName"] == spelled
        (folders,) = await ann.tool("getWorkspaceFolders")
        assert json.loads(folders)["rootPath"] == "c:\\proj"
        (dirty,) = await ann.tool("checkDocumentDirty", filePath="C:/PROJ/A b.py")
        assert json.loads(dirty)["filePath"] == spelled


async def test_a_path_of_the_other_side_is_no_file_to_it(ide: Emulator) -> None:
    path = "/mnt/c/proj/A b.py"
    async with ide, agent(ide) as ann:
        opened = await ann.call("tools/call", open_file(path))
        assert opened["result"]["isError"] is True
        await ann.propose()  # of /w/a.py
        refused: dict[str, Any] = await ann.hear()
        assert refused["result"] == {"content": [{"type": "text", "text": "File not found: /w/a.py"}], "isError": True}
        (dirty,) = await ann.tool("checkDocumentDirty", filePath=path)
        assert json.loads(dirty)["message"] == f"Document not open: {path}"
    assert ide.diffs == []


def open_file(path: str) -> dict[str, Any]:
    return {"name": "openFile", "arguments": {"filePath": path, "startText": "", "endText": ""}}


async def test_diagnostics_are_told_and_found_by_every_spelling(ide: Emulator, drive: Path) -> None:
    uri = "file:///c%3A/proj/A%20b.py"
    async with ide, agent(ide) as ann:
        await ann.call("ping")
        await ide.diagnose(drive / "proj" / "A b.py", [{"message": "m"}])
        assert (await ann.hear())["params"] == {"uris": [uri]}
        asked = "file:///C:/proj/a b.py"
        (found,) = await ann.tool("getDiagnostics", uri=asked)
        assert json.loads(found) == [{"uri": asked, "diagnostics": [{"message": "m"}]}]
        (nothing,) = await ann.tool("getDiagnostics", uri="file:///mnt/c/proj/A%20b.py")
        assert json.loads(nothing)[0]["diagnostics"] == []
