"""Wording: a call of an official tool as an IDE's plugin takes it, and its result as agents know it.

Most plugins take the official tools, with arguments by other names (`bridge.core.dialects`). JetBrains' server has
tools of its own (`bridge.core.jetbrains`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from bridge.core import answers, dialects, jetbrains, jsonrpc
from bridge.core.answers import Answer
from bridge.core.asks import CallTool, OpenFile
from bridge.core.jsonrpc import Message
from bridge.core.link import Link
from bridge.core.lockfile import Family
from bridge.core.ranking import Place
from bridge.core.spots import find_spot

__all__ = ["Worded", "disowned", "opening", "placed", "preliminary", "relayed", "worded"]


class Worded(NamedTuple):
    """A call as it is sent."""

    tool: str
    arguments: bytes
    positioned: bool = True  # it asks for the line, if one was wanted


def opening(link: Link, ask: OpenFile) -> Worded:
    """Word the opening of a file. Raises `BadData` for a path that the IDE cannot be told."""
    if link.lock.family is Family.JETBRAINS:
        tool, given = jetbrains.put(link.tools, "openFile", ask.path, "/")
        return Worded(tool, jsonrpc.dump(given), positioned=ask.line is None)
    spot = find_spot(ask.text, ask.line, ask.column) if ask.text is not None and ask.line else None
    given, positioned = dialects.open_file_arguments(link.tools, ask.path, line=ask.line, spot=spot)
    return Worded("openFile", jsonrpc.dump(given), positioned)


def preliminary(link: Link, ask: CallTool) -> Worded | None:
    """Give the call whose answer decides the place that `ask` is to be worded with, if there must be one."""
    if link.lock.family is Family.JETBRAINS and ask.tool == "getOpenEditors":
        tool, given = jetbrains.asks_for_projects(link.tools)
        return Worded(tool, jsonrpc.dump(given))
    return None


def placed(place: Place, answer: Answer) -> Place | str:
    """Give the place that the answer to `preliminary` decides; or why this IDE has none."""
    project, reason = jetbrains.project_of(answer, place.directory)
    return reason if project is None else replace(place, directory=project)


def worded(link: Link, ask: CallTool, place: Place) -> Worded:
    """Word a call; `place` is where its asker is, and what it is about.

    Raises `BadData` for what the IDE cannot be told, `Unavailable` where its own tool wants more than was said.
    """
    if link.lock.family is Family.JETBRAINS:
        tool, given = jetbrains.put(link.tools, ask.tool, _file(ask, place), place.directory)
        return Worded(tool, jsonrpc.dump(given))
    if ask.file is not None:
        return Worded(ask.tool, jsonrpc.dump(dialects.file_arguments(link.tools, ask.tool, ask.file)))
    return Worded(ask.tool, dialects.fitted(link.tools, ask.tool, ask.arguments) if ask.posed else ask.arguments)


def relayed(link: Link, ask: CallTool, place: Place, message: Message) -> bytes:
    """Give a call's result on one line, as the agents' sockets want it; only positions that count from 1 are shifted.

    Raises `ValueError` or `RecursionError`.
    """
    if link.traits.one_based:
        return jsonrpc.dump(answers.zero_based_result(jsonrpc.load(message.result)))
    told = _jetbrains(ask, place, message) if link.lock.family is Family.JETBRAINS else None
    return jsonrpc.compact(message.result) if told is None else jsonrpc.dump(told)


def _jetbrains(ask: CallTool, place: Place, message: Message) -> dict[str, Any] | None:
    answer, file = answers.read_answer(message), _file(ask, place)
    if ask.tool == "getOpenEditors":
        return jetbrains.editors(answer, place.directory)
    return None if ask.tool == "openFile" or file is None else jetbrains.diagnostics(answer, file)


def disowned(link: Link, message: Message | None) -> str | None:
    """Say in words that what was asked about is none of this IDE's own, if it answered that: only it can tell."""
    if message is None or link.lock.family is not Family.JETBRAINS:
        return None
    return jetbrains.disowned(answers.read_answer(message))


def _file(ask: CallTool, place: Place) -> str | None:
    """Name the file that a call is about, absolute: in whatever argument it stands, its scene is about it."""
    return ask.file or place.file
