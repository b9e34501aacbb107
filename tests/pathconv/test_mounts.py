from __future__ import annotations

import pytest

from pathconv import Mount, parse_mountinfo

GUID = "11111111-2222-3333-4444-555555555555"
LINKS = {GUID: "C:\\", "share": "\\\\nas\\media", "deep": "D:/a/b"}
NINE = "rw,dirsync,aname=drvfs;path={};uid=1000;gid=1000;symlinkroot=/mnt/,mmap,access=client,trans=fd,rfd=8,wfd=8"
VIRTIO = "rw,dirsync,aname=drvfs;path={};uid=1000;gid=1000;symlinkroot=/mnt/,cache=5,access=client,trans=virtio"


def line(rest: str, root: str = "/", point: str = "/mnt/x") -> str:
    return f"91 25 0:91 {root} {point} rw,noatime shared:1 - {rest}"


WINDOWS = [
    # the file system says,                                                    and shows
    (line("9p C:\\134 " + NINE.format("C:\\")),                                "C:\\"),
    (line("9p Z: " + NINE.format("Z:")),                                       "Z:\\"),
    (line("9p drvfs " + VIRTIO.format("C:\\")),                                "C:\\"),
    (line("9p drvfsa " + VIRTIO.format("C:\\a,b;c")),                          "C:\\a,b;c"),  # wslpath says C:\a
    (line("9p C:\\134x " + NINE.format("C:\\my dir, too")),                    "C:\\my dir, too"),
    (line("9p C:\\my dir " + NINE.format("C:\\my dir")),                       "C:\\my dir"),  # blanks in two fields
    (line("9p x " + NINE.format("UNC\\nas\\my media")),                        "\\\\nas\\my media"),
    (line("9p c:\\134 rw,aname=drvfs,trans=fd"),                               "C:\\"),  # no path: the source
    (line("9p C:\\134 " + NINE.format("")),                                     None),
    (line("9p C:\\134 rw,aname=drvfs;path=C:\\Users"),                         "C:\\Users"),
    (line("9p C:\\134 rw,aname=drvfs;path=C:\\a;metadata,trans=fd"),           "C:\\a"),
    (line("9p C:\\134 rw,aname=drvfs;path=C:\\a,msize=1"),                     "C:\\a"),
    (line("9p C:\\134 " + NINE.format("C:\\"), "/Users/me/src"),               "C:\\Users\\me\\src"),  # a bind mount
    (line("9p C:\\134 " + NINE.format("C:\\a"), "/b\\040c"),                   "C:\\a\\b c"),
    (line("drvfs C:\\134 rw,case=off"),                                        "C:\\"),
    (line("drvfs D: rw"),                                                      "D:\\"),
    (line("drvfs c:/Users rw"),                                                "C:\\Users"),
    (line("drvfs \\134\\134nas\\134my\\040share rw"),                          "\\\\nas\\my share"),
    (line(f"virtiofs {GUID} rw"),                                              "C:\\"),
    (line("virtiofs share rw", "/x"),                                          "\\\\nas\\media\\x"),
    (line("virtiofs deep rw"),                                                 "D:\\a\\b"),
    (line("virtiofs drvfs rw", f"/{GUID}"),                                    "C:\\"),  # one device for all shares
    (line("virtiofs drvfsa rw", f"/{GUID}/Users/me"),                          "C:\\Users\\me"),
    (line("virtiofs drvfs rw"),                                                None),
    (line("virtiofs drvfs rw", "/unknown"),                                    None),
    (line("virtiofs unknown rw"),                                              None),
    (line(f"virtiofs {GUID} rw", "/", "/run/wsl/virtiofs-mounts/x"),           None),  # where WSL prepares them
    (line(f"virtiofs {GUID} rw", "/", "/run/wsl/virtiofs-mountsx"),            "C:\\"),
    (line("9p drivers ro,aname=drivers;fmask=222;dmask=222,trans=fd"),         None),  # WSL's own libraries
    (line("9p drvfsa " + VIRTIO.replace("drvfs", "drvfsa").format("C:\\")),     "C:\\"),  # only the beginning counts
    (line("9p C:\\134 rw,aname=drvfsx;path=C:\\"),                             "C:\\"),
    (line("9p C:\\134 rw,xaname=drvfs;path=C:\\"),                             None),
    (line("9p C:\\134 rw,aname=drv;path=C:\\"),                                None),
    (line("9p drvfsa rw,aname=drvfsa,trans=virtio"),                           None),  # no path, and a tag for a source
    (line("9p host rw,trans=virtio"),                                          None),
    (line("drvfs nonsense rw"),                                                None),
    (line("ext4 C:\\134 rw,aname=drvfs;path=C:\\"),                            None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "windows"), WINDOWS)
def test_what_of_windows_a_mount_shows(text: str, windows: str | None) -> None:
    (mount,) = parse_mountinfo(text, LINKS)
    assert mount.windows == windows


