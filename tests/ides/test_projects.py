from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bridge.core.selection import Place
from bridge.errors import Usage
from bridge.ides import projects
from bridge.ides.projects import Project

HOME = "/home/somebody"
project_of = partial(projects.project_of, home=HOME)
place = partial(projects.place, home=HOME)

Git = Callable[..., None]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A directory without symlinks on the way to it, outside of any project."""
    return Path(os.path.realpath(tmp_path))


@pytest.fixture
def git(top: Path) -> Git:
    """The real git, which knows nobody's configuration."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(top), "GIT_CONFIG_GLOBAL": os.devnull}
    environ |= {"GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    me = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always")

    def run(*arguments: str | Path, cwd: Path = top) -> None:
        command = ["git", *me, *map(str, arguments)]
        subprocess.run(command, cwd=cwd, env=environ, check=True, capture_output=True)

    return run


def repository(git: Git, path: Path) -> Path:
    git("init", "-q", path)
    git("commit", "-q", "--allow-empty", "-m", "first", cwd=path)
    return path


def test_a_file_belongs_to_the_nearest_repository(top: Path, git: Git) -> None:
    outer = repository(git, top / "outer")
    inner = repository(git, outer / "vendor" / "inner")
    (inner / "src").mkdir()
    (inner / "src" / "a.py").touch()
    expected = Project(root=str(inner), repository=f"{inner}/.git")
    for path in (inner, inner / "src", inner / "src" / "a.py", inner / "no" / "such" / "file"):
        assert project_of(str(path)) == expected
    assert project_of(f"{outer}/vendor").root == str(outer)


def test_worktrees_are_of_the_same_repository(top: Path, git: Git) -> None:
    main = repository(git, top / "main")
    git("worktree", "add", "-q", top / "elsewhere" / "fix", cwd=main)
    assert project_of(f"{top}/elsewhere/fix/a.py") == Project(root=f"{top}/elsewhere/fix", repository=f"{main}/.git")


def test_worktrees_of_a_bare_repository_are_of_it(top: Path, git: Git) -> None:
    main = repository(git, top / "main")
    git("clone", "-q", "--bare", main, top / "bare.git")
    git("worktree", "add", "-q", top / "fix", "-b", "fix", cwd=top / "bare.git")
    assert project_of(f"{top}/fix") == Project(root=f"{top}/fix", repository=f"{top}/bare.git")


def test_a_submodule_is_a_repository_of_its_own(top: Path, git: Git) -> None:
    library, app = repository(git, top / "library"), repository(git, top / "app")
    git("submodule", "--quiet", "add", library, "lib", cwd=app)
    assert project_of(f"{app}/lib/a.c") == Project(root=f"{app}/lib", repository=f"{app}/.git/modules/lib")


def test_a_linked_git_directory_is_the_one_it_leads_to(top: Path, git: Git) -> None:
    main = repository(git, top / "main")
    (top / "copy").mkdir()
    (top / "copy" / ".git").symlink_to(main / ".git")
    assert project_of(f"{top}/copy").repository == f"{main}/.git"


@pytest.mark.parametrize("marker", [".hg", ".svn", ".jj"])
def test_other_systems_have_a_root_but_no_repository(top: Path, marker: str) -> None:
    (top / "app" / marker).mkdir(parents=True)
    assert project_of(f"{top}/app/src/a.py") == Project(root=f"{top}/app")


def test_git_wins_where_two_systems_share_a_root(top: Path) -> None:
    for marker in (".jj", ".git"):
        (top / "app" / marker).mkdir(parents=True)
    assert project_of(f"{top}/app") == Project(root=f"{top}/app", repository=f"{top}/app/.git")


