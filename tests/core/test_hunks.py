import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.hunks import Hunk, Line, diff, stats, unified

TEXTS = st.text(st.sampled_from("ab\n\r\x0b\u2028"), max_size=40)


def header(hunk: Hunk) -> str:
    return f"{hunk.id} -{hunk.old_start},{hunk.old_count} +{hunk.new_start},{hunk.new_count}"


def test_a_hunk_holds_the_change_and_three_lines_around_it() -> None:
    old = "".join(f"{n}\n" for n in range(1, 11))
    (hunk,) = diff(old, old.replace("5\n", "five\nand\n"))
    assert header(hunk) == "h1 -2,7 +2,8"
    assert hunk.lines[2:7] == (
        Line(" ", "4", "\n", 4, 4),
        Line("-", "5", "\n", 5, None),
        Line("+", "five", "\n", None, 5),
        Line("+", "and", "\n", None, 6),
        Line(" ", "6", "\n", 6, 7),
    )
    assert stats([hunk]) == (2, 1)


# (old,          new,            context, hunks,                            changed lines with their endings)
SMALL = [
    ("",          "",             3,      [],                               []),
    ("a\n",       "a\n",          3,      [],                               []),
    ("",          "a\nb",         3,      ["h1 -0,0 +1,2"],                 ["+a\n", "+b"]),
    ("a\n",       "",             3,      ["h1 -1,1 +0,0"],                 ["-a\n"]),
    ("a\nb\n",    "a\nx\nb\n",    0,      ["h1 -1,0 +2,1"],                 ["+x\n"]),
    ("a\r\nb\n",  "a\nb\n",       3,      ["h1 -1,2 +1,2"],                 ["-a\r\n", "+a\n"]),
    ("a\rb",      "a\rB",         0,      ["h1 -2,1 +2,1"],                 ["-b", "+B"]),
    ("a",         "a\n",          3,      ["h1 -1,1 +1,1"],                 ["-a", "+a\n"]),
    ("a\u2028b\n", "a\u2028c\n",  3,      ["h1 -1,1 +1,1"],                 ["-a\u2028b\n", "+a\u2028c\n"]),
    ("a\nb\nc\n", "A\nb\nC\n",    1,      ["h1 -1,3 +1,3"],                 ["-a\n", "+A\n", "-c\n", "+C\n"]),
    ("a\nb\nc\n", "A\nb\nC\n",    0,      ["h1 -1,1 +1,1", "h2 -3,1 +3,1"], ["-a\n", "+A\n", "-c\n", "+C\n"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "context", "headers", "changed"), SMALL)
def test_small_changes(old: str, new: str, context: int, headers: list[str], changed: list[str]) -> None:
    hunks = diff(old, new, context)
    lines = [line for hunk in hunks for line in hunk.lines]
    assert [header(hunk) for hunk in hunks] == headers
    assert [line.kind + line.text + line.ending for line in lines if line.kind != " "] == changed


def apply(old: str, hunks: tuple[Hunk, ...]) -> str:
    """Rebuild the new text from the old one and the hunks alone, checking every number on the way."""
    at, written, result = 0, 0, ""
    lines = [line for hunk in diff(old, "", 0) for line in hunk.lines]  # the old text, cut
    for hunk in hunks:
        start = hunk.old_start - (hunk.old_count > 0)
        kept, at = lines[at:start], start
        result += "".join(line.text + line.ending for line in kept)
        written += len(kept)
        assert hunk.new_start - (hunk.new_count > 0) == written
        for line in hunk.lines:
            if line.kind != "+":
                assert (line.text, line.ending, line.old_no) == (lines[at].text, lines[at].ending, at + 1)
                at += 1
            if line.kind != "-":
                result += line.text + line.ending
                written += 1
                assert line.new_no == written
        assert hunk.old_count == sum(line.kind != "+" for line in hunk.lines)
        assert hunk.new_count == sum(line.kind != "-" for line in hunk.lines)
    return result + "".join(line.text + line.ending for line in lines[at:])


@settings(deadline=None, max_examples=300)
@given(TEXTS, TEXTS, st.integers(0, 3))
def test_the_hunks_of_a_diff_rebuild_the_new_text(old: str, new: str, context: int) -> None:
    assert apply(old, diff(old, new, context)) == new


def test_a_unified_diff_says_where_a_newline_is_missing() -> None:
    assert unified("a\nb", "a\nb\n", "a/x y", 'b/"q"') == (
        '--- a/x y\t\n+++ "b/\\042q\\042"\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n'
    )
    assert unified("a", "a", "a/x", "b/x") == ""


PATCHED = [
    ("one\ntwo\nthree\n", "one\n2\nthree\nfour\n"),
    ("no newline", "no newline\n"),
    ("a\nb\n", "a\nb"),
    ("crlf\r\nkept\r\nhere\r\n", "crlf\r\nchanged\r\nhere\n"),
    ("old\rmac\rlines", "old\rMAC\rlines\r"),
    ("form\x0cfeed\u2028\n漢字\n", "form\x0cfeed\u2028\n漢\n"),
    ("".join(f"{n}\n" for n in range(100)), "".join(f"{n * (n % 20 > 0)}\n" for n in range(99))),
    ("", "new\nfile"),
    ("gone\n", ""),
]


@pytest.mark.parametrize("name", ["plain.txt", "with space.txt", 'qu"o\\te\t.txt'])
@pytest.mark.parametrize(("old", "new"), PATCHED)
def test_git_applies_it(tmp_path: Path, name: str, old: str, new: str) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    file = tmp_path / name
    if old:
        file.write_bytes(old.encode())
    patch = unified(old, new, f"a/{name}" if old else "/dev/null", f"b/{name}" if new else "/dev/null")
    command = [git, "apply", "--whitespace=nowarn", "-"]
    subprocess.run(
        command,
        input=patch.encode(),
        cwd=tmp_path,
        check=True,
        env={"GIT_CEILING_DIRECTORIES": str(tmp_path.parent), "HOME": str(tmp_path)},
    )
    assert (file.read_bytes() if new else b"") == new.encode()
    assert file.exists() == bool(new)


LINES = [f"line {n} of a large file" for n in range(80_000)]
CHOICES = random.Random(1).choices(["", "}", "    return x", "a", "b"], k=300_000)

LARGE: dict[str, tuple[str, str]] = {
    "sparse edits": ("\n".join(LINES), "\n".join(line for n, line in enumerate(LINES) if n % 400)),
    "all lines different": ("\n".join(LINES), "\n".join(f"another {line}" for line in LINES)),
    "a million newlines, one line among them": ("\n" * 1_000_000, "\n" * 500_000 + "x\n" + "\n" * 500_000),
    "newlines, edits far apart": ("\n" * 300_000, "x" + "\n" * 299_999 + "x\n"),
    "newlines, edited and shifted": ("\n" * 200_000, "x\n" + "\n" * 199_999 + "x\n"),
    "few kinds of lines, every 50th gone": (
        "\n".join(CHOICES),
        "\n".join(line for n, line in enumerate(CHOICES) if n % 50),
    ),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", LARGE)
def test_large_files_take_about_a_second_and_stay_exact(name: str) -> None:
    old, new = LARGE[name]
    hunks = diff(old, new)
    added, removed = stats(hunks)
    assert added - removed == new.count("\n") - old.count("\n")
    if len(hunks) < 300 and added < 1_000:  # the applier above is slow
        assert apply(old, hunks) == new
