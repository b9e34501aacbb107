"""Codex's patches, read and applied as Codex does, and written so that they make an exact text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.edits import CannotTell
from bridge.core.patches import Add, Applied, Section, Update, apply, parse, whole, write


def patch(body: str) -> str:
    return f"*** Begin Patch\n{body}\n*** End Patch\n"


def one(body: str) -> Section:
    """Read the changes of one file."""
    [section] = parse(patch(f"*** Update File: f\n{body}"))
    return section


FILE = "import os\n\ndef f():\n    return 1\n\ndef g():\n    return 1\n"

# the changes,                                        what there is,   what is made,         found to the letter
APPLIED = [
    ("@@\n a\n-b\n+B", "a\nb\nc\n", "a\nB\nc\n", True),
    ("-b\n+B", "a\nb\nc\n", "a\nB\nc\n", True),  # the first needs no mark
    ("@@\n-b\n+B", "b\na\nb\n", "B\na\nb\n", True),  # the first place
    ("@@\n-b\n+B\n*** End of File", "b\na\nb\n", "b\na\nB\n", True),  # the last one
    ("@@ def g():\n-    return 1\n+    return 2", FILE, FILE[:-2] + "2\n", True),
    ("@@\n-a\n+A\n@@\n-a\n+1", "a\na\n", "A\n1\n", True),  # each from where the last one ended
    ("@@\n-a\n+A\n@@ c\n-d", "a\nb\nc\nd\n", "A\nb\nc\n", True),
    ("@@\n a\n\n-b", "a\n\nb\n", None, True),  # what remains ends in an empty line
    ("@@\n a\n\n-b\n+B", "a\n\nb\n", "a\n\nB\n", True),  # an empty line of the patch is one of the file
    ("@@\n+z", "a\n", "a\nz\n", True),  # without old lines at the end
    ("@@\n-a\n+b", "a", "b\n", True),  # a newline at the end, whatever was there
    ("@@\n+a", "", "a\n", True),
    ("@@\n-a", "a\n", "", True),
    ("@@\n-a\n+b", "a  \n", "b\n", False),  # blanks at the end
    ("@@\n-a\n+b", "  a\n", "b\n", False),  # blanks around
    ("@@\n-a - 'b'\n+c", "a\u2014\u2018b\u2019\n", None, False),
    ("@@\n-a-'b'\n+c", "a\u2014\u2018b\u2019\n", "c\n", False),  # typographers' dashes and quotes
    ("@@\n a\n-", "a\n", "a\n", False),  # the last empty line stands for the newline
    ("@@\n-a\n-\n+b\n+", "a\n", "b\n", False),
    ("@@ c\n+z", "c\na\n", "c\na\nz\n", False),  # Codex disregards the context
    ("@@  a\n-b\n+c", "a\nb\n", "a\nc\n", False),
]


@pytest.mark.parametrize(("body", "there", "made", "exact"), APPLIED)
def test_applying(body: str, there: str, made: str | None, exact: bool) -> None:
    section = one(body)
    if made is None:
        with pytest.raises(CannotTell):
            apply(section, there)
    else:
        assert apply(section, there) == Applied(made, exact)


CANNOT_APPLY = [
    ("@@\n-x\n+y", "a\n", "not in the file"),
    ("@@ x\n-a\n+y", "a\n", "not in the file"),
    ("@@\n-a\n-b\n-c", "a\n", "not in the file"),  # longer than the file
    ("@@\n-\n+x", "a\n", "not in the file"),
    ("@@\n-b\n+B\n@@\n-a\n+A", "a\nb\n", "not in the file"),  # not in the order of the file
    ("@@\n+z\n@@\n-a\n+A", "a\n", "not in the order"),
    ("@@\n-a\n+b", None, "there is no file f"),
    ("@@\n-a\n+b", "a\r\n", "how lines end"),
    ("@@\n-a\n+b", "a\n\n", "empty line at its end"),
]


@pytest.mark.parametrize(("body", "there", "why"), CANNOT_APPLY)
def test_what_cannot_be_applied(body: str, there: str | None, why: str) -> None:
    section = one(body)
    with pytest.raises(CannotTell, match=why):
        apply(section, there)


def test_reading_several_files() -> None:
    read = parse(patch("*** Add File: a b.txt\n+x\n+\n*** Update File: c\n@@\n-1\n+2\n*** Add File: e"))
    assert [section.path for section in read] == ["a b.txt", "c", "e"]
    assert [section.text for section in read if isinstance(section, Add)] == ["x\n\n", ""]
    assert apply(read[0], "whatever was there\r\n") == Applied("x\n\n", exact=True)
    assert isinstance(read[1], Update)


CANNOT_READ = [
    ("", "no patch"),
    ("*** Begin Patch", "no patch"),
    ("--- a/f\n+++ b/f\n", "no patch"),
    (patch("*** Add File: f\n+a\r"), "carriage returns"),
    ("*** Begin Patch\n*** End Patch", "is empty"),
    (patch("*** Environment ID: 1\n*** Add File: f\n+a"), "does not begin with a file"),
    (patch("*** Delete File: f"), "deletes or moves"),
    (patch("*** Update File: f\n*** Move to: g\n@@\n-a\n+b"), "deletes or moves"),
    (patch("*** Update File: f\n@@\n-a\n*** Update File: f\n@@\n-b"), "names a file twice"),
    (patch("*** Update File: f"), "changes nothing"),
    (patch("*** Update File: f\n\n@@\n-a"), "empty line before the first change"),
    (patch("*** Update File: f\n@@\n?a"), "neither old nor new"),
    (patch("*** Update File: f\n@@\n-a\n*** End of File\n-b"), "neither old nor new"),
    (patch("*** Update File: f\n*** End of File"), "neither old nor new"),
    (patch("*** Update File: f\n@@\n @@ a\n-b"), "a mark among blanks"),
    (patch("  *** Add File: f\n+a"), "a mark among blanks"),
    (patch("*** Add File: f\na"), "a line that is not new"),
]


@pytest.mark.parametrize(("text", "why"), CANNOT_READ)
def test_what_cannot_be_read(text: str, why: str) -> None:
    with pytest.raises(CannotTell, match=why):
        parse(text)


def test_writing_an_addition() -> None:
    assert write(Add("f"), None, "a\nb\n") == "*** Add File: f\n+a\n+b"
    assert write(Add("f"), "old\n", "") == "*** Add File: f"


def test_writing_an_update() -> None:
    assert write(Update("f"), "a\nb\nc\n", "a\nB\nc\n") == "*** Update File: f\n@@\n a\n-b\n+B\n c"


def test_what_is_written_may_replace_everything() -> None:
    """The short way would be found at the first place that fits: the lines say which is meant only as a whole."""
    there = "x\n" * 9 + "y\n" + "x\n" * 9
    wanted = "x\n" * 8 + "y\n" + "x\n" * 9
    assert apply(one(write(Update("f"), there, wanted).partition("\n")[2]), there) == Applied(wanted, exact=True)
    marks = write(Update("f"), " @@ a\nb\n", " @@ a\nc\n")
    assert marks == "*** Update File: f\n@@\n- @@ a\n-b\n+ @@ a\n+c"


@pytest.mark.parametrize("wanted", ["no newline", "a\r\n", "an empty line\n\n"])
def test_what_no_patch_makes(wanted: str) -> None:
    with pytest.raises(CannotTell, match="no patch makes that"):
        write(Update("f"), "a\n", wanted)


LINE = st.sampled_from(["a", "b", "", "  a", "@@ a", "*** Add File: x", "+a", "-b", " "])
TEXT = st.lists(LINE, max_size=10).map(lambda lines: "".join(f"{line}\n" for line in lines))


@settings(deadline=None)
@given(TEXT, TEXT)
def test_what_is_written_makes_exactly_that_text(there: str, wanted: str) -> None:
    """Whatever `write` gives is read back as one section, which makes what was wanted, found to the letter."""
    try:
        written = write(Update("f"), there, wanted)
    except CannotTell:
        return
    [again] = parse(whole([written]))
    assert apply(again, there) == Applied(wanted, exact=True)


@settings(deadline=None)
@given(TEXT.filter(lambda text: not text.endswith("\n\n") and text != "\n"), TEXT)
def test_nearly_every_text_can_be_written(there: str, wanted: str) -> None:
    """Only an empty line at the end is beyond patches; and a change of nothing."""
    if wanted != there and not wanted.endswith("\n\n") and wanted != "\n":
        assert write(Update("f"), there, wanted)


@settings(deadline=None)
@given(st.text(max_size=200), st.none() | TEXT)
def test_any_text_is_applied_or_is_no_patch(text: str, there: str | None) -> None:
    """Hostile patches are `CannotTell`, never another failure."""
    for said in (text, patch(text), patch(f"*** Update File: f\n@@\n{text}")):
        try:
            for section in parse(said):
                apply(section, there)
        except CannotTell:
            pass
