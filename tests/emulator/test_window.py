from __future__ import annotations

from pathlib import Path

import pytest

from ide_plugins.emulator.window import Document, Position, Selection, Window, position

FILE = Path("/w/é.py")


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("", 0, (0, 0)),
        ("ab\ncd", 2, (0, 2)),
        ("ab\ncd", 3, (1, 0)),
        ("ab\ncd", 5, (1, 2)),
        ("😀b", 1, (0, 2)),  # two UTF-16 units
        ("\ud83d", 1, (0, 1)),  # half an emoji
    ],
)
def test_a_position_counts_utf16_units(text: str, offset: int, expected: Position) -> None:
    assert position(text, offset) == expected


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("", (3, 4), (3, 4)),
        ("ab", (3, 4), (3, 6)),
        ("ab\nc", (3, 4), (4, 1)),
        ("\ud83d", (0, 0), (0, 1)),
    ],
)
def test_a_selection_ends_where_its_text_ends(text: str, start: Position, end: Position) -> None:
    assert Selection.of_text(FILE, text, start) == Selection(FILE, text, start, end)


def test_the_shape_on_the_wire() -> None:
    assert Selection(FILE, "ab", (1, 2), (1, 4)).to_json() == {
        "text": "ab",
        "filePath": "/w/é.py",
        "fileUrl": "file:///w/%C3%A9.py",
        "selection": {
            "start": {"line": 1, "character": 2},
            "end": {"line": 1, "character": 4},
            "isEmpty": False,
        },
    }
    assert Selection(FILE).to_json()["selection"]["isEmpty"] is True


@pytest.mark.parametrize(
    ("name", "text", "language", "lines"),
    [("a.py", "x\n", "python", 2), ("a.json", "", "json", 1), ("Makefile", "a\nb", "plaintext", 2)],
)
def test_a_document_tells_language_and_lines(name: str, text: str, language: str, lines: int) -> None:
    document = Document(Path("/w", name), text)
    assert (document.language_id, document.line_count) == (language, lines)


def test_opened_and_dirty_documents_are_open(workspace: Path) -> None:
    window = Window(workspace=workspace)
    opened, dirty, other = (workspace / name for name in ("a.py", "b.py", "c.py"))
    window.open(opened)
    window.dirty.add(dirty)
    assert [window.is_open(path) for path in (opened, dirty, other)] == [True, True, False]


def test_bytes_that_are_not_utf8_do_not_keep_a_file_shut(workspace: Path) -> None:
    (workspace / "b.bin").write_bytes(b"a\xff\r\n")
    assert Window(workspace=workspace).open(workspace / "b.bin").text == "a\ufffd\r\n"
