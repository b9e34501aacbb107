"""The journal: every review on disk, before anybody hears of it.

SQLite, one connection in one thread of one process (design.md D6): WAL with ``synchronous=FULL``, so that what was
committed survives a power cut, and ``locking_mode=EXCLUSIVE``, since nobody else has business here. Texts and
paths are stored as bytes, so that lone surrogates and names that are not UTF-8 survive.

A journal that fails SQLite's ``quick_check`` is moved aside and told; one that a newer bridge wrote is refused
untouched. Before a migration a copy of the journal is kept as ``journal.sqlite.v<schema>``, for as long as texts of
ended reviews are: with it an older bridge goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import quote

from bridge.core.reviews import OPEN, Change, Comment, Outcome, Review, Showing, State, Step, Surface, Trigger, advance
from bridge.errors import BadConfiguration, Conflict, Unavailable

__all__ = ["MIGRATIONS", "Journal", "JournalThread"]

P = ParamSpec("P")
T = TypeVar("T")

# One script for each version of the schema; a published one is never changed. The files stand apart from the
# review from the start: one review will have many.
MIGRATIONS: Final = (
    """
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
    """,
)

_UPSERT: Final = """
    INSERT INTO review VALUES (:id, :version, :state, :outcome, :trigger, :title, :agent, :workspace, :request_key,
        :surface, :ide, :created, :changed, :comments, :showings)
    ON CONFLICT (id) DO UPDATE SET version = :version, state = :state, outcome = :outcome, "trigger" = :trigger,
        surface = :surface, ide = :ide, changed = :changed, comments = :comments, showings = :showings
    WHERE version < :version
