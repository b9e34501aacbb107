from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.lockfile import Family
from bridge.core.ranking import Candidate, Listener, Pid, Place
from bridge.core.selection import Pinned, Selection, no_ide, select, why_none
from bridge.core.terminal import Group, Terminal
from tests.core.candidates import ide

PLACE = Place(
    directory="/v/lib/src",
    file="/w/app/src/a.py",
    project="/w/app",
    repository="/w/app/.git",
    cwd_project="/v/lib",
    cwd_repository="/v/lib/.git",
)
NO_FILE = Place(directory="/v/lib/src")
WORKTREE = frozenset({"/w/app/.git"})
VSCODE = Terminal(group=Group.VSCODE)

JEDITERM = Terminal(group=Group.JETBRAINS)

CHOSEN, NEXT, NO = "chosen", "next", "no"


def jetbrains(port: int, name: str = "JetBrains IDE", **facts: Any) -> Candidate:
    return ide(port, name=name, family=Family.JETBRAINS, **facts)


class Story(NamedTuple):
    title: str
    ides: list[Candidate]
    verdicts: list[tuple[int, str, str]]  # port, what becomes of it, why; best first
    terminal: Terminal = Terminal()
    place: Place = PLACE
    asked: dict[str, Any] = {}  # noqa: RUF012 (a NamedTuple's default, never changed)


NO_MATCH = "its workspace /x holds neither the file nor the working directory"

ASKED_LAST = "it announces no folder, so it is asked only where no other IDE has the file or the directory"

TIERS = [
    Story("there is no IDE", [], []),
    Story(
        "a folder holds the file",
        [ide(4001, "/w/app")],
        [(4001, CHOSEN, "its folder /w/app holds the file")],
    ),
    Story(
        "a folder lies in the file's project",
        [ide(4001, "/w/app/docs")],
        [(4001, CHOSEN, "its folder /w/app/docs lies in the project of the file")],
    ),
    Story(
        "a worktree is open",
        [ide(4001, "/x", repositories=WORKTREE)],
        [(4001, CHOSEN, "it has the repository of the file open")],
    ),
    Story(
        "the file goes before the working directory and the terminal",
        [ide(4001, "/v/lib"), ide(4002, "/x"), ide(4003, "/"), ide(4004)],
        [
            (4003, CHOSEN, "its folder / holds the file"),
            (4001, NO, "its workspace /v/lib does not hold the file"),
            (4002, NO, "its workspace /x does not hold the file"),
            (4004, NO, "it has no folder open"),
        ],
        terminal=Terminal(port=4002),
    ),
    Story(
        "nothing matches the file: the working directory counts",
        [ide(4002, "/x", "/y", "/z"), ide(4001, "/v/lib")],
        [
            (4001, CHOSEN, "its folder /v/lib holds the working directory"),
            (4002, NO, "its workspace /x (and 2 more) holds neither the file nor the working directory"),
        ],
        terminal=Terminal(port=4002),
    ),
    Story(
        "what matches the file does not live: the working directory counts",
        [ide(4001, "/w/app", listener=Listener.NONE), ide(4002, "/v/lib")],
        [
            (4002, CHOSEN, "its folder /v/lib holds the working directory"),
            (4001, NO, "nothing listens on port 4001"),
        ],
    ),
    Story(
        "what matches the file is not for this asker: the working directory counts",
        [ide(4001, "/w/app", foreign="of another machine"), ide(4002, "/v/lib")],
        [
            (4002, CHOSEN, "its folder /v/lib holds the working directory"),
            (4001, NO, "of another machine"),
        ],
    ),
    Story(
        "nothing matches a place: the port of the terminal counts",
        [ide(4001, "/x"), ide(4002, "/x")],
        [(4002, CHOSEN, "the terminal's port variable names it"), (4001, NO, NO_MATCH)],
        terminal=Terminal(port=4002),
    ),
    Story(
        "nothing matches a place: the terminal's ancestor counts",
        [ide(4001, "/x"), ide(4002, "/x", ancestor=True)],
        [(4002, CHOSEN, "the terminal runs inside it"), (4001, NO, NO_MATCH)],
    ),
    Story(
        "the port goes before ancestry",
        [ide(4001, "/x", ancestor=True), ide(4002, "/x")],
        [
            (4002, CHOSEN, "the terminal's port variable names it"),
            (4001, NEXT, "the terminal rather belongs to Visual Studio Code on port 4002"),
        ],
        terminal=Terminal(port=4002),
    ),
    Story(
        "a port variable is stale",
        [ide(4001, "/x", listener=Listener.NONE), ide(4002, "/x")],
        [(4002, NO, NO_MATCH), (4001, NO, "nothing listens on port 4001")],
        terminal=Terminal(port=4001),
    ),
    Story(
        "the terminal is of a kind, which is too little",
        [ide(4001, "/x")],
        [(4001, NO, NO_MATCH)],
        terminal=VSCODE,
    ),
    Story(
        "there is no file",
        [ide(4001, "/w/app"), ide(4002, "/v")],
        [
            (4002, CHOSEN, "its folder /v holds the working directory"),
            (4001, NO, "its workspace /w/app does not hold the working directory"),
        ],
        place=NO_FILE,
    ),
    Story(
        "its folders have no name on this side",
        [ide(4001, "Z:\\app", folders=())],
        [(4001, NO, "none of its folders exists here")],
    ),
    Story(
        "nobody else has anything to do with it: one that says nothing of its folders is asked",
        [jetbrains(4001), ide(4002, "/x"), ide(4003, "/w", listener=Listener.NONE)],
        [
            (4001, CHOSEN, "it announces no folder, and is asked whether what is asked about is its own"),
            (4002, NO, NO_MATCH),
            (4003, NO, "nothing listens on port 4003"),
        ],
        terminal=VSCODE,
    ),
    Story(
        "of two that are asked one may be the terminal's: there every product says the same",
        [jetbrains(4001), jetbrains(4002, name="JetBrains PyCharm"), ide(4003, "/x")],
        [
            (4001, CHOSEN, "the terminal is of its kind; lowest port of 2"),
            (4002, NEXT, "JetBrains IDE on port 4001 has the lower port"),
            (4003, NO, NO_MATCH),
        ],
        terminal=JEDITERM,
    ),
    Story(
        "whoever has the working directory goes before those that are asked, even in their terminal",
        [jetbrains(4001), ide(4002, "/v/lib")],
        [(4002, CHOSEN, "its folder /v/lib holds the working directory"), (4001, NO, ASKED_LAST)],
        terminal=JEDITERM,
    ),
    Story(
        "the terminal's own IDE goes before those that are asked",
        [jetbrains(4001), ide(4002, "/x")],
        [(4002, CHOSEN, "the terminal's port variable names it"), (4001, NO, ASKED_LAST)],
        terminal=Terminal(port=4002),
    ),
    Story(
        "one that is asked has said no",
        [jetbrains(4001, foreign="no"), jetbrains(4002)],
        [
            (4002, CHOSEN, "it announces no folder, and is asked whether what is asked about is its own"),
            (4001, NO, "no"),
        ],
    ),
]

