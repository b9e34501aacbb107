"""IDEs to choose from."""

from typing import Any

from bridge.core.lockfile import Family, LockFile
from bridge.core.ranking import Candidate, Listener, Pid


def ide(
    port: int,
    *folders: str,
    name: str = "Visual Studio Code",
    token: str | None = None,
    family: Family = Family.CLAUDE,
    **facts: Any,
) -> Candidate:
    """An IDE that lives, with `folders` open; `facts` are those of `Candidate`."""
    lock = LockFile(port=port, pid=12, workspace_folders=folders, ide_name=name, auth_token=token, family=family)
    usual: dict[str, Any] = {
        "folders": folders,
        "repositories": frozenset(),
        "modified": 1000.0,
        "pid": Pid.ALIVE,
        "listener": Listener.OURS,
    }
    return Candidate(lock=lock, **{**usual, **facts})
