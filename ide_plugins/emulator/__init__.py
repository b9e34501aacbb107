"""An IDE in Python that speaks the lock-file protocol as the official VS Code extension does, or as others do.

For tests, in process (`Emulator`) or as a process (``python -m ide_plugins.emulator --help``), and as a
template for authors of plugins: `lock` announces, `listener` lets clients in over `websocket`, `sse` or `streamable`,
`answers` and `tools` answer, `diffs` holds what a human decides, `ide` joins them. `human` and `faults` are for tests
alone, `personality`, `deviations` and `companions` play other plugins, `jetbrains` a server. Nothing of `bridge`
is used here, so that a mistake there cannot hide behind the same mistake on this side.
"""

from .diffs import Diff
from .faults import Fault
from .ide import Emulator
from .lock import LockFile, default_lock_dir
from .personality import PERSONALITIES

__all__ = ["PERSONALITIES", "Diff", "Emulator", "Fault", "LockFile", "default_lock_dir"]