OBSTACLES = [
    Story(
        "the listener is not ours",
        [
            ide(4001, "/w/app", listener=Listener.FOREIGN),
            ide(4002, "/w/app", listener=Listener.UNKNOWN),
            ide(4003, "/w/app", listener=Listener.NONE),
        ],
        [
            (4001, NO, "port 4001 belongs to another user"),
            (4002, NO, "cannot tell who listens on port 4002"),
            (4003, NO, "nothing listens on port 4003"),
        ],
        asked={"takeover": True},
    ),
    Story(
        "the process is gone, and so is the listener",
        [
            ide(4001, "/w/app", listener=Listener.NONE, pid=Pid.DEAD),
            ide(4002, "/w/app", listener=Listener.FOREIGN, pid=Pid.REUSED),
        ],
        [
            (4001, NO, "PID 12 is dead and nothing listens on port 4001"),
            (4002, NO, "PID 12 is another process now and port 4002 belongs to another user"),
        ],
    ),
    Story(
        "the process is gone, but our listener is there",
        [ide(4001, "/w/app", pid=Pid.DEAD)],
        [(4001, CHOSEN, "its folder /w/app holds the file")],
    ),
    Story(
        "an occupied one gives way within its tier",
        [ide(4001, "/w/app", occupied=True), ide(4002, "/w")],
        [(4002, CHOSEN, "its folder /w holds the file"), (4001, NO, "occupied by another client")],
    ),
    Story(
        "an occupied one does not open the next tier",
        [ide(4001, "/w/app", occupied=True), ide(4002, "/v/lib")],
        [
            (4001, NO, "occupied by another client"),
            (4002, NO, "its workspace /v/lib does not hold the file"),
        ],
    ),
    Story(
        "an occupied one serves several clients",
        [ide(4001, "/w/app", occupied=True, shareable=True)],
        [(4001, CHOSEN, "its folder /w/app holds the file")],
    ),
    Story(
        "an occupied one may be taken over",
        [ide(4001, "/w/app", occupied=True)],
        [(4001, CHOSEN, "its folder /w/app holds the file")],
        asked={"takeover": True},
    ),
    Story(
        "one in trouble gives way within its tier, even to a worse one",
        [
            ide(4001, "/w/app", trouble="its token was refused"),
            ide(4002, "/x", repositories=WORKTREE, pid=Pid.REUSED),
        ],
        [
            (4002, CHOSEN, "it has the repository of the file open"),
            (4001, NO, "its token was refused"),
        ],
    ),
    Story(
        "one that lacks what is asked for gives way within its tier, and opens no other; its trouble is not the point",
        [
            ide(4001, "/w/app", lacks="it cannot open files", trouble="it does not answer"),
            ide(4002, "/w"),
            ide(4003, "/v/lib"),
        ],
        [
            (4002, CHOSEN, "its folder /w holds the file"),
            (4001, NO, "it cannot open files"),
            (4003, NO, "its workspace /v/lib does not hold the file"),
        ],
    ),
    Story(
        "one in trouble does not open the next tier",
        [ide(4001, "/w/app", trouble="it does not answer"), ide(4002, "/v/lib")],
        [(4001, NO, "it does not answer"), (4002, NO, "its workspace /v/lib does not hold the file")],
        asked={"takeover": True},
    ),
]

