"""Every row of ``tests/cases/wsl_net.json``: kinds of machine, whom to dial, what to poll, what Windows says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.core.reach import host_candidates, network_mode
from bridge.core.windows import home_from_path, needs_polling, tasklist_alive
from pathconv import Env, EnvFacts, detect

CASES = json.loads((Path(__file__).parents[1] / "cases" / "wsl_net.json").read_text(encoding="utf-8"))["cases"]


def _detect(given: dict[str, Any]) -> str:
    return detect(EnvFacts(given["platform"], given["osrelease"], given["env"], frozenset(given["files"])))


def _hosts(given: dict[str, Any]) -> list[str]:
    mode = network_mode(given["mode"], given.get("interfaces", ()), given["gateway"])
    hosts = host_candidates(
        Env(given["env"]),
        mode,
        given["gateway"],
        ide_on_windows=given["ide_on_windows"],
        override=given["override"],
    )
    return list(hosts)


OPERATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "detect_env": _detect,
    "host_candidates": _hosts,
    "needs_polling": lambda given: needs_polling(Env(given["env"]), given.get("fstype", ""), given.get("path", "")),
    "windows_home_from_path": lambda given: home_from_path(given["PATH"]),
    "tasklist_alive": lambda given: tasklist_alive(given["pid"], given["stdout"], given["rc"]),
}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    assert OPERATIONS[case["op"]](case["input"]) == case["expected"], case["note"]
