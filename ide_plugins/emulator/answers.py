"""What a request is answered: this decides and changes the window and the tabs, and sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from . import rpc
from .diffs import Diff, DiffTabs
from .faults import Fault, Faults
from .jetbrains import refusal
from .personality import Personality
from .tools import Arguments, Tool, file_not_found, text_result
from .window import Window

__all__ = ["Answers"]

CANNOT_CREATE_DIFF: Final = -32000


@dataclass(kw_only=True)
class Answers:
    """Answers requests of clients, which are only told apart here."""

    plugin: Personality
    tools: Mapping[str, Tool]
    name: str  # of the IDE
    window: Window
    tabs: DiffTabs
    faults: Faults
    calls: list[tuple[str, Arguments]]  # grows by every call of a tool, as received
    opened: Callable[[Diff], None]  # a diff is shown
    happened: Callable[..., None]  # an event and its facts

    def answer(self, client: object, request: rpc.Request) -> dict[str, Any] | None:
        """Decide the result; None is one that comes later, or never. Raises `Refused`."""
        if request.method == "tools/call":
            return self._call(client, request)
        if self.faults.swallow(request.method):
            return None
        if request.method == "initialize":
            return self._initialize(request.params)
        if request.method == "tools/list":
            return {"tools": [tool.to_json() for tool in self.tools.values() if tool.listed]}
        if request.method in self.plugin.fixed_answers:
            return self.plugin.fixed_answers[request.method]
        raise rpc.Refused(rpc.METHOD_NOT_FOUND, "Method not found")

    def _initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        version = self.plugin.protocol_version or params.get("protocolVersion", "2025-06-18")
        server = self.plugin.server or {
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": f"Claude Code {self.name} MCP", "version": "1.0.44"},
        }
        return {"protocolVersion": version, **server}

    def _call(self, client: object, request: rpc.Request) -> dict[str, Any] | None:
        name, arguments = str(request.params.get("name")), request.params.get("arguments", {})
        if name not in self.tools:
            raise rpc.Refused(rpc.INVALID_PARAMS, f"MCP error -32602: Tool {name} not found")
        self.calls.append((name, arguments))
        self.happened("call", tool=name, **_named_file(arguments))
        if self.faults.swallow(request.method):
            return None
        tool = self.tools[name]
        tool.check(arguments)
        if tool.run is None:
            return self._open_diff(client, request.id, arguments)
        if (wrong := refusal(self.faults)) is not None:
            return wrong
        if name == "openFile" and Fault.OPENFILE_LIES in self.faults:
            return text_result(f"Error opening file: {_named_file(arguments).get('path')}")
        return tool.run(self.window, self.tabs.of(client) if self.plugin.own_diffs else self.tabs, arguments)

    def _open_diff(self, client: object, id_: rpc.RequestId, arguments: Arguments) -> dict[str, Any] | None:
        diff = Diff.of_call(client, id_, self.plugin.proposal(arguments))
        old, new = (self.window.find(name) for name in (diff.old_file_path, diff.new_file_path))
        if old is None or new is None:
            return file_not_found(diff.old_file_path)
        if self.plugin.refuses_dirty and old in self.window.dirty:
            raise rpc.Refused(CANNOT_CREATE_DIFF, "Cannot create diff: the file has unsaved changes")
        self.tabs.open(diff)
        facts = {"path": diff.new_file_path, "length": len(diff.contents), "new_file": not old.exists()}
        self.happened("diff", tab_name=diff.tab_name, **facts)
        self.opened(diff)
        return None if self.plugin.outcome is None else text_result()


def _named_file(arguments: Any) -> dict[str, str]:
    """Give the file that a call is about, as the client wrote it: a fact for the event."""
    match arguments:
        case {"filePath": str(name)} | {"uri": str(name)}:
            return {"path": name}
    return {}
