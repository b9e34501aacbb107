from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.ranking import Candidate, Fit, How, Listener, Own, Pid, Place, Tier, stand
from bridge.core.terminal import Family, Group, Terminal
from pathconv import Env, Facts, Mount, PathMapper
from tests.core.candidates import ide

GIT = "/w/mono/.git"
FILE = Place(
    directory="/v/lib/src",
    file="/w/mono/app/a.py",
    project="/w/mono",
    repository=GIT,
    cwd_project="/v/lib",
    cwd_repository="/v/lib/.git",
)

# (folders that are open,              how the file is matched: how, directories in common, folder)
MATCHES: list[tuple[tuple[str, ...], How, int, str]] = [
    (("/w/mono/app",),                 How.HOLDS,  3, "/w/mono/app"),
    (("/w/mono/app/",),                How.HOLDS,  3, "/w/mono/app/"),
    (("//w//mono",),                   How.HOLDS,  2, "//w//mono"),
    (("/",),                           How.HOLDS,  0, "/"),
    (("/w/mono/app/a.py",),            How.HOLDS,  4, "/w/mono/app/a.py"),  # opened as a single file
    (("/", "/w/mono/app", "/w"),       How.HOLDS,  3, "/w/mono/app"),
    (("/w/mono/lib/deep/er", "/w"),    How.HOLDS,  1, "/w"),
    (("/w/mono/lib",),                 How.INSIDE, 2, "/w/mono/lib"),
    (("/w/mono/app2",),                How.INSIDE, 2, "/w/mono/app2"),
    (("/w/mono/lib", "/w/mono/app/x"), How.INSIDE, 3, "/w/mono/app/x"),  # the nearer one
]  # fmt: skip


@pytest.mark.parametrize(("folders", "how", "common", "folder"), MATCHES)
def test_a_workspace_matches_the_file(folders: tuple[str, ...], how: How, common: int, folder: str) -> None:
    for order in (folders, folders[::-1]):
        standing = stand(ide(4001, *order), FILE, Terminal())
        assert (standing.tier, standing.fit) == (Tier.FILE, Fit(Tier.FILE, how, -common, folder))


@pytest.mark.parametrize(
    "folders",
    [(), ("/w/mon",), ("/w/mono2",), ("/W/mono",), ("/v/other",), ("",), ("w/mono",), (".",), ("C:\\w\\mono",)],
)
def test_any_other_workspace_matches_nothing(folders: tuple[str, ...]) -> None:
    assert stand(ide(4001, folders=folders), FILE, Terminal()).tier is Tier.OUTSIDE


def test_a_worktree_of_the_same_repository_matches_less_than_a_folder_does() -> None:
    worktree = ide(4001, "/x/worktree", repositories=frozenset({GIT}))
    assert stand(worktree, FILE, Terminal()).fit == Fit(Tier.FILE, How.REPOSITORY, 0, "")
    inside = ide(4002, "/w/mono/lib", repositories=frozenset({GIT}))
    assert stand(inside, FILE, Terminal()).fit.how is How.INSIDE


def test_a_path_without_project_and_repository_is_matched_by_what_holds_it_alone() -> None:
    loose = Place(directory="/v", file="/w/a.py")
    assert stand(ide(4001, "/w/sub"), loose, Terminal()).tier is Tier.OUTSIDE
    assert stand(ide(4001, "/w"), loose, Terminal()).tier is Tier.FILE


@pytest.mark.parametrize(
    ("candidate", "how"),
    [
        (ide(4001, "/v/lib"), How.HOLDS),
        (ide(4001, "/v/lib/docs"), How.INSIDE),
        (ide(4001, "/x", repositories=frozenset({"/v/lib/.git"})), How.REPOSITORY),
    ],
)
def test_what_does_not_match_the_file_may_match_the_working_directory(candidate: Candidate, how: How) -> None:
    standing = stand(candidate, FILE, Terminal())
    assert (standing.tier, standing.fit.how) == (Tier.DIRECTORY, how)


def test_without_a_file_only_the_working_directory_counts() -> None:
    place = Place(directory="/v/lib", project="/w", repository=GIT)
    assert stand(ide(4001, "/v"), place, Terminal()).tier is Tier.DIRECTORY
    assert stand(ide(4001, "/w", repositories=frozenset({GIT})), place, Terminal()).tier is Tier.OUTSIDE


VSCODE = Terminal(group=Group.VSCODE)
CURSOR = Terminal(group=Group.VSCODE, family=Family.CURSOR)
JETBRAINS = Terminal(group=Group.JETBRAINS)

# (the IDE,                                  the terminal,        what says that it is the IDE's own)
OWNERS: list[tuple[Candidate, Terminal, Own]] = [
    (ide(4001),                              Terminal(),          Own.NOTHING),
    (ide(4001),                              Terminal(port=4001), Own.PORT),
    (ide(4001),                              Terminal(port=4002), Own.NOTHING),
    (ide(4001, ancestor=True),               Terminal(port=4001), Own.PORT),
    (ide(4001, ancestor=True),               Terminal(),          Own.ANCESTRY),
    (ide(4001, ancestor=True),               VSCODE,              Own.ANCESTRY),
    (ide(4001, name="Cursor"),               CURSOR,              Own.FAMILY),
    (ide(4001, name="Cursor"),               VSCODE,              Own.GROUP),
    (ide(4001, name="Visual Studio Code"),   CURSOR,              Own.GROUP),
    (ide(4001, name="PyCharm Professional"), JETBRAINS,           Own.GROUP),
    (ide(4001, name="PyCharm"),              VSCODE,              Own.NOTHING),
    (ide(4001, name="Unheard Of"),           VSCODE,              Own.NOTHING),
    (ide(4001, name="Unheard Of"),           Terminal(),          Own.NOTHING),
]  # fmt: skip