BEST = "Visual Studio Code on port 4001"

RANKING = [
    Story(
        "a dead process ranks last",
        [ide(4002, "/w/app", pid=Pid.DEAD, ancestor=True), ide(4003, "/w", pid=Pid.REUSED), ide(4001, "/")],
        [
            (4001, CHOSEN, "its folder / holds the file"),
            (4002, NEXT, "PID 12 is dead, so it comes last"),
            (4003, NEXT, "PID 12 is another process now, so it comes last"),
        ],
    ),
    Story(
        "the terminal's own goes before the longer folder",
        [ide(4001, "/w", ancestor=True), ide(4002, "/w/app")],
        [
            (4001, CHOSEN, "its folder /w holds the file; the terminal runs inside it"),
            (4002, NEXT, f"the terminal rather belongs to {BEST}"),
        ],
    ),
    Story(
        "the terminal's kind goes before the longer folder",
        [ide(4001, "/w"), ide(4002, "/w/app", name="PyCharm")],
        [
            (4001, CHOSEN, "its folder /w holds the file; the terminal is of its kind"),
            (4002, NEXT, f"the terminal rather belongs to {BEST}"),
        ],
        terminal=VSCODE,
    ),
    Story(
        "the longer folder goes before the last focus; holding, before lying inside, before the repository",
        [
            ide(4004, "/x", repositories=WORKTREE, last_focus=4.0),
            ide(4003, "/w/app/docs", last_focus=3.0),
            ide(4002, "/w", last_focus=2.0),
            ide(4001, "/w/app", last_focus=1.0),
        ],
        [
            (4001, CHOSEN, "its folder /w/app holds the file"),
            (4002, NEXT, f"less specific than {BEST}"),
            (4003, NEXT, f"less specific than {BEST}"),
            (4004, NEXT, f"less specific than {BEST}"),
        ],
    ),
    Story(
        "one window announces itself by three plugins: the one that can do the most goes before the last focus",
        [
            ide(4003, "/w/app", family=Family.QWEN, last_focus=1.0),
            ide(4002, "/w/app", family=Family.GEMINI, last_focus=2.0),
            ide(4001, "/w/app"),
        ],
        [
            (4001, CHOSEN, "its folder /w/app holds the file; its plugin can do the most of 3"),
            (4002, NEXT, f"the plugin of {BEST} can do more"),
            (4003, NEXT, f"the plugin of {BEST} can do more"),
        ],
    ),
    Story(
        "the longer folder goes before what a plugin can do",
        [ide(4001, "/w/app", family=Family.QWEN), ide(4002, "/w")],
        [(4001, CHOSEN, "its folder /w/app holds the file"), (4002, NEXT, f"less specific than {BEST}")],
    ),
    Story(
        "a companion's port variable says as much as that of the Claude family",
        [ide(4001, "/x", family=Family.GEMINI), ide(4002, "/x")],
        [(4001, CHOSEN, "the terminal's port variable names it"), (4002, NO, NO_MATCH)],
        terminal=Terminal(port=4009, companions=frozenset({4001})),
    ),
    Story(
        "the last focus goes before the newest lock",
        [
            ide(4003, "/w/app", modified=9.0),
            ide(4002, "/w/app", modified=8.0, last_focus=1.0),
            ide(4001, "/w/app", modified=7.0, last_focus=2.0),
            ide(4004, "/w", last_focus=3.0),
        ],
        [
            (4001, CHOSEN, "its folder /w/app holds the file; most recently focused of 3"),
            (4002, NEXT, f"{BEST} was focused more recently"),
            (4003, NEXT, f"{BEST} was focused more recently"),
            (4004, NEXT, f"less specific than {BEST}"),
        ],
    ),
    Story(
        "the newest lock goes before the lowest port",
        [ide(4000, "/w/app", modified=8.0), ide(4001, "/w/app", modified=9.0)],
        [
            (4001, CHOSEN, "its folder /w/app holds the file; newest of 2"),
            (4000, NEXT, f"{BEST} is newer"),
        ],
    ),
    Story(
        "the lowest port is left",
        [ide(4010, "/w/app"), ide(4001, "/w/app")],
        [
            (4001, CHOSEN, "its folder /w/app holds the file; lowest port of 2"),
            (4010, NEXT, f"{BEST} has the lower port"),
        ],
    ),
    Story(
        "two configuration directories announce one IDE",
        [ide(4001, "/w/app"), ide(4001, "/w/app")],
        [
            (4001, CHOSEN, "its folder /w/app holds the file"),
            (4001, NEXT, f"announced twice, like {BEST}"),
        ],
    ),
]

