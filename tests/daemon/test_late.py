from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from bridge.daemon.late import imported

SLOW = "import slow_log, time; slow_log.seen.append(__name__); time.sleep(0.05); slow_log.seen.append(__name__)\n"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two modules that take a moment, and say when they begin and end."""
    for name, text in (("slow_log", "seen = []\n"), ("slow_one", SLOW), ("slow_two", SLOW)):
        (tmp_path / f"{name}.py").write_text(text, encoding="ascii")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("modules")
async def test_one_import_at_a_time() -> None:
    """Two that are parts of one package might each wait for the other, which one of them would not survive."""
    one, two, again = await asyncio.gather(*map(imported, ("slow_one", "slow_two", "slow_one")))
    assert (one, two, again) == (sys.modules["slow_one"], sys.modules["slow_two"], one)
    first, same, second, also = sys.modules["slow_log"].seen
    assert (first, second) == (same, also)


async def test_it_gives_what_is_imported_already_and_says_what_cannot_be() -> None:
    assert (await imported("threading")) is threading
    with pytest.raises(ModuleNotFoundError):
        await imported("bridge.nothing_of_that_name")
