"""``bridge status``, from the shell's point of view: a whole process, against the least that Node can do.

And ``bridge shell-hook``, which a prompt may run each time, against it.
"""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path

from benchmarks.measure import Row, alternate, ratio, timed
from benchmarks.stage import BRIDGE, stage

SCRIPT = str(Path(__file__).with_suffix(".js"))
ROUNDS = 40


def run(quick: bool) -> list[Row]:
    with stage() as here, here.daemon(), here.ide():
        commands = {
            "bridge": (BRIDGE, "status"),
            "hook": (BRIDGE, "shell-hook", "bash"),
            "python": (sys.executable, "-c", "pass"),
        }
        if node := shutil.which("node"):
            commands["node"] = (node, SCRIPT, here.address)
            assert "Neovim" in here.run(*commands["node"])
        assert "Neovim" in here.run(*commands["bridge"])
        subjects = {name: timed(partial(here.run, *words)) for name, words in commands.items()}
        times = alternate(subjects, 2 if quick else ROUNDS)
    return [
        ratio("bridge status / Node", times, "bridge", "node", goal=1.0),
        ratio("bridge status / python -c pass", times, "bridge", "python"),
        ratio("bridge shell-hook / bridge status", times, "hook", "bridge", goal=1.5),
    ]
