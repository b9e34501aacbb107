"""What holds for every path on every machine: P1-P11 and P13 of the reference (P12 is about messages)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import pathconv
from pathconv import (
    Code,
    PathConvError,
    PathMapper,
    PosixPath,
    WinPath,
    WslPath,
    escape,
    parse_mountinfo,
    parse_posix,
    parse_uri,
    parse_windows,
    to_uri,
    unescape,
)
from tests.pathconv.machines import (
    NAMES,
    THOROUGH,
    USUAL,
    either_paths,
    mappers,
    posix_paths,
    windows_paths,
)

ESCAPED = {chr(0xF000 + code) for code in (*range(1, 32), *map(ord, '"*:<>?\\|'))}
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)  # surrogates too


def refusal(parse: Callable[[str], object], text: str) -> PathConvError | None:
    try:
        parse(text)
    except PathConvError as error:
        return error
    return None


def open_slash(path: str) -> str:
    """Without the closing slash, which a drive's root gains."""
    return path.rstrip("/") or "/"


@THOROUGH
@given(mappers(), posix_paths())
def test_p1_a_linux_path_comes_back_from_windows(mapper: PathMapper, path: str) -> None:
    assume(not set(path) & ESCAPED)
    windows = mapper.to_windows(path)
    back = mapper.try_to_linux(windows)
    if back.error is not None:  # another distribution's share that somebody mounted under our name, or shadowed
        raise AssertionError((windows, back))
    assert open_slash(back.path) == path or mapper.same(back.path, path)


@THOROUGH
@given(mappers(), windows_paths())
def test_p2_a_windows_path_comes_back_from_linux(mapper: PathMapper, path: str) -> None:
    linux = mapper.try_to_linux(path)
    assume(linux.error is None)
    canonical = str(parse_windows(path))
    again = mapper.to_windows(linux.path)
    if canonical.startswith("\\\\wsl"):
        assert mapper.same(again, canonical)
    else:
        assert again.upper().rstrip("\\") == canonical.upper().rstrip("\\")  # a mount at / has always a closing slash


@THOROUGH
@given(mappers(), either_paths())
def test_p3_to_local_is_idempotent(mapper: PathMapper, path: str) -> None:
    local = mapper.try_to_local(path)
    assume(local.error is None)
    assert mapper.to_local(local.path) == local.path


@THOROUGH
@given(posix_paths(), windows_paths())
def test_p3_normalising_is_idempotent(posix: str, windows: str) -> None:
    assert str(parse_posix(str(parse_posix(posix)))) == str(parse_posix(posix))
    assert str(parse_windows(str(parse_windows(windows)))) == str(parse_windows(windows))


@THOROUGH
@given(mappers(), windows_paths(), posix_paths())
def test_p4_a_result_lies_where_the_mounts_say(mapper: PathMapper, windows: str, posix: str) -> None:
    linux = mapper.try_to_linux(windows)
    if linux.error is None:
        own = parse_windows(windows).share.lower() == "ubuntu"
        points = [m.linux for m in mapper.facts.mounts if m.windows]
        assert own or any((linux.path + "/").startswith(point.rstrip("/") + "/") for point in points)
        assert not {".", ".."} & set(linux.path.split("/"))
    there = mapper.to_windows(posix)
    roots = [str(parse_windows(m.windows + "\\")).rstrip("\\") for m in mapper.facts.mounts if m.windows]
    assert any((there + "\\").startswith(root + "\\") for root in [*roots, "\\\\wsl.localhost\\Ubuntu"])
    assert not {".", ".."} & set(there.split("\\"))
    assert "\0" not in there + linux.path


@THOROUGH
@given(mappers(), either_paths(), st.sampled_from(["C:\\", None]))
def test_p5_a_sibling_changes_nothing(mapper: PathMapper, path: str, windows: str | None) -> None:
    facts = mapper.facts
    sibling = pathconv.Mount("/mnt/cc", "Q:\\" if windows else None)
    wider = PathMapper(pathconv.Facts(facts.env, facts.local, facts.distro, (*facts.mounts, sibling)))
    one, other = mapper.try_to_local(path), wider.try_to_local(path)
    assert (one.path, one.error and one.error.code) == (other.path, other.error and other.error.code)
    foreign = mapper.try_to_linux("\\\\wsl.localhost\\Ubuntu-22.04\\x").error
    assert foreign is not None
    assert foreign.code is Code.FOREIGN_DISTRO


