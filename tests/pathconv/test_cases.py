"""Every row of the case file (tests/cases/README.md says where it is from)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import pytest

import pathconv
from pathconv import Env, Facts, Mount, PathConvError, PathMapper, PosixPath, WinPath, WslPath

FILE = json.loads((Path(__file__).parents[1] / "cases" / "pathconv.json").read_text(encoding="utf-8"))
ROWS = [row for row in FILE["cases"] if row["op"] != "map_message"]  # those are tests/core/test_translate.py's


def mapper(name: str, local: Literal["linux", "windows"] | None = None) -> PathMapper:
    """Build the mapper of a profile; a row may say that it runs on the other side."""
    profile = FILE["profiles"][name]
    sensitive = profile["case_option"] != "off"
    mounts = tuple(
        Mount(mount["linux"], mount["windows"], sensitive and mount["windows"] is not None)
        for mount in profile["mounts"]
    )
    side: Literal["linux", "windows"] = local or profile["local"]
    return PathMapper(Facts(Env.WSL2, side, profile["distro"], mounts))


def kind_and_path(path: WinPath | PosixPath | WslPath) -> list[str]:
    match path:
        case WinPath():
            return ["windows", str(path)]
        case PosixPath():
            return ["posix", str(path)]
        case WslPath(distro, text):
            return ["wsl", distro, text]


def uri_of(kind: str, text: str, *more: str) -> str:
    if kind == "windows":
        return pathconv.to_uri(pathconv.parse_windows(text))
    return pathconv.to_uri(pathconv.parse_posix(text) if kind == "posix" else WslPath(text, *more))


def windows_mounts(value: dict[str, Any]) -> list[dict[str, str]]:
    mounts = pathconv.parse_mountinfo(value["text"], value["virtiofs_links"])
    return [{"linux": mount.linux, "windows": mount.windows} for mount in mounts if mount.windows is not None]


MAPPED: dict[str, Callable[[PathMapper, dict[str, Any]], object]] = {
    "to_linux": lambda m, row: m.to_linux(row["input"]),
    "to_windows": lambda m, row: m.to_windows(row["input"], row.get("form") or "windows"),
    "same": lambda m, row: m.same(*row["input"]),
    "contains": lambda m, row: m.contains(*row["input"]),
    "ide_folder": lambda m, row: m.ide_folder(row["input"], row["running_in_windows"]),
    "workspace_match": lambda m, row: m.match(row["input"]["folders"], row["input"]["cwd"]),
}
TEXT: dict[str, Callable[[Any], object]] = {
    "uri_to_path": lambda uri: kind_and_path(pathconv.parse_uri(uri)),
    "path_to_uri": lambda path: uri_of(*path),
    "msys_to_windows": lambda path: str(pathconv.from_msys(path)),
    "windows_to_msys": lambda path: pathconv.to_msys(pathconv.parse_windows(path)),
    "escape": pathconv.escape,
    "unescape": pathconv.unescape,
    "hazards": lambda path: pathconv.hazards(pathconv.parse_windows(path)),
    "parse_wsl_conf": lambda text: asdict(pathconv.parse_wsl_conf(text)),
    "parse_mountinfo": windows_mounts,
    "parse_route": pathconv.parse_route,
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_row(row: dict[str, Any]) -> None:
    def answer() -> object:
        if row["op"] in MAPPED:
            return MAPPED[row["op"]](mapper(row["profile"], row.get("local")), row)
        return TEXT[row["op"]](row["input"])

    match row["expected"]:
        case {"error": code}:
            with pytest.raises(PathConvError) as caught:
                answer()
            assert caught.value.code == code
        case expected:
            assert answer() == expected


def test_the_profiles_mounts_are_what_their_mountinfo_says() -> None:
    profiles = {name: profile for name, profile in FILE["profiles"].items() if "mountinfo" in profile}
    assert {
        name: [{"linux": mount.linux, "windows": mount.windows} for mount in pathconv.parse_mountinfo(text, {})]
        for name, text in ((name, profile["mountinfo"]) for name, profile in profiles.items())
    } == {name: profile["mounts"] for name, profile in profiles.items()}
