"""What the case file does not hold: odd mount tables, keys, folders in odd spellings, URIs, reasons."""

from __future__ import annotations

from typing import Literal

import pytest

from pathconv import Code, Env, Facts, Mount, Outcome, PathConvError, PathMapper

LINUX = (Mount("/", None), Mount("/mnt/wsl", None))
DRIVES = (*LINUX, Mount("/mnt/c", "C:\\"), Mount("/mnt/d", "D:\\"))


def machine(
    *more: Mount,
    mounts: tuple[Mount, ...] = DRIVES,
    local: Literal["linux", "windows"] = "linux",
    distro: str | None = "Ubuntu",
) -> PathMapper:
    return PathMapper(Facts(Env.WSL2, local, distro, mounts + more))


USUAL = machine()
WINDOWS = machine(local="windows")
WORK = machine(Mount("/lxwork", "C:\\Users\\me\\src"), Mount("/home/me/win", "C:\\Users\\me"))
DISK = machine(Mount("/mnt/c/disk", None), Mount("/mnt/c/disk/sub", None))
ROOT_SLASH = machine(Mount("/c", "C:\\"), Mount("/d", "D:\\"), mounts=LINUX)


def code(outcome: Outcome) -> str | None:
    return outcome.error.code.value if outcome.error else None


# Mounts decide


def test_a_mount_over_a_drive_takes_it_away() -> None:
    hidden = machine(Mount("/mnt", None))
    assert hidden.to_windows("/mnt/c/x") == "\\\\wsl.localhost\\Ubuntu\\mnt\\c\\x"
    assert code(hidden.try_to_linux("C:\\x")) == "unmapped"  # no mount shows it any more


def test_a_mount_over_a_directory_hides_what_is_below() -> None:
    assert code(DISK.try_to_linux("C:\\disk\\x")) == "shadowed"
    assert DISK.to_linux("C:\\diskette") == "/mnt/c/diskette"
    twice = machine(Mount("/mnt/c/disk", None), Mount("/again", "C:\\"))
    assert twice.to_linux("C:\\disk\\x") == "/again/disk/x"  # another name leads there
    assert twice.to_linux("C:\\x") == "/again/x"  # the later mount has the first word, as with wslpath


def test_of_two_mounts_of_one_directory_the_later_gives_the_name() -> None:
    twice = machine(Mount("/again", "c:"), Mount("/lx", "C:\\src"), Mount("/lx2", "C:\\SRC\\"))
    assert twice.to_linux("C:\\x") == "/again/x"
    assert twice.to_linux("C:\\src\\x") == "/lx2/x"
    assert twice.same("/lx/x", "/lx2/x")
    hidden = machine(Mount("/a/again", "C:\\"), Mount("/a/again/src", None), Mount("/b", "C:\\"), Mount("/b", None))
    assert hidden.to_linux("C:\\x") == "/a/again/x"
    assert hidden.to_linux("C:\\src\\x") == "/mnt/c/src/x"  # the next one, where the later one is covered


def test_a_drive_mounted_over_another() -> None:
    over = machine(Mount("/mnt/c", "E:\\"))
    assert over.to_windows("/mnt/c/x") == "E:\\x"
    assert code(over.try_to_linux("C:\\x")) == "unmapped"


def test_a_drive_as_the_root_directory() -> None:
    odd = machine(mounts=(Mount("/", "C:\\"),))
    assert (odd.to_linux("C:\\"), odd.to_linux("C:\\a")) == ("/", "/a")
    assert (odd.to_windows("/"), odd.to_windows("/a/")) == ("C:\\", "C:\\a\\")
    assert odd.contains("/", "c:\\A")


def test_mounts_that_make_no_sense_are_none() -> None:
    odd = machine(Mount("relative", "E:\\"), Mount("/mnt/e", "E"), Mount("/../x", None), Mount("/f", "f:"))
    assert code(odd.try_to_linux("E:\\x")) == "unmapped"
    assert odd.to_linux("F:\\x") == "/f/x"


def test_a_mounted_share_of_a_distribution_is_no_name_in_windows() -> None:
    odd = machine(Mount("/mnt/deb", "\\\\wsl.localhost\\Debian"), Mount("/loop", "\\\\wsl$\\Ubuntu\\"))
    assert odd.to_windows("/mnt/deb/etc") == "\\\\wsl.localhost\\Ubuntu\\mnt\\deb\\etc"
    assert odd.to_linux("\\\\wsl$\\Ubuntu\\etc") == "/etc"
    assert code(odd.try_to_linux("\\\\wsl.localhost\\Debian\\etc")) == "foreign-distro"


