"""Copies of other programs' files, and receipts: private, written whole, and no harm when they are lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bridge.core.installing import Plan, Receipt
from bridge.errors import Conflict, NotTrusted
from bridge.paths import Paths
from bridge.store.backups import Backups

PLAN = Plan(b"old", b"new", (), (("hooks",),))


@pytest.fixture
def backups(places: Paths) -> Backups:
    return Backups(places)


def names(places: Paths) -> list[str]:
    return sorted(os.listdir(places.installed))


def test_a_file_is_copied_and_a_receipt_written(backups: Backups, places: Paths) -> None:
    copy = backups.keep("/etc/x.json", PLAN)
    assert copy is not None
    assert copy.endswith("-x.json")
    assert Path(copy).read_bytes() == b"old"
    receipt, original = Backups(places).of("/etc/x.json")
    assert (receipt and receipt.backup, receipt and receipt.made, original) == (
        os.path.basename(copy),
        PLAN.made,
        b"old",
    )
    assert {stat.S_IMODE(os.stat(f"{places.installed}/{name}").st_mode) for name in names(places)} == {0o600}
    assert stat.S_IMODE(os.stat(places.installed).st_mode) == 0o700


def test_every_change_has_a_copy_of_its_own(backups: Backups, places: Paths) -> None:
    first = backups.keep("/a", PLAN)
    second = backups.keep("/b", Plan(b"other", None, ()))
    third = backups.keep("/a", Plan(b"new", b"newer", ()))
    assert len({first, second, third}) == 3
    assert backups.of("/a")[1] == b"old"  # nobody else has changed it since
    assert len(names(places)) == 4


def test_a_file_that_was_missing_has_no_copy(backups: Backups, places: Paths) -> None:
    assert backups.keep("/a", Plan(None, b"new", ())) is None
    receipt, original = backups.of("/a")
    assert (isinstance(receipt, Receipt), original) == (True, None)
    backups.forget("/a")
    backups.forget("/a")
    assert backups.of("/a") == (None, None)
    assert names(places) == ["receipts.json"]


def test_a_copy_that_is_lost_takes_its_receipt_with_it(backups: Backups) -> None:
    copy = backups.keep("/a", PLAN)
    assert copy is not None
    os.unlink(copy)
    assert backups.of("/a") == (None, None)


def test_a_receipt_names_no_file_elsewhere(backups: Backups, places: Paths) -> None:
    backups.keep("/a", PLAN)
    path = Path(places.installed) / "receipts.json"
    path.write_text('{"/a": {"after": "x", "backup": "../../../.bashrc", "made": []}}', encoding="utf-8")
    (Path(places.home) / ".bashrc").write_bytes(b"secret")
    assert backups.of("/a") == (None, None)


def test_a_directory_that_others_may_enter_is_not_trusted(backups: Backups, places: Paths) -> None:
    backups.keep("/a", PLAN)
    os.chmod(places.installed, 0o755)
    with pytest.raises(NotTrusted):
        backups.keep("/a", PLAN)


def test_two_at_once_do_not_lose_a_receipt(backups: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one to write notices, and nothing else has happened by then."""
    backups.keep("/a", PLAN)
    read = backups._read

    def read_and_be_overtaken() -> tuple[dict[str, Receipt], bytes | None]:
        monkeypatch.setattr(backups, "_read", read)
        found = read()
        backups.keep("/b", PLAN)
        return found

    monkeypatch.setattr(backups, "_read", read_and_be_overtaken)
    with pytest.raises(Conflict, match="changed meanwhile"):
        backups.keep("/c", PLAN)
    assert backups.of("/b")[1] == b"old"
