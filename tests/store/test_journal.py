"""The journal against the real SQLite and the real disk; crashes and full disks happen to processes of their own."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.reviews import (
    Change,
    Comment,
    Outcome,
    Review,
    Showing,
    State,
    Step,
    Surface,
    Trigger,
    advance,
    decide,
)
from bridge.errors import BadConfiguration, Conflict, Unavailable
from bridge.store.journal import MIGRATIONS, Journal, JournalThread

PATIENCE_S = 20.0


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "journal.sqlite")


@pytest.fixture
def journal(path: str) -> Iterator[Journal]:
    with closing(Journal(path)) as journal:
        yield journal


def proposal(id_: str = "r1", *, created: float = 100.0, **more: Any) -> Review:
    """A review as an agent proposes it."""
    file = Change(path=b"/w/a.py", base_hash="0" * 64, base="a\n", proposed="b\n")
    usual: dict[str, Any] = {"files": (file,), "workspace": b"/w", "changed": created}
    return Review(id=id_, created=created, **(usual | more))


def accepted(review: Review, now: float = 200.0) -> Review:
    finals = tuple(file.proposed for file in review.files)
    return decide(review, now, finals=finals, trigger=Trigger.ACCEPTED_IN_IDE)


RECORDS = {
    "plain": proposal(),
    "new file": proposal(files=(Change(path=b"/w/new", base_hash=None, base="", proposed="x"),)),
    "several files": proposal(
        files=tuple(Change(path=b"/w/%d" % n, base_hash=None, base="", proposed=str(n)) for n in range(12))
    ),
    "a name that is not UTF-8": proposal(
        files=(Change(path=b"/w/\xff\n\x1b", base_hash=None, base="", proposed="x"),), workspace=b"/\xfe"
    ),
    "lone surrogates": proposal(
        title="cut \ud83d",
        agent="\udfff",
        request_key="\ud800",
        ide="\udc80",
        files=(Change(path=b"/w/a", base_hash=None, base="\ud83d", proposed="\udc00\r\n"),),
        comments=(Comment(text="\ud83d", file=0, line=3), Comment(text="whole")),
        showings=(Showing(ide_id="7-\udc80", request_id=2**60, tab_name="\ud83d"),),
    ),
    "everything said": proposal(
        title="t", agent="me", request_key="k", surface=Surface.PAGE, ide="code", created=0.1, changed=1e9 + 1 / 3
    ),
    "accepted with edits": decide(proposal(), 1.5, finals=("c\r\n",), trigger=Trigger.ACCEPTED_ON_PAGE),
    "accepted as nothing": decide(proposal(), 1.5, finals=("",), trigger=Trigger.ACCEPTED_ON_PAGE),
    "accepted in part": decide(
        proposal(files=tuple(Change(path=b"/w/%d" % n, base_hash="0", base="", proposed="x") for n in range(3))),
        1.5,
        finals=(None, "x", ""),
        trigger=Trigger.ACCEPTED_ON_PAGE,
    ),
    "rejected": decide(
        proposal(), 1.5, finals=None, trigger=Trigger.REJECTED_OR_CLOSED, comments=(Comment(text="no"),)
    ),
    "superseded": advance(proposal(), Step.SUPERSEDE, 2.0),
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_what_is_saved_is_read_again_after_a_restart(path: str, record: Review) -> None:
    with closing(Journal(path)) as first:
        first.save(record)
    with closing(Journal(path)) as second:
        assert second.get(record.id) == record


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters()), st.binary().filter(lambda name: b"\0" not in name))
def test_any_text_and_any_path_survive(text: str, name: bytes) -> None:
    record = proposal(title=text, files=(Change(path=name, base_hash=None, base=text, proposed=text + "x"),))
    with tempfile.TemporaryDirectory() as folder, closing(Journal(f"{folder}/journal")) as journal:
        journal.save(record)
        assert journal.get("r1") == record


def test_the_file_is_the_user_s_alone(path: str, journal: Journal) -> None:
    journal.save(proposal())
    modes = {name: os.stat(path + name).st_mode & 0o777 for name in ("", "-wal")}
    assert modes == {"": 0o600, "-wal": 0o600}


def test_every_commit_is_synced_and_nobody_else_gets_in(path: str, journal: Journal) -> None:
    journal.save(proposal())
    pragmas = {name: journal._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    with closing(sqlite3.connect(path, timeout=0)) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("SELECT * FROM review")


def test_an_older_version_changes_nothing(journal: Journal) -> None:
    first = proposal()
    second = advance(first, Step.SHOW, 150.0)
    third = accepted(second)
    for record in (second, third, first, second, third):
        journal.save(record)
    assert journal.get("r1") == third
    versions = journal._db.execute("SELECT version, state FROM event ORDER BY seq").fetchall()
    assert versions == [(2, "shown"), (3, "decided")]


def test_nobody_s_review_is_unavailable(journal: Journal) -> None:
    with pytest.raises(Unavailable, match="no review r9"):
        journal.get("r9")
    with pytest.raises(Unavailable, match="no review r9"):
        journal.deliver("r9", 1.0)


def test_a_decision_is_delivered_once_and_may_be_delivered_again(journal: Journal) -> None:
    journal.save(accepted(proposal()))
    delivered = journal.deliver("r1", 300.0)
    assert (delivered.state, delivered.changed) == (State.DELIVERED, 300.0)
    assert journal.deliver("r1", 400.0) == delivered == journal.get("r1")


@pytest.mark.parametrize("record", [proposal(), advance(proposal(), Step.CANCEL, 2.0)], ids=["undecided", "cancelled"])
def test_what_nobody_decided_cannot_be_delivered(journal: Journal, record: Review) -> None:
    journal.save(record)
    with pytest.raises(Conflict, match="nothing to deliver"):
        journal.deliver("r1", 300.0)
    assert journal.get("r1") == record


def test_a_request_key_counts_within_its_workspace_and_names_the_newest(journal: Journal) -> None:
    for id_, created, workspace, key in [
        ("old", 1.0, b"/w", "k"),
        ("new", 2.0, b"/w", "k"),
        ("other", 3.0, b"/v", "k"),
        ("none", 4.0, b"/w", None),
    ]:
        journal.save(proposal(id_, created=created, workspace=workspace, request_key=key))
    found = [journal.by_key(workspace, "k") for workspace in (b"/w", b"/v", b"/u")]
    assert [review and review.id for review in found] == ["new", "other", None]


def test_undecided_reviews_come_oldest_first_and_the_latest_come_without_texts(journal: Journal) -> None:
    reviews = [
        proposal("b", created=2.0),
        advance(proposal("a", created=1.0), Step.SHOW, 5.0),
        accepted(proposal("c", created=3.0)),
        advance(proposal("d", created=0.5), Step.EXPIRE, 6.0),
    ]
    for review in reviews:
        journal.save(review)
    assert journal.undecided() == (reviews[1], reviews[0])
    latest = journal.latest(3)
    assert [review.id for review in latest] == ["c", "b", "a"]
    assert {(file.base, file.proposed, file.final) for review in latest for file in review.files} == {("", "", None)}
    assert latest[0].files[0].path == b"/w/a.py"


def test_what_ended_long_ago_is_purged_with_its_texts_and_the_undecided_stay(journal: Journal) -> None:
    journal.save(proposal("open", created=1.0))
    journal.save(advance(proposal("shown", created=1.0), Step.SHOW, 2.0))
    journal.save(accepted(proposal("decided"), 10.0))
    journal.save(advance(proposal("cancelled"), Step.CANCEL, 10.0))
    journal.save(accepted(proposal("young"), 20.0))
    assert journal.purge(20.0) == 2
    assert {review.id for review in journal.latest(9)} == {"open", "shown", "young"}
    for table in ("file", "event"):
        rows = journal._db.execute(f"SELECT DISTINCT review_id FROM {table} ORDER BY 1").fetchall()
        assert rows == [("open",), ("shown",), ("young",)]


def test_a_setting_is_kept_and_replaced(path: str) -> None:
    with closing(Journal(path)) as journal:
        assert journal.setting("page") is None
        journal.set_setting("page", {"port": 1})
        journal.set_setting("page", {"port": 2, "\ud800": [None]})
    with closing(Journal(path)) as journal:
        assert journal.setting("page") == {"port": 2, "\ud800": [None]}


# ---- what the disk may hold


def _nonsense(path: Path) -> None:
    path.write_bytes(b"this is no database, but it is long enough to be looked at\n" * 50)


def _torn(path: Path) -> None:
    """A journal of many pages, one of which a bad disk overwrote."""
    with closing(Journal(str(path))) as journal:
        for n in range(50):
            journal.save(proposal(f"r{n}", title="x" * 2000))
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)


@pytest.mark.parametrize("spoil", [_nonsense, _torn])
def test_a_broken_journal_is_moved_aside_and_told(path: str, spoil: Any) -> None:
    spoil(Path(path))
    broken = Path(path).read_bytes()
    with closing(Journal(path)) as journal:
        assert journal.warning is not None
        assert "journal.sqlite.broken-1" in journal.warning
        journal.save(proposal())
        assert journal.undecided() == (proposal(),)
    assert Path(f"{path}.broken-1").read_bytes() == broken
    with closing(Journal(path)) as journal:
        assert journal.warning is None


def test_a_second_broken_journal_does_not_replace_the_first(path: str) -> None:
    for expected in ("broken-1", "broken-2"):
        _nonsense(Path(path))
        with closing(Journal(path)) as journal:
            assert journal.warning is not None
            assert expected in journal.warning
    assert Path(f"{path}.broken-1").exists()


def _newer(path: str, mode: str, exclusive: bool) -> None:
    """What a later bridge, crashed or not, may have left."""
    script = f"""
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA locking_mode={"EXCLUSIVE" if exclusive else "NORMAL"}")
db.execute("PRAGMA journal_mode={mode}")
db.execute("CREATE TABLE review_of_the_future (x)")
db.execute("PRAGMA user_version = {len(MIGRATIONS) + 1}")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script, path], check=True, timeout=PATIENCE_S)


