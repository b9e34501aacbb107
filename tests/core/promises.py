"""What an MCP tool answers, held against the schema that it promised."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

from bridge.core.toolanswers import Answer
from bridge.core.toolbox import TOOLS

__all__ = ["checked"]


def checked(tool: str, answer: Answer) -> dict[str, Any]:
    """Give the data of an answer, which must be what the tool promises."""
    data = answer.structured
    assert data is not None
    Draft202012Validator(TOOLS[tool].listed["outputSchema"]).validate(data)
    return data
