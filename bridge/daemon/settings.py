"""What the user may set, in ``~/.config/bridge/config.toml``; every key has a default and none is needed."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bridge.errors import BadConfiguration
from bridge.ides.jetbrains import PORTS, JetBrains
from bridge.ides.surroundings import Surroundings
from pathconv.probe import Probe

__all__ = ["Settings", "jetbrains_of", "read_settings", "surroundings_of"]

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*")


class Settings(BaseModel):
    """The user's choices. Unknown keys are refused: a misspelt one would do nothing, silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    takeover: bool = Field(default=False, description="Take an IDE's only place although an agent holds it.")
    idle_minutes: float = Field(default=30.0, gt=0, description="How long an unused daemon stays.")
    ide_host: str | None = Field(default=None, description="The only host on which IDEs are looked for.")
    hook_always: bool = Field(default=False, description="Review what hooks see also where agents ask nobody.")
    container_host: bool = Field(default=False, description="In a container, look for IDEs on its host too.")
    jetbrains_mcp: bool | tuple[int, ...] = Field(
        default=False, description="Use the MCP server of JetBrains IDEs: true, or a list of its ports."
    )

    socket: Literal["unix", "tcp"] = Field(
        default="tcp" if sys.platform == "win32" else "unix",
        description='What clients connect to: "unix", or "tcp" on 127.0.0.1, with a token in the state directory.',
    )
    windows_profile: str | None = Field(
        default=None, description='In WSL, your Windows profile, if it is not found by itself; "" for none.'
    )

    mcp_http: int | None = Field(
        default=None, ge=1, le=65535, description="The port of 127.0.0.1 for MCP over HTTP; none: it is off."
    )

    @field_validator("ide_host")
    @classmethod
    def _is_a_host(cls, host: str | None) -> str | None:
        """Refuse what is no host's name; ``localhost`` may mean ::1, where WSL forwards nothing."""
        if host is not None and (host.casefold() == "localhost" or not _HOST.fullmatch(host)):
            raise ValueError("not an IPv4 address or a host name (for this machine: 127.0.0.1)")
        return host

    @field_validator("jetbrains_mcp", mode="before")
    @classmethod
    def _are_ports(cls, value: object) -> object:
        """Refuse with one sentence what is neither; a strict union would say two things about it."""
        if isinstance(value, list | tuple) and all(type(port) is int and 1 <= port <= 65535 for port in value):
            return tuple(dict.fromkeys(value))
        if not isinstance(value, bool):
            raise ValueError("neither true nor false nor a list of ports, such as [64342]")
        return value


def read_settings(path: Path) -> Settings:
    """Read the file; a missing one means the defaults.

    Raises `BadConfiguration` that says where the file is wrong; the user's fault.
    """
    hint = f"edit {path}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadConfiguration(f"cannot read {path}: {exc}", hint) from exc
    try:
        return Settings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise BadConfiguration(f"{path} is not TOML: {exc}", hint) from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        unknown = f"there is no such setting; there are {', '.join(Settings.model_fields)}"
        what = unknown if first["type"] == "extra_forbidden" else first["msg"]
        raise BadConfiguration(f"{path}: {where}: {what}", hint) from exc


def jetbrains_of(settings: Settings) -> JetBrains:
    """Say where the user wants JetBrains' MCP server looked for."""
    chosen = settings.jetbrains_mcp
    return JetBrains(chosen if isinstance(chosen, tuple) else PORTS if chosen else ())


def surroundings_of(settings: Settings) -> Surroundings:
    """Look at the machine as the user wants it looked at."""
    return Surroundings(
        Probe(),
        override=settings.ide_host,
        container_host=settings.container_host,
        profile=settings.windows_profile,
    )
