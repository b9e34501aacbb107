"""The tools that agents get over MCP: what each takes, what it gives, and how a model is told so.

There is none that decides a review (design.md D11), and none that writes a file: the agent does that, when the human
said yes. The arguments' schema is made from the structure that reads them, the result's from the structure that it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.core.idereports import Diagnostics, Editors, Ides, Opened, Selected
from bridge.core.reviewreports import ReviewReport
from bridge.core.schemas import schema_of
from bridge.core.toolanswers import WAIT_MS
from bridge.errors import Usage

__all__ = [
    "HTTP_PATH",
    "INSTRUCTIONS",
    "MOST_FILES",
    "TOOLS",
    "CancelReview",
    "GetDiagnostics",
    "GetOpenEditors",
    "GetReview",
    "GetSelection",
    "ListIdes",
    "OpenFile",
    "ProposeChanges",
    "Tool",
    "read_arguments",
]

T = TypeVar("T", bound=Struct)

HTTP_PATH: Final = "/mcp"
MOST_FILES: Final = 200  # of one review, as everywhere
_MOST_TEXT: Final = 8 * 2**20  # characters of one file, as on the control socket
_MOST_NAME: Final = 4096

INSTRUCTIONS: Final = """\
The bridge connects you to the editor (IDE) that the human works in. Use propose_changes before you change files that \
the human wants to review: the human sees a diff and accepts, edits or rejects it. propose_changes never writes: \
write the text yourself, and only when the result says so. While a review is pending, or after it was rejected, \
nothing may be written."""

Path = Annotated[
    str,
    Meta(min_length=1, max_length=_MOST_NAME, description="Path of the file; a relative one counts from workspace."),
]
Workspace = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=_MOST_NAME,
        description="Absolute path of the directory that you work in. It decides which IDE is asked, and relative "
        "paths count from it. Default: the directory in which this server was started; over HTTP there is none: give "
        "it there.",
    ),
]
Ide = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=256,
        description="Port, or the beginning of the name, of the IDE to use (see list_ides). Default: the one that the "
        "human works in. Name one only if the human did.",
    ),
]
ReviewId = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The review_id that propose_changes gave.")
]


class _Arguments(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What every tool's arguments are: nothing unknown is passed over."""


class _InWorkspace(_Arguments, frozen=True, kw_only=True):
    workspace: Workspace | UnsetType = UNSET
    ide: Ide | UnsetType = UNSET


class OpenFile(_InWorkspace, frozen=True, kw_only=True):
    """Arguments of ``open_file``."""

    path: Path
    line: Annotated[int, Meta(ge=1, le=2**31, description="Line to go to; the first is 1.")] | UnsetType = UNSET
    column: Annotated[int, Meta(ge=1, le=2**31, description="Column to go to; the first is 1.")] | UnsetType = UNSET


class ProposedFile(_Arguments, frozen=True, kw_only=True):
    """One file of ``propose_changes``."""

    path: Path
    content: Annotated[
        str, Meta(max_length=_MOST_TEXT, description="The whole new text of the file, not a part and not a diff.")
    ]


class ProposeChanges(_InWorkspace, frozen=True, kw_only=True):
    """Arguments of ``propose_changes``."""

    files: Annotated[
        list[ProposedFile],
        Meta(
            min_length=1,
            max_length=MOST_FILES,
            description="The files that change, each once. They are one review, decided together.",
        ),
    ]
    title: Annotated[str, Meta(max_length=_MOST_NAME, description="One line for the human: what the change does.")] = ""
    request_key: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=_MOST_NAME,
                description="Your own name for this proposal. Calling again with the same key and the same files joins "
                "the same review instead of making another. Another change needs another key. "
                "Default: made from the files.",
            ),
        ]
        | UnsetType
    ) = UNSET
    supersedes: (
        Annotated[ReviewId, Meta(description="The undecided review that this proposal replaces, if it does.")]
        | UnsetType
    ) = UNSET
    wait_ms: Annotated[
        int, Meta(ge=0, le=WAIT_MS, description="How long to wait for the decision before answering with pending.")
    ] = WAIT_MS


class GetReview(_Arguments, frozen=True, kw_only=True):
    """Arguments of ``get_review``."""

    review_id: ReviewId
    wait_ms: Annotated[
        int, Meta(ge=0, le=WAIT_MS, description="How long to wait for the decision, if there is none yet.")
    ] = 0
    include_texts: Annotated[
        bool, Meta(description="Whether to give the final text of each file that was accepted, whole.")
    ] = False


class CancelReview(_Arguments, frozen=True, kw_only=True):
    """Arguments of ``cancel_review``."""

    review_id: ReviewId