def test_without_any_mount_there_is_the_distribution() -> None:
    bare = machine(mounts=())
    assert bare.to_windows("/mnt/c") == "\\\\wsl.localhost\\Ubuntu\\mnt\\c"
    assert bare.key("/mnt/c/") == "/mnt/c"


def test_what_nobody_can_name() -> None:
    nameless = machine(distro=None)
    assert code(nameless.try_to_windows("/home")) == "no-distro"
    assert code(nameless.try_to_linux("\\\\wsl$\\Ubuntu\\home")) == "no-distro"
    assert code(nameless.try_to_linux("\\\\wsl$")) == "unmapped"
    assert code(USUAL.try_to_windows("/\udcff")) == "not-utf8"
    with pytest.raises(PathConvError, match=r"belongs to the distribution Debian, not to Ubuntu"):
        USUAL.to_linux("\\\\wsl$\\Debian\\x")
    with pytest.raises(PathConvError, match=r"E: is not mounted here"):
        USUAL.to_linux("E:\\x")


def test_escapes_are_read_back_unless_wslpath_is_to_be_copied() -> None:
    assert USUAL.to_linux("C:\\a\uf03ab") == "/mnt/c/a:b"
    assert USUAL.to_linux("C:\\d\\a\uf03ab", wslpath_compat=True) == "/mnt/c/d/a\uf03ab"
    assert USUAL.to_linux("\\\\wsl$\\Ubuntu\\a\uf03ab", wslpath_compat=True) == "/a:b"
    assert USUAL.to_linux("C:\\a\uf000\uf02f\uff1a") == "/mnt/c/a\uf000\uf02f\uff1a"


# Our side and the other


@pytest.mark.parametrize(
    ("mapper", "path", "local"),
    [
        (USUAL, "C:\\x", "/mnt/c/x"),
        (USUAL, "//wsl$/ubuntu/x", "/x"),
        (USUAL, "//?/C:/x", "/mnt/c/x"),
        (USUAL, "//nas/media", "/nas/media"),  # a doubled slash is nothing on Linux
        (USUAL, "/mnt//c/./x/", "/mnt/c/x/"),
        (USUAL, "/a\udcff", "/a\udcff"),
        (WINDOWS, "c:/x", "C:\\x"),
        (WINDOWS, "E:\\x", "E:\\x"),  # ours, whatever is mounted there
        (WINDOWS, "//nas/media", "\\\\nas\\media"),
        (WINDOWS, "/mnt/c/x", "C:\\x"),
        (WINDOWS, "/home", "\\\\wsl.localhost\\Ubuntu\\home"),
        (WINDOWS, "\\\\WSL$\\ubuntu\\mnt\\c\\x", "C:\\x"),
        (WINDOWS, "\\\\wsl$\\Debian\\x", "\\\\wsl$\\Debian\\x"),
    ],
)
def test_to_local_takes_either_style_and_its_own_result(mapper: PathMapper, path: str, local: str) -> None:
    assert mapper.to_local(path) == local
    assert mapper.try_to_local(local) == Outcome(local, False, None)


def test_to_peer_takes_ours_alone() -> None:
    assert USUAL.to_peer("/mnt/c/x") == "C:\\x"
    assert WINDOWS.to_peer("C:\\x") == "/mnt/c/x"
    assert code(USUAL.try_to_peer("C:\\x")) == code(WINDOWS.try_to_peer("/mnt/c/x")) == "relative"


def test_an_outcome_instead_of_an_exception() -> None:
    assert USUAL.try_to_linux("C:\\x") == Outcome("/mnt/c/x", True, None)
    assert USUAL.try_to_windows("/mnt/c", "mixed") == Outcome("C:/", True, None)
    failed = USUAL.try_to_linux("E:\\x")
    assert (failed.path, failed.changed, code(failed)) == ("E:\\x", False, "unmapped")