def _files(path: str) -> dict[str, tuple[bytes, int]]:
    """Everything that lies beside the journal, with its bytes and times."""
    return {
        found.name: (found.read_bytes(), found.stat().st_mtime_ns)
        for found in Path(path).parent.iterdir()
        if found.is_file()
    }


@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "with -shm"])
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_newer_journal_is_refused_untouched(path: str, mode: str, exclusive: bool) -> None:
    _newer(path, mode, exclusive)
    before = _files(path)
    assert {f"{Path(path).name}-wal" in before, f"{Path(path).name}-shm" in before} <= {mode == "wal", not exclusive}
    with pytest.raises(BadConfiguration, match="newer bridge") as caught:
        Journal(path)
    assert caught.value.hint == "upgrade the bridge"
    assert _files(path) == before
    assert [found for found in Path(path).parent.iterdir() if found.is_dir()] == []


# One journal for each published schema, as the bridge of then wrote it; never changed, only added to.
GOLDEN = {
    1: """
    CREATE TABLE review (
        id TEXT PRIMARY KEY, version INTEGER NOT NULL, state TEXT NOT NULL, outcome TEXT, "trigger" TEXT,
        title BLOB NOT NULL, agent BLOB NOT NULL, workspace BLOB NOT NULL, request_key BLOB,
        surface TEXT NOT NULL, ide BLOB, created REAL NOT NULL, changed REAL NOT NULL,
        comments TEXT NOT NULL, showings TEXT NOT NULL
    ) STRICT;
    CREATE INDEX review_key ON review (workspace, request_key) WHERE request_key IS NOT NULL;
    CREATE TABLE file (
        review_id TEXT NOT NULL REFERENCES review (id) ON DELETE CASCADE, n INTEGER NOT NULL, path BLOB NOT NULL,
        base_hash TEXT, base BLOB NOT NULL, proposed BLOB NOT NULL, final BLOB,
        PRIMARY KEY (review_id, n)
    ) STRICT;
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY, review_id TEXT NOT NULL REFERENCES review (id) ON DELETE CASCADE,
        version INTEGER NOT NULL, state TEXT NOT NULL, at REAL NOT NULL
    ) STRICT;
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    INSERT INTO review VALUES
        ('open1', 2, 'shown', NULL, NULL, X'EDA0BD', X'6D65', X'2F77', X'6B6579', 'auto', X'636F6465', 100.0, 101.5,
         '[]', '[["7-x", 12, "tab"]]'),
        ('done1', 3, 'decided', 'accepted_with_edits', 'accepted_on_page', X'', X'', X'2F77', NULL, 'page', NULL,
         90.0, 95.0, '[["look", 0, 3]]', '[]');
    INSERT INTO file VALUES
        ('open1', 0, X'2F772FFF', NULL, X'', X'620A', NULL), ('done1', 0, X'2F772F61', 'h', X'610A', X'620A', X'630A');
    INSERT INTO event VALUES (1, 'open1', 2, 'shown', 101.5), (2, 'done1', 3, 'decided', 95.0);
    INSERT INTO setting VALUES ('page', '{"port": 7}');
    """,
}
GOLDEN_OPEN = Review(
    id="open1",
    files=(Change(path=b"/w/\xff", base_hash=None, base="", proposed="b\n"),),
    workspace=b"/w",
    created=100.0,
    changed=101.5,
    title="\ud83d",
    agent="me",
    request_key="key",
    ide="code",
    state=State.SHOWN,
    version=2,
    showings=(Showing(ide_id="7-x", request_id=12, tab_name="tab"),),
)
GOLDEN_DONE = Review(
    id="done1",
    files=(Change(path=b"/w/a", base_hash="h", base="a\n", proposed="b\n", final="c\n"),),
    workspace=b"/w",
    created=90.0,
    changed=95.0,
    surface=Surface.PAGE,
    state=State.DECIDED,
    version=3,
    outcome=Outcome.ACCEPTED_WITH_EDITS,
    trigger=Trigger.ACCEPTED_ON_PAGE,
    comments=(Comment(text="look", file=0, line=3),),
)