HOSTILE: list[tuple[str, Callable[[Path], object]]] = [
    ("a FIFO that would hold us up", os.mkfifo),
    ("a link to itself", lambda git: git.symlink_to(".git")),
    ("a link to nowhere", lambda git: git.symlink_to("nowhere")),
    ("another format", lambda git: git.write_text("HEAD", encoding="utf-8")),
    ("a directory that is not there", lambda git: git.write_text("gitdir: ../gone\n", encoding="utf-8")),
    ("a file", lambda git: git.write_text("gitdir: .git\n", encoding="utf-8")),
    ("NUL", lambda git: git.write_bytes(b"gitdir: a\0b\n")),
    ("bytes that are not text", lambda git: git.write_bytes(b"gitdir: \xff\xfe\n")),
    ("a path without end", lambda git: git.write_bytes(b"gitdir: " + b"x/" * 10**5)),
]


@pytest.mark.parametrize("make", [row[1] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_git_file_that_leads_nowhere_marks_a_project_without_repository(
    top: Path, make: Callable[[Path], object]
) -> None:
    (top / "app").mkdir()
    make(top / "app" / ".git")
    assert project_of(f"{top}/app/src") == Project(root=f"{top}/app")


def test_a_common_directory_that_is_gone_is_no_repository(top: Path) -> None:
    (top / "app" / ".git").mkdir(parents=True)
    (top / "app" / ".git" / "commondir").write_text("../../gone\n", encoding="utf-8")
    assert project_of(f"{top}/app") == Project(root=f"{top}/app")


def test_the_search_ends(top: Path) -> None:
    (top / ".git").mkdir()
    assert project_of(str(top.joinpath(*"d" * 63))).root == str(top)
    assert project_of(str(top.joinpath(*"d" * 64))) == Project()


@pytest.mark.parametrize("below", ["", "notes", "src/deep/a.py", ".config/nvim/init.lua"])
def test_a_repository_at_home_is_no_project(top: Path, git: Git, below: str) -> None:
    repository(git, top / "me")
    assert projects.project_of(str(top / "me" / below), str(top / "me")) == Project()


def test_nor_is_one_above_home_for_what_is_in_it(top: Path, git: Git) -> None:
    outer = repository(git, top / "outer")
    (outer / "me").mkdir()
    assert projects.project_of(f"{outer}/me/a.py", f"{outer}/me") == Project()
    assert projects.project_of(f"{outer}/you/a.py", f"{outer}/me").root == str(outer)


def test_projects_at_home_are_projects(top: Path, git: Git) -> None:
    home = repository(git, top / "me")
    app = repository(git, home / "app")
    git("worktree", "add", "-q", home / "fix", cwd=app)
    worktree = Project(root=f"{home}/fix", repository=f"{app}/.git")
    assert projects.project_of(f"{home}/fix/a.py", str(home)) == worktree
    found = projects.place(str(home), f"{app}/a.py", home=str(home))
    assert (found.project, found.cwd_project) == (str(app), None)


def test_outside_of_any_project_there_is_none() -> None:
    assert project_of("/") == Project()


def test_a_place_is_made_of_real_paths(top: Path, git: Git) -> None:
    app, notes = repository(git, top / "app"), top / "notes"
    notes.mkdir()
    (top / "linked").symlink_to("app")
    assert place(str(top / "linked")) == Place(directory=str(app), cwd_project=str(app), cwd_repository=f"{app}/.git")
    assert place(os.fsencode(notes), "../linked/new/a.py") == Place(
        directory=str(notes), file=f"{app}/new/a.py", project=str(app), repository=f"{app}/.git"
    )


def test_a_name_that_is_not_utf8_is_a_name(top: Path) -> None:
    assert place(os.fsencode(top), b"caf\xe9").file == f"{top}/caf\udce9"


@pytest.mark.parametrize(
    ("directory", "file"), [("src", None), ("", None), ("/a\0b", None), ("/", "a\0b"), ("/", "half \ud83d")]
)
def test_a_place_that_cannot_be_is_the_asker_s_fault(directory: str, file: str | None) -> None:
    with pytest.raises(Usage):
        place(directory, file)