@pytest.mark.parametrize(
    ("mapper", "here", "there"),
    [
        (USUAL, "file:///mnt/c/a%20b", "file:///c%3A/a%20b"),
        (USUAL, "file:///home/me", "file://wsl.localhost/Ubuntu/home/me"),
        (USUAL, "file:///mnt/c/x?y#L1", "file:///c%3A/x?y#L1"),
        (WINDOWS, "file:///c%3A/x", "file:///mnt/c/x"),
        (WINDOWS, "file://wsl.localhost/Ubuntu/x", "file:///x"),
    ],
)
def test_uris_cross_and_come_back(mapper: PathMapper, here: str, there: str) -> None:
    assert mapper.peer_uri(here) == there
    assert mapper.local_uri(there) == here
    assert mapper.try_local_uri(here) == Outcome(here, False, None)
    assert mapper.try_peer_uri(here) == Outcome(there, True, None)


def test_uris_of_remote_windows() -> None:
    remote = "vscode-remote://wsl%2Bubuntu/home/me"
    assert USUAL.local_uri(remote) == "file:///home/me"
    assert USUAL.peer_uri(remote) == WINDOWS.local_uri(remote) == "file://wsl.localhost/Ubuntu/home/me"
    assert code(USUAL.try_local_uri("vscode-remote://wsl%2Bdebian/x")) == "foreign-distro"


def test_an_error_tells_of_the_uri_that_was_given() -> None:
    for convert in (USUAL.try_local_uri, USUAL.try_peer_uri):
        failed = convert("file:///e:/x")
        assert failed.error is not None
        assert failed.path == failed.error.path == "file:///e:/x"
    assert code(USUAL.try_peer_uri("file:///c:/x")) == "relative"  # it is the other side's already


# Folders of IDEs


@pytest.mark.parametrize(
    ("mapper", "spelled", "folder"),
    [
        (ROOT_SLASH, "/mnt/d/work", "/d/work"),  # JetBrains on Windows writes so, whatever the mounts are
        (ROOT_SLASH, "/mnt/D", "/d/"),
        (WINDOWS, "/mnt/e/work", "E:\\work"),
        (USUAL, "/mnt/data/x", "/mnt/data/x"),
        (USUAL, "/C:/dev", "/mnt/c/dev"),
        (USUAL, "/c:", "/mnt/c/"),
        (USUAL, "/wsl.localhost/Ubuntu/x", "/x"),
        (USUAL, "/mnt/wsl.localhost/Ubuntu/x", "/x"),
        (USUAL, "/wsl$/Ubuntu/x", "/x"),
        (USUAL, "file:///c%3A/dev", "/mnt/c/dev"),
        (USUAL, "vscode-remote://wsl%2Bubuntu/dev", "/dev"),
        (WINDOWS, "vscode-remote://wsl%2Bubuntu/dev", "\\\\wsl.localhost\\Ubuntu\\dev"),
    ],
)
def test_odd_spellings_of_ides_on_windows(mapper: PathMapper, spelled: str, folder: str) -> None:
    assert mapper.ide_folder(spelled, True) == folder
    assert mapper.try_ide_folder(spelled, True).path == folder


def test_an_ide_beside_us_means_what_it_writes() -> None:
    assert ROOT_SLASH.ide_folder("/mnt/d/work", False) == "/mnt/d/work"
    assert USUAL.ide_folder("d:\\work", False) == "/mnt/d/work"


@pytest.mark.parametrize(
    ("spelled", "reason"),
    [("/mnt/e/x", "unmapped"), ("x", "relative"), ("vscode-remote://wsl%2Bdebian/x", "foreign-distro")],
)
def test_a_folder_without_a_name_here(spelled: str, reason: str) -> None:
    failed = USUAL.try_ide_folder(spelled, True)
    assert failed.error is not None
    assert (failed.path, failed.error.path, failed.error.code) == (spelled, spelled, reason)


@pytest.mark.parametrize(
    ("mapper", "folders", "cwd", "index"),
    [
        (USUAL, ["/", "/home", "/home/me"], "/home/me/x", 2),
        (USUAL, ["/home/me", "/home/me/"], "/home/me", 0),  # the first of equals
        (USUAL, ["E:\\x", "relative", "/home"], "/home", 2),
        (USUAL, ["/home/m"], "/home/me", None),
        (USUAL, ["/home"], "E:\\x", None),
        (USUAL, ["c:\\users", "/mnt/c"], "/mnt/c/Users/me", 0),
        (ROOT_SLASH, ["/mnt/d/lx"], "/d/lx/x", 0),
        (ROOT_SLASH, ["/mnt/d/lx"], "/mnt/d/lx/x", 0),  # if it is one beside us
        (WORK, ["C:\\Users"], "/lxwork/x", 0),
    ],
)
def test_the_deepest_folder(mapper: PathMapper, folders: list[str], cwd: str, index: int | None) -> None:
    assert mapper.match(folders, cwd) == index