@THOROUGH
@given(mappers(), either_paths(), either_paths(), either_paths())
def test_p6_same_and_contains_are_what_they_are_called(mapper: PathMapper, a: str, b: str, c: str) -> None:
    known = [path for path in (a, b, c) if mapper.try_to_local(path).error is None]
    for one in known:
        assert mapper.same(one, one)
        assert mapper.contains(one, one)
        for other in known:
            assert mapper.same(one, other) == mapper.same(other, one)
            if mapper.same(one, other):  # P7
                assert mapper.contains(one, other)
                assert mapper.contains(other, one)
    if len(known) == 3:
        assert not (mapper.same(a, b) and mapper.same(b, c)) or mapper.same(a, c)
        assert not (mapper.contains(a, b) and mapper.contains(b, c)) or mapper.contains(a, c)


@THOROUGH
@given(mappers(), either_paths(), either_paths())
def test_p6_containment_is_the_same_on_both_sides(mapper: PathMapper, root: str, path: str) -> None:
    here = mapper.contains(root, path)
    for convert in (mapper.try_to_local, lambda p: mapper.try_to_peer(mapper.to_local(p))):
        if any(mapper.try_to_local(p).error for p in (root, path)):
            continue
        mapped = [convert(root), convert(path)]
        if not any(outcome.error for outcome in mapped):
            assert mapper.contains(*(outcome.path for outcome in mapped)) == here


@THOROUGH
@given(mappers(), either_paths(), either_paths())
def test_p6_both_sides_agree_on_what_is_the_same(mapper: PathMapper, a: str, b: str) -> None:
    sides: list[Literal["linux", "windows"]] = ["linux", "windows"]
    one, other = (PathMapper(dataclasses.replace(mapper.facts, local=side)) for side in sides)
    paths = [one.try_to_local(path) for path in (a, b)]
    assume(not any(path.error or other.try_to_local(path.path).error for path in paths))
    assert one.same(paths[0].path, paths[1].path) == other.same(paths[0].path, paths[1].path)


@THOROUGH
@given(mappers(), posix_paths(), st.lists(NAMES, max_size=3))
def test_a_directory_contains_what_lies_below_it(mapper: PathMapper, root: str, names: list[str]) -> None:
    assume(not set("".join(names)) & ESCAPED)
    path = root.rstrip("/") + "".join(f"/{name}" for name in names) or "/"
    assert mapper.contains(root, path)
    assert mapper.contains(mapper.to_windows(root), path)
    assert mapper.contains(root, mapper.to_windows(path))


@THOROUGH
@given(mappers(), either_paths(), either_paths())
def test_keys_are_equal_iff_paths_are_the_same_and_a_beginning_contains(mapper: PathMapper, a: str, b: str) -> None:
    keys = [mapper.key(a), mapper.key(b)]
    known = all(mapper.try_to_local(path).error is None for path in (a, b))
    if known:
        assert (keys[0] == keys[1]) == mapper.same(a, b)
        if (keys[1] + "/").startswith(keys[0].rstrip("/") + "/"):
            assert mapper.contains(a, b)
    assert not keys[0].endswith("/") or keys[0] in ("/", a)


@THOROUGH
@given(st.text(st.characters(exclude_characters="/\0"), max_size=10))
def test_p8_escaping_comes_back(name: str) -> None:
    escaped = escape(name)
    assert len(escaped) == len(name)
    assert not set(escaped) & ({chr(code) for code in range(32)} | set('"*:<>?\\|'))
    assert set(name) & ESCAPED or unescape(escaped) == name
    assert len(unescape(name)) == len(name)
    assert not set(unescape(name)) & set("/\0")


@THOROUGH
@given(posix_paths() | windows_paths(), st.sampled_from(["posix", "windows", "wsl"]))
def test_p9_a_path_comes_back_from_its_uri(text: str, kind: str) -> None:
    path: WinPath | PosixPath | WslPath
    if not text.startswith("/"):
        path = parse_windows(text)
    else:
        path = parse_posix(text) if kind != "wsl" else WslPath("ubuntu", text)
    uri = to_uri(path)
    assert uri.isascii()
    back = parse_uri(uri)
    assert type(back) is type(path)
    assert str(back) == str(path) or str(back).lower() == str(path).lower()
    assert unquote(uri).count("%25") == str(path).count("%25")


