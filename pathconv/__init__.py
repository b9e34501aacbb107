r"""Paths between Windows and WSL: pure, typed, without dependencies, importable without `bridge`.

Three layers. *Text*: `parse_windows`, `parse_posix`, `parse_uri`, `to_uri`, `escape`, `hazards`, … know spellings and
no machine. *Facts*: `Facts` holds what is known of one, read by `parse_mountinfo`, `parse_wsl_conf`, `parse_route`
and `detect` from texts that you bring, or by `pathconv.probe`, the one module that does I/O. *Mapping*: `PathMapper`
gives a file's name on the other side and compares names across it.

>>> mapper = PathMapper(Facts(Env.WSL2, "linux", "Ubuntu", (Mount("/", None), Mount("/mnt/c", "C:\\"))))
>>> mapper.to_linux(r"C:\src\a.py"), mapper.contains(r"c:\SRC", "/mnt/c/src/a.py")
('/mnt/c/src/a.py', True)
>>> mapper.try_to_linux(r"E:\x").error.code
<Code.UNMAPPED: 'unmapped'>
"""

from pathconv.config import WslConf, parse_route, parse_wsl_conf
from pathconv.errors import Code, PathConvError
from pathconv.facts import WSL, Env, EnvFacts, Facts, Mount, detect
from pathconv.folders import is_uri, is_windows
from pathconv.mapper import Form, Outcome, PathMapper
from pathconv.mounts import parse_mountinfo
from pathconv.msys import from_msys, to_msys
from pathconv.names import escape, hazards, unescape
from pathconv.parse import parse_posix, parse_windows
from pathconv.uri import parse_uri, to_uri
from pathconv.values import WSL_HOSTS, PosixPath, WinPath, WslPath

__all__ = [
    "WSL",
    "WSL_HOSTS",
    "Code",
    "Env",
    "EnvFacts",
    "Facts",
    "Form",
    "Mount",
    "Outcome",
    "PathConvError",
    "PathMapper",
    "PosixPath",
    "WinPath",
    "WslConf",
    "WslPath",
    "detect",
    "escape",
    "from_msys",
    "hazards",
    "is_uri",
    "is_windows",
    "parse_mountinfo",
    "parse_posix",
    "parse_route",
    "parse_uri",
    "parse_windows",
    "parse_wsl_conf",
    "to_msys",
    "to_uri",
    "unescape",
]
