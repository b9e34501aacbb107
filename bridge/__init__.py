"""One background daemon between coding agents in terminals and the IDE windows that are open."""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` says, which costs a tenth of a quick command
if TYPE_CHECKING:
    from bridge.asyncclient import AsyncClient
    from bridge.client import Client

__all__ = ["AsyncClient", "Client", "__version__"]

__version__ = "0.1.0"

_FROM = {"AsyncClient": "bridge.asyncclient", "Client": "bridge.client"}


def __getattr__(name: str) -> object:
    """Give the clients to those who ask for them: importing `bridge` costs nothing."""
    if name not in _FROM:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_FROM[name]), name)