KERNELS = [  # what the kernel prints of a 9p mount, in this order or before the name
    "debug=f", "dfltuid=1000", "dfltgid=1000", "afid=1", "uname=root", "nodevmap", "mmap", "loose", "fscache",
    "cache=0xf", "cachetag=3", "access=client", "ignoreqv", "directio", "posixacl", "noxattr", "locktimeout=30",
    "msize=65536", "noextend", "version=9p2000.L", "trans=fd", "rfd=8", "wfd=8", "port=564", "privport", "seclabel",
    "context=a",
]  # fmt: skip


@pytest.mark.parametrize("option", KERNELS)
@pytest.mark.parametrize("path", ["C:\\a", "C:\\a,b;c", "C:\\a, nodevmaps;uids=1,xuname=b"])
def test_an_option_of_the_kernel_ends_a_path(option: str, path: str) -> None:
    (mount,) = parse_mountinfo(line(f"9p x rw,aname=drvfs;path={path},{option}"), {})
    assert mount.windows == path
    (mount,) = parse_mountinfo(line(f"9p x rw,aname=drvfs;path={path},{option},trans=virtio"), {})
    assert mount.windows == path


@pytest.mark.parametrize(
    "option",
    ["uid=0", "gid=0", "umask=22", "fmask=11", "dmask=11", "symlinkroot=/mnt/", "metadata", "case=off", "fallback=1"],
)
def test_an_option_of_wsl_ends_a_path_before_any_of_the_kernel_does(option: str) -> None:
    for rest in ("", ";gid=0", ",trans=fd"):
        (mount,) = parse_mountinfo(line(f"9p x rw,aname=drvfs;path=C:\\a,mmap,b;c,trans=d;{option}{rest}"), {})
        assert mount.windows == "C:\\a,mmap,b;c,trans=d"


@pytest.mark.parametrize(
    ("options", "sensitive"),
    [
        ("drvfs C:\\134 rw,case=off", False),
        ("drvfs C:\\134 rw,case=dir", True),
        ("drvfs C:\\134 rw,case=force,uid=0", True),
        ("9p C:\\134 rw,aname=drvfs;path=C:\\;uid=0;case=dir;symlinkroot=/mnt/,trans=fd", True),
        ("9p C:\\134 rw,aname=drvfs;path=C:\\;uid=0;lowercase=dir,trans=fd", False),
        ("ext4 /dev/sdc rw,case=dir", False),
    ],
)
def test_letter_case(options: str, sensitive: bool) -> None:
    (mount,) = parse_mountinfo(line(options), {})
    assert mount.case_sensitive is sensitive
    assert mount.fstype == options.split()[0]


def test_all_mounts_are_told_in_their_order_since_one_hides_another() -> None:
    text = "\n".join(
        [
            "25 1 8:32 / / rw - ext4 /dev/sdc rw",
            line("drvfs C: rw", point="/mnt/my\\040c"),
            line("tmpfs tmpfs rw", point="/mnt"),
            line("ext4 a b rw", point="/\\134\\011x").replace(" shared:1", ""),
        ]
    )
    assert parse_mountinfo(text, {}) == [
        Mount("/", None, fstype="ext4"),
        Mount("/mnt/my c", "C:\\", fstype="drvfs"),
        Mount("/mnt", None, fstype="tmpfs"),
        Mount("/\\\tx", None, fstype="ext4"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "a - b",
        "25 1 8:32 / / - ext4 /dev/sdc rw",
        "25 1 8:32 / / rw ext4 /dev/sdc rw",
        "25 1 8:32 / / rw - ext4",
        "25 1 8:32 / mnt rw - ext4 /dev/sdc rw",
        "25 1 8:32 / / rw - ext4 /dev/sdc",  # without the options of the file system
        "25 1 8:32 / / rw - ext4 /dev/sdc ",
        "12 2 012 / /mnt/d rw - drvfs D: rw",
        " 12 2 0:12 / /mnt/d rw - drvfs D: rw",
        "12  2 0:12 / /mnt/d rw - drvfs D: rw",
        "12 2 0:12  / /mnt/d rw - drvfs D: rw",  # what was the root field would be the mount point
        "12 2 0:12 /  /mnt/d rw - drvfs D: rw",
        "12 2 0:12 / /mnt/d  rw - drvfs D: rw",
        "12 2 0:12 / /mnt/d rw  - drvfs D: rw",
        "12 2 0:12 / /mnt/d rw -  drvfs D: rw",
    ],
)
def test_garbage_is_no_mount(text: str) -> None:
    assert parse_mountinfo(text, {}) == []


def test_what_the_kernel_writes_although_it_looks_odd() -> None:
    nameless = "25 1 0:33 / /mnt rw - tmpfs  rw"  # mounted with an empty source; it hides what is below all the same
    namespace = "26 1 0:4 net:[4026531840] /run/netns/a rw shared:1 master:2 - nsfs nsfs rw"
    assert parse_mountinfo(f"{nameless}\n{namespace}", {}) == [
        Mount("/mnt", None, fstype="tmpfs"),
        Mount("/run/netns/a", None, fstype="nsfs"),
    ]