# Comparing


@pytest.mark.parametrize(
    ("mapper", "one", "other", "same"),
    [
        (USUAL, "/mnt/c/Ä", "C:\\ä\\", True),
        (USUAL, "C:\\straße", "C:\\STRASSE", False),
        (USUAL, "C:\\\u0131", "C:\\I", False),
        (USUAL, "C:\\é", "C:\\e\u0301", False),
        (USUAL, "/MNT/c/x", "/mnt/c/x", False),
        (USUAL, "/mnt/c/a:b", "/mnt/c/a\uf03ab", True),  # both open the same file on drvfs
        (USUAL, "/a:b", "/a\uf03ab", False),
        (USUAL, "E:\\x", "E:\\x", False),  # it has no name here
        (WINDOWS, "E:\\x", "e:/X", True),
        (WINDOWS, "\\\\wsl$\\ubuntu\\x", "//wsl.localhost/Ubuntu/x", True),
        (WINDOWS, "\\\\wsl$\\ubuntu\\x", "//wsl.localhost/Ubuntu/X", False),
        (WINDOWS, "\\\\wsl$\\Debian\\x", "\\\\wsl.localhost\\debian\\x", True),
        (WINDOWS, "\\\\NAS\\m\\X", "\\\\nas\\M\\x", True),
        (WORK, "/lxwork/x", "/mnt/c/users/me/SRC/X", True),
        (WORK, "/home/me/win/src", "/lxwork", True),
    ],
)
def test_same(mapper: PathMapper, one: str, other: str, same: bool) -> None:
    assert mapper.same(one, other) is mapper.same(other, one) is same
    assert not same or (mapper.contains(one, other) and mapper.contains(other, one))


@pytest.mark.parametrize("local", ["linux", "windows"])
def test_letter_case_counts_where_the_mount_says_so(local: Literal["linux", "windows"]) -> None:
    mapper = machine(Mount("/mnt/e", "E:\\Dir", True), local=local)
    assert mapper.same("E:\\dir\\x", "e:\\DIR\\x")
    assert not mapper.same("E:\\Dir\\x", "E:\\Dir\\X")
    assert mapper.same("C:\\X", "C:\\x")


@pytest.mark.parametrize("local", ["linux", "windows"])
@pytest.mark.parametrize(("wide", "deep"), [(True, False), (False, True)])
def test_the_widest_mount_says_whether_letter_case_counts(
    local: Literal["linux", "windows"], wide: bool, deep: bool
) -> None:
    mapper = machine(Mount("/mnt/e", "E:\\", wide), Mount("/work", "E:\\src", deep), local=local)
    assert mapper.same("E:\\src\\x", "E:\\src\\X") is not wide
    assert mapper.same("E:\\y", "E:\\Y") is not wide


@pytest.mark.parametrize(
    ("mapper", "root", "path", "contains"),
    [
        (USUAL, "/", "C:\\x", True),
        (USUAL, "/mnt", "C:\\", True),
        (USUAL, "/mnt/c", "/mnt", False),
        (USUAL, "/mnt/c/a", "/mnt/c/ab", False),
        (USUAL, "/", "E:\\x", False),
        (USUAL, "E:\\", "/mnt", False),
        (DISK, "C:\\", "/mnt/c/disk/x", True),
        (DISK, "/mnt/c/disk", "/mnt/c/disk/sub/x", True),
        (WORK, "/mnt/c/USERS", "/lxwork/x", True),
        (WORK, "/lxwork", "C:\\users\\ME\\src\\x", True),
        (WORK, "/home/me", "/home/me/win/x", True),  # by the name that the bind mount gives it
        (WORK, "/home/me", "/lxwork", True),  # the same directory, so it lies there too
        (WORK, "/home/you", "/lxwork", False),
        (WINDOWS, "D:\\", "\\\\wsl$\\Ubuntu\\mnt\\d\\x", True),
        (WINDOWS, "\\\\wsl$\\Ubuntu\\mnt", "D:\\x", True),
        (WINDOWS, "D:\\", "E:\\x", False),
    ],
)
def test_contains(mapper: PathMapper, root: str, path: str, contains: bool) -> None:
    assert mapper.contains(root, path) is contains


