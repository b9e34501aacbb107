"""The user's Windows profile, as WSL sees it: IDEs in Windows write their lock files there.

By what names it: the user's settings, Windows' variables, Windows itself. Where nothing does, it shows itself when an
IDE first writes its lock. Sources: docs/protocol.md "Reaching Windows".
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bridge.core.windows import NOBODYS_PROFILES, home_from_path
from bridge.ides.admission import Ground
from bridge.ides.interop import ask_for_profile
from pathconv import Mount, PathMapper
from pathconv.probe import Probe

__all__ = ["Profile"]

SEARCH_S: Final = 10.0  # for so long a search is good enough
PROFILES_MOST: Final = 64  # directories below Users that are looked into
_LOCKS: Final = (".claude", "ide")


class Profile:
    """Finds the profile, and knows what lies in it.

    Args:
        probe: the machine, in WSL.
        stated: the profile as the user's settings name it, in either style; "" for none, None to look for it.
        clock: seconds, never set back.
    """

    def __init__(self, probe: Probe, stated: str | None, clock: Callable[[], float]) -> None:
        self.path: str | None = None  # on our side
        self._probe = probe
        self._stated = stated
        self._clock = clock
        self._mapper: PathMapper | None = None
        self._drives: tuple[Mount, ...] | None = None
        self._is_named = False
        self._search_at = -math.inf

    def look(self, mapper: PathMapper) -> None:
        """Find the profile, by the mounts of now; Windows is asked again only when its drives have changed."""
        drives = tuple(mount for mount in mapper.facts.mounts if mount.windows is not None)
        if drives != self._drives:
            named = self._find(mapper)
            self._is_named = named is not None or not self.is_wanted
            self.path, self._drives, self._search_at = named, drives, -math.inf
        now = self._clock()
        if not self._is_named and now >= self._search_at:
            self._search_at = now + SEARCH_S
            self.path = _search(mapper)
        self._mapper = mapper

    @property
    def is_wanted(self) -> bool:
        """Whether the user's settings let it be looked at."""
        return self._stated != ""

    @property
    def locks(self) -> Path | None:
        """Where IDEs in Windows write their lock files; None: the profile is not known."""
        return None if self.path is None else Path(self.path, *_LOCKS)

    def in_windows(self) -> str | None:
        """Give the profile in Windows' style."""
        if self.path is None or self._mapper is None:
            return None
        return self._mapper.try_to_windows(self.path).path

    def ground(self, directory: str) -> Ground:
        """Tell what a directory lies on; before the first look, all are ours."""
        if self._mapper is None:
            return Ground.OURS
        real = os.path.realpath(directory)
        if self.path is not None and self._mapper.contains(self.path, real):
            return Ground.GUARDED
        return Ground.WINDOWS if self._mapper.is_windows_backed(real) else Ground.OURS

    def _find(self, mapper: PathMapper) -> str | None:
        """Find the profile by what names it."""
        if not self.is_wanted:
            return None
        environ = self._probe.machine.environ
        stated = self._stated or environ.get("USERPROFILE", "")  # the variable is here only if it is shared (WSLENV)
        for found in (_local(mapper, stated), home_from_path(environ.get("PATH", ""))):
            if found is not None and mapper.is_windows_backed(found):
                return found
        asked = ask_for_profile(self._probe)
        return None if asked is None else _local(mapper, asked)


def _local(mapper: PathMapper, path: str) -> str | None:
    outcome = mapper.try_to_local(path)
    return None if outcome.error else outcome.path


def _search(mapper: PathMapper) -> str | None:
    """Look on Windows' own drive for the profile with a lock directory that we may read; of several none is ours.

    On other drives anybody may make a directory called Users.
    """
    users = _local(mapper, "C:\\Users")
    if users is None or not os.path.isdir(os.path.join(os.path.dirname(users), "Windows", "System32")):
        return None
    try:
        names = sorted(os.listdir(users))[:PROFILES_MOST]
    except OSError:
        return None
    profiles = [os.path.join(users, name) for name in names if name.casefold() not in NOBODYS_PROFILES]
    found = [profile for profile in profiles if os.access(os.path.join(profile, *_LOCKS), os.R_OK)]
    return found[0] if len(found) == 1 else None
