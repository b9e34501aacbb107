"""What the user may set, in ``~/.config/bridge/config.toml``; every key has a default and none is needed."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.errors import BadConfiguration

__all__ = ["Settings", "read_settings"]


class Settings(BaseModel):
    """The user's choices. Unknown keys are refused: a misspelt one would do nothing, silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    takeover: bool = Field(default=False, description="Take an IDE's only place although an agent holds it.")
    idle_minutes: float = Field(default=30.0, gt=0, description="How long an unused daemon stays.")


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