def test_mounts_that_hold_each_other_come_to_an_end() -> None:
    loop = machine(Mount("/mnt/c/a/loop", "C:\\"), Mount("/mnt/c/b", "D:\\x"), Mount("/mnt/d/x/c", "C:\\a"))
    assert loop.contains("/mnt/c/a", "/mnt/c/z")  # as /mnt/c/a/loop/z
    assert not loop.contains("/home", "/mnt/c/z")


@pytest.mark.parametrize(
    ("mapper", "path", "key"),
    [
        (USUAL, "/", "/"),
        (USUAL, "/home/me/", "/home/me"),
        (USUAL, "/mnt/c/Users/Me/", "/mnt/c/USERS/ME"),
        (USUAL, "/mnt/c", "/mnt/c"),
        (USUAL, "E:\\x", "E:\\x"),
        (USUAL, "relative", "relative"),
        (USUAL, "/mnt/c/\udcff", "/mnt/c/\udcff"),
        (WORK, "/lxwork/x", "/mnt/c/USERS/ME/SRC/X"),
        (DISK, "/mnt/c/disk/x", "/mnt/c//disk/x"),  # no folded name looks like that
        (DISK, "/mnt/c/disk/sub/x", "/mnt/c//disk/sub/x"),
        (machine(Mount("/mnt/c/a/disk", None)), "/mnt/c/a/disk/x", "/mnt/c/A//disk/x"),
        (machine(Mount("/mnt/c/a/disk", "D:\\a")), "/mnt/c/a/disk/x", "/mnt/d/A/X"),
        (machine(Mount("/mnt/c/a/e", "E:\\")), "/mnt/c/a/e/x", "/mnt/c/a//e/X"),
        (WINDOWS, "C:\\Users\\", "C:/USERS"),
        (WINDOWS, "C:\\", "C:"),
        (WINDOWS, "\\\\wsl$\\Ubuntu\\Home", "//WSL.LOCALHOST/UBUNTU/Home"),
    ],
)
def test_a_key(mapper: PathMapper, path: str, key: str) -> None:
    assert mapper.key(path) == key


@pytest.mark.parametrize(
    ("mapper", "path", "backed"),
    [
        (USUAL, "/mnt/c/x", True),
        (USUAL, "/home", False),
        (USUAL, "/mnt/wsl", False),
        (USUAL, "C:\\x", True),
        (USUAL, "E:\\x", False),
        (DISK, "/mnt/c/disk/x", False),
        (WINDOWS, "E:\\x", True),
        (WINDOWS, "/home", False),
    ],
)
def test_what_lies_on_windows(mapper: PathMapper, path: str, backed: bool) -> None:
    assert mapper.is_windows_backed(path) is backed


# Saying why


def test_why() -> None:
    assert USUAL.explain("C:\\x", "to_linux") == ["/mnt/c shows C:\\"]
    assert USUAL.explain("/mnt/c/x.", "to_windows") == [
        "/mnt/c shows C:\\",
        "an ordinary Windows program opens another file: it cuts off closing dots and spaces",
    ]
    assert USUAL.explain("/a:b", "to_windows") == [
        "it is a file of the distribution Ubuntu, which Windows sees below \\\\wsl.localhost",
        "characters that Windows forbids are written as U+F000 plus their code",
    ]
    assert machine(mounts=(Mount("/", "C:\\"),)).explain("C:\\é", "to_linux") == ["/ shows C:\\"]


def test_why_not() -> None:
    sentence, mounted = USUAL.explain("E:\\x", "to_linux")
    assert sentence == "E: is not mounted here: E:\\x"
    assert mounted == "mounted here: C:\\ at /mnt/c, D:\\ at /mnt/d"
    assert machine(mounts=()).explain("C:\\", "to_linux")[1] == "mounted here: no directory of Windows"
    assert machine(mounts=(Mount("/", "C:\\"),)).explain("x", "to_linux")[1] == "mounted here: C:\\ at /"


def test_the_codes_are_words_of_an_enumeration() -> None:
    error = USUAL.try_to_linux("").error
    assert error is not None
    assert error.code is Code.EMPTY