@pytest.mark.parametrize(("candidate", "terminal", "own"), OWNERS)
def test_the_terminals_own_ide_is_told_by_its_strongest_sign(
    candidate: Candidate, terminal: Terminal, own: Own
) -> None:
    standing = stand(candidate, FILE, terminal)
    assert standing.rank.own is own
    assert standing.tier is (Tier.TERMINAL if own in (Own.PORT, Own.ANCESTRY) else Tier.OUTSIDE)


def test_the_terminals_own_ide_stays_in_the_tier_of_its_workspace() -> None:
    assert stand(ide(4001, "/w/mono"), FILE, Terminal(port=4001)).tier is Tier.FILE


# each one ranks before the next
IN_ORDER = [
    ide(4009, "/v/lib", ancestor=True),
    ide(4008, "/w/mono/app", name="Cursor", modified=1.0),
    ide(4007, "/w/mono", name="Cursor", last_focus=9.0),
    ide(4006, "/w/mono", name="Cursor", last_focus=8.0, modified=9000.0),
    ide(4005, "/w/mono", name="Cursor", modified=2000.0),
    ide(4003, "/w/mono", name="Cursor", modified=1000.0),
    ide(4004, "/w/mono", name="Cursor", modified=1000.0),
    ide(4002, "/w/mono/app", name="PyCharm", last_focus=99.0),
    ide(4002, "/w/mono/app", name="PyCharm", last_focus=99.0, pid=Pid.DEAD),
    ide(4001, "/v/lib", name="PyCharm", last_focus=99.0, pid=Pid.REUSED),
]


@pytest.mark.parametrize(("better", "worse"), list(pairwise(IN_ORDER)))
def test_the_first_difference_decides(better: Candidate, worse: Candidate) -> None:
    assert stand(better, FILE, VSCODE).rank < stand(worse, FILE, VSCODE).rank


@pytest.mark.parametrize("pid", [Pid.ALIVE, Pid.UNKNOWN])
def test_a_pid_that_nobody_can_look_up_costs_nothing(pid: Pid) -> None:
    assert not stand(ide(4001, pid=pid), FILE, Terminal()).rank.gone


@pytest.mark.parametrize("listener", Listener)
def test_an_ide_lives_if_the_listener_is_ours_or_may_be(listener: Listener) -> None:
    assert stand(ide(4001, listener=listener), FILE, Terminal()).lives is (listener in (Listener.OURS, Listener.HIDDEN))


PATHS = st.lists(st.sampled_from(["a", "ab", "b", ".git"]), max_size=4).map(lambda parts: "/" + "/".join(parts))


@settings(deadline=None)
@given(folder=PATHS, path=PATHS, other=PATHS)
def test_a_folder_holds_itself_and_what_lies_below_it(folder: str, path: str, other: str) -> None:
    def holds(directory: str) -> bool:
        place = Place(directory="/nowhere", file=f"/{path}")
        return stand(ide(4001, directory), place, Terminal()).tier is Tier.FILE

    assert holds(folder) is f"{path}/".startswith(folder.rstrip("/") + "/")
    assert holds(f"{path}/{other}") is (other == "/")


# ---- across the Windows boundary

MOUNTS = (Mount("/", None), Mount("/mnt/c", "C:\\"))
IN_WSL = PathMapper(Facts(Env.WSL2, "linux", "Ubuntu", MOUNTS))
IN_WINDOWS = PathMapper(Facts(Env.WSL2, "windows", "Ubuntu", MOUNTS))


@pytest.mark.parametrize(
    ("mapper", "folder", "path", "how"),
    [
        (IN_WSL, "/mnt/c/Src/App", "/mnt/c/src/app/a.py", How.HOLDS),  # Windows' drives do not mind
        (IN_WSL, "/home/me/App", "/home/me/app/a.py", None),
        (IN_WSL, "/mnt/c/src", "/mnt/c/srcx/a.py", None),
        (None, "/mnt/c/Src/App", "/mnt/c/src/app/a.py", None),  # a directory like any other
        (IN_WSL, "Z:\\gone", "/mnt/c/a.py", None),
        (IN_WSL, "src", "/src/a.py", None),
        (IN_WINDOWS, "C:\\Src", "c:\\src\\a.py", How.HOLDS),
        (IN_WINDOWS, "\\\\wsl.localhost\\Ubuntu\\home", "\\\\wsl$\\ubuntu\\home\\a.py", How.HOLDS),
        (IN_WINDOWS, "src", "C:\\src\\a.py", None),
    ],
)
def test_paths_are_compared_as_their_file_systems_do(
    mapper: PathMapper | None, folder: str, path: str, how: How | None
) -> None:
    place = Place(directory="/nowhere", file=path, mapper=mapper)
    fit = stand(ide(4001, folder), place, Terminal()).fit
    assert (fit.how if fit.tier is Tier.FILE else None) is how


def test_a_folder_inside_the_project_is_known_whatever_its_case() -> None:
    place = Place(directory="/", file="/mnt/c/Mono/lib/a.py", project="/mnt/c/Mono", mapper=IN_WSL)
    assert stand(ide(4001, "/mnt/c/mono/App"), place, Terminal()).fit.how is How.INSIDE