@THOROUGH
@given(mappers() | mappers(None), ANY_TEXT, ANY_TEXT)
def test_p10_every_text_has_an_answer(mapper: PathMapper, a: str, b: str) -> None:
    for text in (a, "/mnt/c/" + a, "C:\\" + a, "\\\\" + a, "file://" + a, "file:///c:/" + a, "vscode-remote://" + a):
        for convert in (
            mapper.try_to_linux,
            mapper.try_to_windows,
            mapper.try_to_local,
            mapper.try_to_peer,
            mapper.try_local_uri,
            mapper.try_peer_uri,
        ):
            outcome = convert(text)
            assert (outcome.path == text) or outcome.error is None
            assert outcome.changed == (outcome.path != text)
        mapper.try_ide_folder(text, True)
        mapper.same(text, b)
        mapper.contains(text, b)
        mapper.match([text, b], a)
        mapper.key(text)
        assert mapper.explain(text, "to_linux")
        assert mapper.explain(text, "to_windows")


@THOROUGH
@given(ANY_TEXT, ANY_TEXT)
def test_p10_every_text_can_be_parsed_or_is_refused(text: str, other: str) -> None:
    for parse in (parse_windows, parse_posix, parse_uri, pathconv.from_msys, to_uri):
        error = refusal(parse, text)
        assert error is None or (error.path == text and str(error))
    pathconv.parse_wsl_conf(text)
    pathconv.parse_route(text)
    parse_mountinfo(text + " - " + other, {other: text})


@pytest.mark.parametrize("unit", ["\\", "/", "../", "..\\", "%", "%25", "a:", "\uf03a", "ä/", "\\.", '"\\'])
@pytest.mark.parametrize("start", ["", "C:\\", "/mnt/c/", "\\\\", "file:///c:/", "vscode-remote://wsl+u/"])
def test_p10_a_megabyte_is_no_attack(start: str, unit: str) -> None:
    """Whatever is not linear takes minutes here, and the test's time is out; `benchmarks.paths` measures it."""
    path = start + unit * ((1 << 20) // len(unit))
    mapper = PathMapper(pathconv.Facts(pathconv.Env.WSL2, "linux", "Ubuntu", USUAL))
    for work in (mapper.try_to_linux, mapper.try_to_windows, mapper.try_local_uri, mapper.key, unescape):
        work(path)
    escape(path.replace("/", "|"))
    mapper.match([path, path], path)
    parse_mountinfo(f"1 1 0:1 / {path} rw - 9p C: rw,aname=drvfs;path={path}", {})
    parse_mountinfo(f"1 1 0:1 / /x rw - 9p C: rw,aname=drvfs;path={';path=' * (len(path) // 6)}", {})
    parse_mountinfo(path, {})
    for head in ("", "[automount]\nroot=", '[automount]\nroot="', "[", "root"):
        pathconv.parse_wsl_conf(head + path)
    pathconv.parse_route(path)


GARBAGE = st.text(max_size=40).filter(lambda text: "\n" not in text and " - " not in text) | st.sampled_from(
    ["1 2 0:3  / /mnt/c rw - drvfs E: rw", "1 2 03 / /mnt rw - ext4 x rw", "1 2 0:3 / /mnt rw - ext4 x"]
)
LINES = [
    "25 1 8:32 / / rw,relatime - ext4 /dev/sdc rw",
    "91 25 0:91 / /mnt/c rw - 9p C:\\134 rw,aname=drvfs;path=C:\\;uid=1000,trans=fd",
    "92 25 0:92 /a /mnt/my\\040drive rw shared:1 - drvfs D: rw,case=off",
]


@THOROUGH
@given(st.lists(GARBAGE, max_size=6), st.randoms())
def test_p11_garbage_lines_change_nothing(garbage: list[str], random: object) -> None:
    lines = [*LINES]
    for at, text in enumerate(garbage):
        lines.insert(at % (len(lines) + 1), text)
    assert parse_mountinfo("\n".join(lines), {}) == parse_mountinfo("\n".join(LINES), {})


@THOROUGH
@given(posix_paths())
def test_p11_octal_escapes_come_back(path: str) -> None:
    octal = "".join(rf"\{ord(c):03o}" if c in " \t\n\\" else c for c in path)
    (mount,) = parse_mountinfo(rf"1 1 0:1 / {octal} rw - ext4 \134x rw", {})
    assert mount.linux == path


def test_p13_what_wslpath_does_is_done_too() -> None:
    file = json.loads((Path(__file__).parents[1] / "cases" / "pathconv.json").read_text(encoding="utf-8"))
    rows = [row for row in file["cases"] if row["op"] == "to_linux" and row["profile"] == "wsl2_default"]
    agreeing = [row for row in rows if row.get("differs_from_wslpath") is False and row["wslpath"] is not None]
    mapper = PathMapper(pathconv.Facts(pathconv.Env.WSL2, "linux", "Ubuntu", USUAL))
    assert len(agreeing) > 30
    for row in agreeing:
        assert mapper.to_linux(row["input"], wslpath_compat=True) == row["wslpath"], row["id"]