def _golden(path: str, schema: int) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"{GOLDEN[schema]}; PRAGMA user_version = {schema}")
    os.chmod(path, 0o600)


def test_every_published_schema_has_its_journal() -> None:
    assert list(GOLDEN) == list(range(1, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("schema", GOLDEN)
def test_a_journal_of_every_published_schema_is_read_and_written(path: str, schema: int) -> None:
    _golden(path, schema)
    with closing(Journal(path)) as journal:
        assert journal.undecided() == (GOLDEN_OPEN,)
        assert (journal.get("done1"), journal.setting("page")) == (GOLDEN_DONE, {"port": 7})
        journal.save(ended := advance(GOLDEN_OPEN, Step.CANCEL, 200.0))
    with closing(Journal(path)) as journal:
        assert journal.latest(9)[0].state is journal.get("open1").state is ended.state
    assert Path(f"{path}.v{schema}").exists() == (schema < len(MIGRATIONS))


@pytest.mark.parametrize("schema", GOLDEN)
def test_an_older_bridge_can_go_on_with_the_copy_that_is_kept(
    path: str, schema: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bridges of then and later are this one, which knows fewer schemas, or more."""
    _golden(path, schema)
    later = (*MIGRATIONS, "DROP TABLE setting; ALTER TABLE review RENAME COLUMN title TO headline")
    monkeypatch.setattr("bridge.store.journal.MIGRATIONS", later)
    kept = f"{path}.v{schema}"
    with closing(Journal(path)) as journal:
        assert os.stat(kept).st_mode & 0o777 == 0o600
        journal._db.execute("DELETE FROM review")
        journal.purge(os.stat(kept).st_mtime)  # it is as young as that
    monkeypatch.setattr("bridge.store.journal.MIGRATIONS", MIGRATIONS[:schema])
    before = _files(path)
    with pytest.raises(BadConfiguration, match="newer bridge") as caught:
        Journal(path)
    assert _files(path) == before
    assert caught.value.hint is not None
    Path(f"{path}-wal").write_bytes(b"of the newer journal")
    subprocess.run(caught.value.hint.partition("before it: ")[2], shell=True, check=True)
    assert set(_files(path)) == {Path(path).name}
    with closing(Journal(path)) as journal:
        assert (journal.undecided(), journal.get("done1")) == ((GOLDEN_OPEN,), GOLDEN_DONE)
        assert journal.warning is None


def test_a_copy_is_purged_like_the_texts_that_it_holds(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _golden(path, 1)
    monkeypatch.setattr("bridge.store.journal.MIGRATIONS", (*MIGRATIONS, "CREATE TABLE later (x)"))
    with closing(Journal(path)) as journal:
        kept = Path(f"{path}.v{len(MIGRATIONS)}")
        assert kept.exists()
        journal.purge(kept.stat().st_mtime + 1.0)
        assert not kept.exists()


def test_nothing_is_migrated_without_a_copy(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _golden(path, 1)
    os.mkdir(f"{path}.v1")  # nothing can be put in its place
    before = _files(path)
    monkeypatch.setattr("bridge.store.journal.MIGRATIONS", (*MIGRATIONS[:1], "CREATE TABLE later (x)"))
    with pytest.raises(BadConfiguration, match="cannot keep a copy"):
        Journal(path)
    assert set(_files(path)) == set(before)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_journal_that_another_process_holds_is_an_error_of_the_configuration(
    path: str, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.save(proposal())
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0}))
    with pytest.raises(BadConfiguration, match="cannot open the journal"):
        Journal(path)


_WRITER = """
import sys
from bridge.core.reviews import Change, Review
from bridge.store.journal import Journal
journal = Journal(sys.argv[1])
n = 0
while True:
    file = Change(path=b"/w/a", base_hash=None, base="", proposed="x" * 50_000)
    journal.save(Review(id=f"r{n}", files=(file,), workspace=b"/w", created=n, changed=n))
    print(n, flush=True)
    n += 1
"""


def test_what_was_saved_before_a_kill_is_there_whole(path: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITER, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(20)]
        process.kill()
        lines += process.stdout.readlines()
        process.wait(PATIENCE_S)
    told = len([line for line in lines if line.endswith(b"\n")])
    with closing(Journal(path)) as journal:
        assert journal.warning is None
        reviews = journal.undecided()
        assert len(reviews) in (told, told + 1)  # the last may be on disk and not yet told
        assert {len(review.files[0].proposed) for review in reviews} == {50_000}


_FULL_DISK = """
import resource, sqlite3, sys
from bridge.core.reviews import Change, Review
from bridge.store.journal import Journal
def review(n, size):
    file = Change(path=b"/w/a", base_hash=None, base="", proposed="x" * size)
    return Review(id=f"r{n}", files=(file,), workspace=b"/w", created=n, changed=n)
journal = Journal(sys.argv[1])
journal.save(review(0, 10))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    journal.save(review(1, 1_000_000))
except sqlite3.OperationalError as error:
    print("refused")
print([found.id for found in journal.undecided()])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.save(review(2, 1_000_000))
print([found.id for found in journal.undecided()])
"""


def test_a_full_disk_refuses_one_review_and_harms_no_other(path: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, path], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert done.stdout.splitlines() == ["refused", "['r0']", "['r0', 'r2']"]


def test_a_disk_that_is_full_at_the_start_is_an_error_of_the_configuration(path: str) -> None:
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from bridge.errors import BadConfiguration
from bridge.store.journal import Journal
try:
    Journal({path!r})
except BadConfiguration as error:
    print(error.message)
"""
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S, check=True, env=environ
    )
    assert done.stdout.startswith(f"cannot open the journal {path}: ")


def test_a_migration_that_fails_leaves_the_schema_as_it_was(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Journal(path)) as journal:
        journal.save(proposal())
    before = Path(path).read_bytes()
    broken = "ALTER TABLE review ADD COLUMN mood TEXT; ALTER TABLE nowhere ADD COLUMN x TEXT"
    monkeypatch.setattr("bridge.store.journal.MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises(BadConfiguration, match="nowhere"):
        Journal(path)
    assert Path(path).read_bytes() == before
    monkeypatch.setattr("bridge.store.journal.MIGRATIONS", MIGRATIONS)
    with closing(Journal(path)) as journal:
        assert journal.get("r1") == proposal()


def test_an_older_journal_is_migrated_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Journal(path)) as journal:
        journal.save(proposal())
    step = "CREATE TABLE later (x INTEGER) STRICT; INSERT INTO later VALUES (1)"
    monkeypatch.setattr("bridge.store.journal.MIGRATIONS", (*MIGRATIONS, step))
    for _ in range(2):
        with closing(Journal(path)) as journal:
            assert journal.get("r1") == proposal()
            assert journal._db.execute("SELECT x FROM later").fetchall() == [(1,)]


# ---- the thread


async def test_calls_are_done_in_their_order_and_what_is_queued_is_done_at_the_end(path: str) -> None:
    thread = JournalThread(path)
    records = [proposal()]
    for n in range(20):
        records.append(advance(records[-1], (Step.SHOW, Step.UNSHOW)[n % 2], 200.0 + n))
    for record in records:
        thread.submit(Journal.save, record)
    assert await thread.run(Journal.get, "r1") == records[-1]
    with pytest.raises(Unavailable):
        await thread.run(Journal.get, "r9")
    last = replace(records[-1], version=99)
    thread.submit(Journal.save, last)
    thread.close()
    with closing(Journal(path)) as journal:
        assert journal.get("r1") == last


def test_the_thread_tells_of_a_broken_journal_and_hands_its_errors_on(path: str) -> None:
    _nonsense(Path(path))
    thread = JournalThread(path)
    assert thread.warning is not None
    thread.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(BadConfiguration, match="newer"):
        JournalThread(path)