class GetSelection(_InWorkspace, frozen=True, kw_only=True):
    """Arguments of ``get_selection``."""


class GetOpenEditors(_InWorkspace, frozen=True, kw_only=True):
    """Arguments of ``get_open_editors``."""


class GetDiagnostics(_InWorkspace, frozen=True, kw_only=True):
    """Arguments of ``get_diagnostics``."""

    path: Path | UnsetType = UNSET


class ListIdes(_Arguments, frozen=True, kw_only=True):
    """Arguments of ``list_ides``."""

    workspace: Workspace | UnsetType = UNSET


@dataclass(frozen=True)
class Tool:
    """One tool. The annotations are hints for the host, and all four are always given."""

    name: str
    title: str
    description: str
    arguments: type[Struct]
    result: type[Struct]
    read_only: bool = True
    destructive: bool = False
    idempotent: bool = True
    open_world: bool = False
    most_result: int | None = None  # characters that a host should let through, where that is more than usual

    @cached_property
    def listed(self) -> dict[str, Any]:
        """Give the tool as ``tools/list`` has it."""
        hints = {
            "title": self.title,
            "readOnlyHint": self.read_only,
            "destructiveHint": self.destructive,
            "idempotentHint": self.idempotent,
            "openWorldHint": self.open_world,
        }
        entry = {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": schema_of(self.arguments),
            "outputSchema": schema_of(self.result),
            "annotations": hints,
        }
        if self.most_result is not None:
            entry["_meta"] = {"anthropic/maxResultSizeChars": self.most_result}  # docs of Claude Code
        return entry


_TOOLS: Final = (
    Tool(
        name="open_file",
        title="Open a file in the IDE",
        description="Open a file in the human's IDE, at a line if one is given, so that the human sees it. "
        "Changes nothing.",
        arguments=OpenFile,
        result=Opened,
    ),
    Tool(
        name="propose_changes",
        title="Propose changes for review",
        description="Show the human a change of one or more files, and wait for the decision. The human sees a diff in "
        "the IDE, or in the browser if there is no IDE, and may accept, edit or reject it. This tool never writes: "
        "after an acceptance write the files yourself, with the text that the result names, for the human may have "
        "edited it. If nobody decided within wait_ms the status is pending: write nothing, and call get_review with "
        "wait_ms until there is a decision. Calling again with the same files joins the same review.",
        arguments=ProposeChanges,
        result=ReviewReport,
        read_only=False,
    ),
    Tool(
        name="get_review",
        title="Get a review's decision",
        description="Tell how a review stands: the decision, the human's comments, and what the human changed in the "
        "proposal. With wait_ms it waits for a decision; with include_texts it gives the whole texts to write.",
        arguments=GetReview,
        result=ReviewReport,
        most_result=500_000,
    ),
    Tool(
        name="cancel_review",
        title="Cancel a review",
        description="Take a proposal back that the human has not decided. A decided review stays as it is, and its "
        "decision is the result.",
        arguments=CancelReview,
        result=ReviewReport,
        read_only=False,
        destructive=True,
    ),
    Tool(
        name="get_selection",
        title="Get the selection",
        description="Tell what the human has selected in the IDE, or where the cursor is. "
        "Lines and columns count from 1.",
        arguments=GetSelection,
        result=Selected,
    ),
    Tool(
        name="get_open_editors",
        title="List the open editors",
        description="List the files that are open in the human's IDE.",
        arguments=GetOpenEditors,
        result=Editors,
    ),
    Tool(
        name="get_diagnostics",
        title="Get the problems that the IDE knows of",
        description="List the problems (errors, warnings) that the IDE knows of, in one file or in all. "
        "Lines and columns count from 1.",
        arguments=GetDiagnostics,
        result=Diagnostics,
    ),
    Tool(
        name="list_ides",
        title="List the IDEs",
        description="List the IDEs that are running, which one would be used for the workspace, and why.",
        arguments=ListIdes,
        result=Ides,
    ),
)
TOOLS: Final[Mapping[str, Tool]] = {tool.name: tool for tool in _TOOLS}


def read_arguments(tool: Tool, arguments: Mapping[str, Any] | None) -> Any:
    """Read a call's arguments as `tool` takes them; null is the same as none, as some models write it.

    Raises `Usage` that says what is wrong and where; the model's fault, which it can mend.
    """
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    try:
        return msgspec.convert(given, tool.arguments)
    except msgspec.ValidationError as exc:
        raise Usage(f"wrong arguments for {tool.name}: {exc}", f"{tool.name} takes: {_takes(tool)}") from None


def _takes(tool: Tool) -> str:
    fields = msgspec.structs.fields(tool.arguments)
    return ", ".join(field.name if field.required else f"{field.name} (optional)" for field in fields) or "nothing"