TWO = [ide(4001, "/w/app"), ide(4002, "/x", name="Cursor")]
CURSOR = [(4002, CHOSEN, "named by you"), (4001, NO, "you named another IDE")]

NAMED = [
    *(
        Story(
            f"{named!r} names whose companion announces it",
            [ide(4001, "/w/app"), ide(4002, "/x", family=Family.QWEN), ide(4003, "/x", family=Family.GEMINI)],
            [
                (port, CHOSEN, "named by you"),
                *((other, NO, "you named another IDE") for other in (4001, 4002, 4003) if other != port),
            ],
            asked={"named": named},
        )
        for named, port in (("qwen", 4002), ("Gemini", 4003))
    ),
    *(
        Story(f"{named!r} names Cursor", TWO, CURSOR, asked={"named": named})
        for named in ("Cursor", "cursor", "CUR", " cursor ", "4002", "cursor.exe")
    ),
    *(
        Story(
            f"{named!r} names nobody",
            TWO,
            [(4001, NO, "you named another IDE"), (4002, NO, "you named another IDE")],
            asked={"named": named},
        )
        for named in ("4", "40020", "99999999", "pycharm", "ursor", "/x")
    ),
    *(
        Story(
            f"{named!r} asks for nobody in particular",
            TWO,
            [
                (4001, CHOSEN, "its folder /w/app holds the file"),
                (4002, NO, "its workspace /x does not hold the file"),
            ],
            asked={"named": named},
        )
        for named in (None, "", " ")
    ),
    Story(
        "a command names one product of several with the same beginning",
        [ide(4001, "/w/app", name="code-server"), ide(4002, "/x", name="Visual Studio Code - Insiders")],
        CURSOR,
        asked={"named": "code"},
    ),
    Story(
        "the beginning of a name tells the windows of one product apart",
        [ide(4001, "/w/app", name="Emacs (app)"), ide(4002, "/x", name="Emacs (notes)")],
        CURSOR,
        asked={"named": "emacs (n"},
    ),
    Story(
        "what a named IDE cannot do is not done in another",
        [ide(4001, "/w/app"), ide(4002, "/w/app", name="Cursor", lacks="it shows no diffs", trouble="never told")],
        [(4001, NO, "you named another IDE"), (4002, NO, "it shows no diffs")],
        asked={"named": "cursor"},
    ),
    Story(
        "the user may take a named IDE over",
        [ide(4002, "/x", occupied=True)],
        [(4002, CHOSEN, "named by you")],
        asked={"named": "code"},
    ),
    Story(
        "even for a named IDE no token goes to a stranger, and trouble is trouble",
        [
            ide(4001, "/w/app"),
            ide(4002, "/w/app", name="Cursor", listener=Listener.FOREIGN),
            ide(4003, "/w/app", name="Cursor", listener=Listener.UNKNOWN),
            ide(4004, "/w/app", name="Cursor", trouble="its token was refused"),
        ],
        [
            (4001, NO, "you named another IDE"),
            (4004, NO, "its token was refused"),
            (4002, NO, "port 4002 belongs to another user"),
            (4003, NO, "cannot tell who listens on port 4003"),
        ],
        asked={"named": "cursor"},
    ),
    Story(
        "of several windows of the named product the best is chosen, whichever folder it has open",
        [ide(4003, "/x"), ide(4002, "/v/lib"), ide(4001, "/w/app")],
        [
            (4001, CHOSEN, "named by you; its folder /w/app holds the file"),
            (4002, NEXT, f"less specific than {BEST}"),
            (4003, NEXT, f"less specific than {BEST}"),
        ],
        asked={"named": "code"},
    ),
    Story(
        "of several windows with nothing to do with the work the newest is chosen",
        [ide(4001, "/x", modified=2.0), ide(4002, modified=1.0)],
        [(4001, CHOSEN, "named by you; newest of 2"), (4002, NEXT, f"{BEST} is newer")],
        asked={"named": "code"},
    ),
    *(
        Story(
            f"an IDE that is pinned for the {pinned} is as one that is named now",
            [ide(4001, "/w/app"), ide(4002, "/x", name="Cursor", occupied=True)],
            [
                (4002, CHOSEN, f"pinned by you for this {pinned}: {undo}"),
                (4001, NO, f"you pinned another IDE for this {pinned}: {undo}"),
            ],
            asked={"named": "cursor", "pinned": pinned},
        )
        for pinned, undo in [
            (Pinned.TERMINAL, "bridge use auto"),
            (Pinned.WORKSPACE, "bridge use auto --workspace"),
        ]
    ),
]