"""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


class Journal:
    """The open journal; every method runs in the thread that opened it, and a write is on disk when it returns."""

    def __init__(self, path: str) -> None:
        """Open or create the journal at `path`, with mode 0600.

        Raises `BadConfiguration` when a newer bridge wrote it, or the disk refuses.
        """
        self.path = path
        self.warning: str | None = None  # for `status`, when a broken journal was moved aside
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as exc:
            if isinstance(exc, sqlite3.OperationalError):
                raise BadConfiguration(f"cannot open the journal {path}: {exc}", "bridge doctor") from exc
            aside = self._move_aside()
            self.warning = f"the journal was broken ({exc}); it is kept as {aside}, and a new one was begun"
            self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._refuse_newer()
        db = sqlite3.connect(self.path, isolation_level=None)
        try:
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                db.execute(f"PRAGMA {pragma}")
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            self._migrate(db)
        except BaseException:
            db.close()
            raise
        return db

    def _refuse_newer(self) -> None:
        """Look at the schema without writing: even who opens a journal to read it writes its ``-shm``.

        What a crash left in the ``-wal`` counts, so then a copy is looked at. Where that cannot be done `_migrate`,
        which looks again, must do.
        """
        with suppress(sqlite3.OperationalError, OSError):
            if not os.path.exists(f"{self.path}-wal"):
                address = f"file:{quote(os.fsencode(self.path))}?immutable=1"
                with closing(sqlite3.connect(address, uri=True)) as db:
                    self._version(db)
                return
            with tempfile.TemporaryDirectory(dir=os.path.dirname(self.path)) as folder:
                for suffix in ("", "-wal"):
                    shutil.copyfile(self.path + suffix, f"{folder}/copy{suffix}")
                with closing(sqlite3.connect(f"{folder}/copy")) as db:
                    self._version(db)

    def _version(self, db: sqlite3.Connection) -> int:
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            kept = self._kept(len(MIGRATIONS))
            back = f"; or go back to the reviews of before it: rm -f '{self.path}'-* && mv '{kept}' '{self.path}'"
            raise BadConfiguration(
                f"the journal {self.path} was written by a newer bridge (schema {version})",
                "upgrade the bridge" + (back if os.path.exists(kept) else ""),
            )
        return version

    def _kept(self, version: int) -> str:
        return f"{self.path}.v{version}"

    def _keep(self, db: sqlite3.Connection, version: int) -> None:
        """Keep a copy of the journal as it is before a migration, with mode 0600, whole or not at all."""
        try:
            with tempfile.TemporaryDirectory(dir=os.path.dirname(self.path)) as folder:
                os.close(os.open(f"{folder}/copy", os.O_CREAT | os.O_CLOEXEC, 0o600))
                with closing(sqlite3.connect(f"{folder}/copy")) as copy:
                    db.backup(copy)
                os.replace(f"{folder}/copy", self._kept(version))
        except OSError as exc:
            trouble = f"cannot keep a copy of the journal as {self._kept(version)}: {exc.strerror}"
            raise BadConfiguration(trouble, "bridge doctor") from exc

    def _migrate(self, db: sqlite3.Connection) -> None:
        version = self._version(db)
        if 0 < version < len(MIGRATIONS):
            self._keep(db, version)
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            db.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT")

    def _move_aside(self) -> str:
        number = 1
        while os.path.exists(aside := f"{self.path}.broken-{number}"):
            number += 1
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.path + suffix):
                os.replace(self.path + suffix, aside + suffix)
        return aside

    def close(self) -> None:
        """Close the journal; nothing is pending, since every write was committed."""
        self._db.close()

    def save(self, review: Review) -> None:
        """Write this version of `review`; an older version than the one on disk changes nothing.

        Texts do not change after the first version, so only what the human accepted is written again.
        """
        row = {
            "id": review.id,
            "version": review.version,
            "state": review.state,
            "outcome": review.outcome,
            "trigger": review.trigger,
            "title": _bytes(review.title),
            "agent": _bytes(review.agent),
            "workspace": review.workspace,
            "request_key": None if review.request_key is None else _bytes(review.request_key),
            "surface": review.surface,
            "ide": None if review.ide is None else _bytes(review.ide),
            "created": review.created,
            "changed": review.changed,
            "comments": json.dumps([[c.text, c.file, c.line] for c in review.comments]),
            "showings": json.dumps([[s.ide_id, s.request_id, s.tab_name] for s in review.showings]),
        }
        with _Transaction(self._db):
            if self._db.execute(_UPSERT, row).rowcount == 0:
                return
            for n, file in enumerate(review.files):
                self._save_file(review.id, n, file)
            self._db.execute(
                "INSERT INTO event (review_id, version, state, at) VALUES (?, ?, ?, ?)",
                (review.id, review.version, review.state, review.changed),
            )

    def _save_file(self, review_id: str, n: int, file: Change) -> None:
        final = None if file.final is None else _bytes(file.final)
        updated = self._db.execute("UPDATE file SET final = ? WHERE review_id = ? AND n = ?", (final, review_id, n))
        if updated.rowcount == 0:
            self._db.execute(
                "INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?)",
                (review_id, n, file.path, file.base_hash, _bytes(file.base), _bytes(file.proposed), final),
            )

    def deliver(self, review_id: str, now: float) -> Review:
        """Note that the asker has the decision, and give the review.

        Raises `Unavailable` for an unknown id, `Conflict` for a review that nobody decided.
        """
        review = self.get(review_id)
        if review.state is State.DELIVERED:
            return review
        if review.state is not State.DECIDED:
            raise Conflict(f"review {review_id} is {review.state}: there is nothing to deliver")
        review = advance(review, Step.DELIVER, now)
        self.save(review)
        return review

    def get(self, review_id: str) -> Review:
        """Read one review. Raises `Unavailable` for an id that is not here (any more)."""
        found = self._select("WHERE id = ?", review_id)
        if not found:
            raise Unavailable(f"there is no review {review_id}", "bridge review ls --all")
        return found[0]

    def by_key(self, workspace: bytes, request_key: str) -> Review | None:
        """Find the newest review that has the request key in this workspace."""
        found = self._select(
            "WHERE workspace = ? AND request_key = ? ORDER BY created DESC LIMIT 1", workspace, _bytes(request_key)
        )
        return found[0] if found else None

    def undecided(self) -> tuple[Review, ...]:
        """Read the open reviews, oldest first."""
        marks = ",".join("?" * len(OPEN))
        return self._select(f"WHERE state IN ({marks}) ORDER BY created", *OPEN)

    def latest(self, most: int) -> tuple[Review, ...]:
        """Read reviews in any state, newest first, at most so many, without their texts."""
        return self._select("ORDER BY created DESC LIMIT ?", most, texts=False)

    def _select(self, where: str, *values: Any, texts: bool = True) -> tuple[Review, ...]:
        rows = self._db.execute(f"SELECT * FROM review {where}", values).fetchall()
        return tuple(_review(row, self._files(row[0], texts)) for row in rows)

    def _files(self, review_id: str, texts: bool) -> tuple[Change, ...]:
        columns = "path, base_hash, base, proposed, final" if texts else "path, base_hash, x'', x'', NULL"
        rows = self._db.execute(f"SELECT {columns} FROM file WHERE review_id = ? ORDER BY n", (review_id,))
        return tuple(
            Change(
                path=path,
                base_hash=base_hash,
                base=_text(base),
                proposed=_text(proposed),
                final=None if final is None else _text(final),
            )
            for path, base_hash, base, proposed, final in rows
        )

    def purge(self, before: float) -> int:
        """Delete what ended before that moment, and copies that are older; give how many reviews that were."""
        for kept in map(self._kept, range(1, len(MIGRATIONS))):
            with suppress(OSError):
                if os.stat(kept).st_mtime < before:
                    os.unlink(kept)
        marks = ",".join("?" * len(OPEN))
        gone = self._db.execute(f"DELETE FROM review WHERE changed < ? AND state NOT IN ({marks})", (before, *OPEN))
        return gone.rowcount

    def setting(self, name: str) -> Any:
        """Read a small JSON value that the daemon keeps; None when it was never written."""
        row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def set_setting(self, name: str, value: Any) -> None:
        """Write a small JSON value."""
        self._db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))


def _review(row: tuple[Any, ...], files: tuple[Change, ...]) -> Review:
    (id_, version, state, outcome, trigger, title, agent, workspace, key, surface, ide, created, changed, *lists) = row
    comments, showings = (json.loads(column) for column in lists)
    return Review(
        id=id_,
        version=version,
        state=State(state),
        outcome=None if outcome is None else Outcome(outcome),
        trigger=None if trigger is None else Trigger(trigger),
        title=_text(title),
        agent=_text(agent),
        workspace=workspace,
        request_key=None if key is None else _text(key),
        surface=Surface(surface),
        ide=None if ide is None else _text(ide),
        created=created,
        changed=changed,
        files=files,
        comments=tuple(Comment(text=text, file=file, line=line) for text, file, line in comments),
        showings=tuple(Showing(ide_id=ide_id, request_id=id_, tab_name=tab) for ide_id, id_, tab in showings),
    )


class _Transaction:
    """Commit on leaving, roll back on an exception; the connection itself is in autocommit mode."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._db.execute("COMMIT")
                return
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


class JournalThread:
    """The journal's one thread: calls are done in the order in which they were made."""

    def __init__(self, path: str) -> None:
        self._pool = ThreadPoolExecutor(1, "journal")
        self._journal = self._pool.submit(Journal, path).result()
        self.warning = self._journal.warning

    def submit(self, method: Callable[Concatenate[Journal, P], T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call; the future ends with what the method gives or raises."""
        return self._pool.submit(method, self._journal, *args, **kwargs)

    async def run(self, method: Callable[Concatenate[Journal, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method and wait for it."""
        return await asyncio.wrap_future(self.submit(method, *args, **kwargs))

    def close(self) -> None:
        """Finish what is queued and close the journal."""
        self._pool.submit(self._journal.close)
        self._pool.shutdown()
