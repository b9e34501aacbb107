"""Mount tables and paths for hypothesis: small alphabets, so that mounts nest, shadow and repeat each other."""

from __future__ import annotations

import os

from hypothesis import settings
from hypothesis import strategies as st

from pathconv import Env, Facts, Mount, PathConvError, PathMapper, parse_posix, parse_windows

EXAMPLES = 2000 if os.environ.get("CI") else 200
THOROUGH = settings(max_examples=EXAMPLES, deadline=None)  # a busy machine is not a failure

_NAMES = st.sampled_from(["a", "A", "b", "mnt", "c", "src", "Src", "a b", "ä", "ß", "x.", "con"])
_ODD_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0", max_codepoint=0xDFFF), min_size=1, max_size=4
).filter(lambda name: name not in (".", ".."))
NAMES = _NAMES | _ODD_NAMES
_WINDOWS_NAMES = NAMES.filter(
    lambda name: not set(name) & {chr(code) for code in range(1, 32)} | set(name) & set('"*:<>?\\|')
)
_ROOTS = st.sampled_from(["C:\\", "c:", "D:\\", "\\\\nas\\Media", "E:\\", "\\\\wsl.localhost\\Debian"])


@st.composite
def posix_paths(draw: st.DrawFn, names: st.SearchStrategy[str] = NAMES) -> str:
    """An absolute, normalised path; one half below ``/mnt/c`` and its like."""
    start = draw(st.sampled_from(["", "/mnt/c", "/mnt", "/a"]))
    return start + "".join(f"/{name}" for name in draw(st.lists(names, max_size=4))) or "/"


@st.composite
def windows_paths(draw: st.DrawFn) -> str:
    """An absolute Windows path of lawful names."""
    root = draw(_ROOTS | st.sampled_from(["\\\\wsl$\\ubuntu", "\\\\wsl.localhost\\Ubuntu"])).rstrip("\\")
    names = draw(st.lists(_NAMES, max_size=4))
    closing = draw(st.sampled_from(["", "\\"])) if names or "\\" in root else "\\"
    return root + "".join(f"\\{name}" for name in names) + closing


@st.composite
def mounts(draw: st.DrawFn) -> Mount:
    """A mount anywhere, of a drive, a directory of one, a share, or of no Windows."""
    point = draw(posix_paths(_NAMES))
    windows = draw(st.none() | windows_paths())
    return Mount(point, windows, draw(st.booleans()) and windows is not None)


USUAL = (Mount("/", None), Mount("/mnt/wsl", None), Mount("/mnt/c", "C:\\"), Mount("/mnt/d", "D:\\"))
SIDES = st.sampled_from(["linux", "windows"])


@st.composite
def mappers(draw: st.DrawFn, distro: str | None = "Ubuntu") -> PathMapper:
    """A machine with the usual mounts and some odd ones."""
    more = tuple(draw(st.lists(mounts(), max_size=4)))
    side = draw(SIDES)
    return PathMapper(Facts(Env.WSL2, "linux" if side == "linux" else "windows", distro, USUAL + more))


def either_paths() -> st.SearchStrategy[str]:
    """A path of either side."""
    return posix_paths() | windows_paths()


def lawful(path: str) -> bool:
    """Tell whether a path can be read at all."""
    for parse in (parse_posix, parse_windows):
        try:
            parse(path)
        except PathConvError:
            continue
        return True
    return False
