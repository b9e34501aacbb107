"""``bridge hook``, from the agent's point of view: from its start to its answer, a whole process.

Where it stays out it is held against ``bridge status``, which asks the daemon something too. Where the human says yes,
at once, it is held against ``bridge diff``, which has the same change decided by the same human.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import count

from benchmarks.measure import Row, alternate, ratio, timed
from benchmarks.stage import BRIDGE, Stage, stage

ROUNDS = 40


def run(quick: bool) -> list[Row]:
    with stage() as here, here.daemon(), here.ide():
        (here.workspace / "f.txt").write_text("a\n", encoding="utf-8")  # for `bridge diff`, which writes nothing
        assert here.run(BRIDGE, "hook", "claude", stdin=_said(here, "Bash", 0)) == ""
        subjects = {
            "status": timed(partial(here.run, BRIDGE, "status")),
            "stays out": timed(_each(here, _stay_out)),
            "diff": timed(_each(here, _diff)),
            "allow": timed(_each(here, _allow)),
        }
        times = alternate(subjects, 2 if quick else ROUNDS)
    return [
        ratio("bridge hook, stays out / bridge status", times, "stays out", "status", goal=1.2),
        ratio("bridge hook, allow / bridge diff", times, "allow", "diff", goal=1.2),
    ]


def _each(here: Stage, do: Callable[[Stage, int], None]) -> Callable[[], None]:
    """Do it with another number each time, for a call that was decided is not asked about again."""
    numbers = count()
    return lambda: do(here, next(numbers))


def _said(here: Stage, tool: str, number: int) -> str:
    return json.dumps(
        {
            "session_id": "s",
            "cwd": str(here.workspace),
            "permission_mode": "default",
            "hook_event_name": "PreToolUse",
            "tool_name": tool,
            # Another file each time: until this one is written, or for a while, no second change of it is let through.
            "tool_input": {"file_path": str(here.workspace / f"{number}.txt"), "content": f"{number}\n"},
            "tool_use_id": f"t{number}",
        }
    )


def _stay_out(here: Stage, number: int) -> None:
    here.run(BRIDGE, "hook", "claude", stdin=_said(here, "Bash", number))


def _allow(here: Stage, number: int) -> None:
    assert '"allow"' in here.run(BRIDGE, "hook", "claude", stdin=_said(here, "Write", number))


def _diff(here: Stage, number: int) -> None:
    assert here.run(BRIDGE, "diff", "f.txt", "--proposed", "-", stdin=f"{number}\n") == "accepted\n"