def told(selection: Selection) -> list[tuple[int, str, str]]:
    kinds = {(True, True): CHOSEN, (False, True): NEXT, (False, False): NO}
    return [(v.candidate.lock.port, kinds[v.chosen, v.usable], v.reason) for v in selection.verdicts]


@pytest.mark.parametrize("story", [*TIERS, *OBSTACLES, *RANKING, *NAMED], ids=lambda story: story.title)
def test_each_ide_is_chosen_or_not_for_a_reason(story: Story) -> None:
    for ides in (story.ides, story.ides[::-1]):
        assert told(select(ides, story.place, story.terminal, **story.asked)) == story.verdicts


FOLDERS = st.sampled_from(["/", "/w", "/w/app", "/w/app/docs", "/v", "/v/lib", "/x"])
CANDIDATES = st.lists(
    st.builds(
        lambda port, folders, **facts: ide(port, *folders, **facts),
        st.integers(4001, 4006),
        st.lists(FOLDERS, max_size=2),
        name=st.sampled_from(["Visual Studio Code", "Cursor", "PyCharm", "Emacs (key)", "{better}"]),
        token=st.sampled_from([None, "a", "b"]),
        repositories=st.sampled_from([frozenset(), WORKTREE]),
        modified=st.sampled_from([1.0, 2.0]),
        pid=st.sampled_from(Pid),
        listener=st.sampled_from([Listener.OURS, *Listener]),
        occupied=st.booleans(),
        shareable=st.booleans(),
        ancestor=st.booleans(),
        last_focus=st.sampled_from([None, 1.0, 2.0]),
        trouble=st.sampled_from([None, None, "it does not answer"]),
        lacks=st.sampled_from([None, None, "it shows no diffs"]),
    ),
    max_size=6,
    unique_by=lambda candidate: candidate.lock.ide_id,
)
QUESTIONS = st.fixed_dictionaries(
    {
        "place": st.sampled_from([PLACE, NO_FILE]),
        "terminal": st.sampled_from([Terminal(), VSCODE, Terminal(port=4001, group=Group.JETBRAINS)]),
        "named": st.sampled_from([None, None, "cursor", "4002", "Vis"]),
        "takeover": st.booleans(),
    }
)


@settings(deadline=None)
@given(st.data(), CANDIDATES, QUESTIONS)
def test_the_order_in_which_ides_are_found_does_not_matter(
    data: st.DataObject, ides: list[Candidate], question: dict[str, Any]
) -> None:
    shuffled = data.draw(st.permutations(ides))
    assert select(shuffled, **question) == select(ides, **question)


@settings(deadline=None)
@given(CANDIDATES, QUESTIONS)
def test_every_ide_gets_one_verdict_and_the_chosen_one_may_be_used(
    ides: list[Candidate], question: dict[str, Any]
) -> None:
    selection = select(ides, **question)
    assert sorted(v.candidate.lock.ide_id for v in selection.verdicts) == sorted(i.lock.ide_id for i in ides)
    assert all(verdict.reason for verdict in selection.verdicts)
    usable = [verdict.candidate for verdict in selection.verdicts if verdict.usable]
    assert all(i.listener in (Listener.OURS, Listener.HIDDEN) and i.trouble is None for i in usable)
    assert usable == [verdict.candidate for verdict in selection.verdicts[: len(usable)]]
    assert [selection.chosen] == [v.candidate for v in selection.verdicts if v.chosen] or selection.chosen is None
    assert (selection.chosen is None) is (not usable)


@settings(deadline=None)
@given(CANDIDATES, QUESTIONS)
def test_when_the_chosen_one_fails_the_next_usable_one_is_chosen(
    ides: list[Candidate], question: dict[str, Any]
) -> None:
    """So that a caller may walk down the verdicts, or ask again."""
    first = select(ides, **question)
    usable = [verdict.candidate for verdict in first.verdicts if verdict.usable]
    failed = [replace(i, trouble="it does not answer") if i == first.chosen else i for i in ides]
    assert select(failed, **question).chosen == (usable[1] if len(usable) > 1 else None)


# ---- none


class Nothing(NamedTuple):
    ides: list[Candidate]
    named: str | None
    error: str
    why: str  # for a review that is on the page instead


SILENT = ide(4001, "/w/app", listener=Listener.NONE)
TAKEN = ide(4002, "/w/app", occupied=True)
NOTHINGS = [
    Nothing([], None, "no IDE can be used here", "no IDE is running"),
    Nothing([], " ", "no IDE can be used here", "no IDE is running"),
    Nothing([TAKEN, SILENT], None, "no IDE can be used here: occupied by another client", "occupied by another client"),
    Nothing([], "nope", "no IDE called nope can be used", "no IDE called nope is running"),
    Nothing([TAKEN, SILENT], "nope", "no IDE called nope can be used", "no IDE called nope is running"),
    Nothing([TAKEN], "9", "no IDE on port 9 can be used", "no IDE on port 9 is running"),
    Nothing(
        [TAKEN, SILENT],
        "4001",
        "no IDE on port 4001 can be used: nothing listens on port 4001",
        "nothing listens on port 4001",
    ),
    Nothing(
        [replace(TAKEN, trouble="refused: why"), SILENT],
        "code",
        "no IDE called code can be used: refused: why",
        "refused: why",
    ),
]


@pytest.mark.parametrize("nothing", NOTHINGS)
def test_an_asker_learns_why_there_is_no_ide_for_it(nothing: Nothing) -> None:
    selection = select(nothing.ides, PLACE, Terminal(), named=nothing.named)
    error = no_ide(selection, nothing.named)
    assert (error.message, why_none(selection, nothing.named)) == (nothing.error, nothing.why)
    assert "bridge status" in (error.hint or "")


@pytest.mark.parametrize(
    ("ides", "why", "reason"),
    [
        ([TAKEN], "", "no IDE on port 4001 is running"),
        ([TAKEN, SILENT], ": nothing listens on port 4001", "nothing listens on port 4001"),
    ],
)
def test_an_asker_learns_that_it_was_a_pin_that_left_no_ide(ides: list[Candidate], why: str, reason: str) -> None:
    selection = select(ides, PLACE, Terminal(), named="4001", pinned=Pinned.TERMINAL)
    error = no_ide(selection, "4001")
    assert error.message == f"no IDE on port 4001, which is pinned for this terminal, can be used{why}"
    assert error.hint == "bridge use auto"
    assert why_none(selection, "4001") == f"{reason}; it is pinned for this terminal: bridge use auto"
