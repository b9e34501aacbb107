import pytest

from bridge import errors
from bridge.errors import (
    BadConfiguration,
    BadData,
    BridgeError,
    Conflict,
    ExitCode,
    LockFileError,
    NotTrusted,
    Outdated,
    StillPending,
    Unavailable,
    Usage,
    WriteFailed,
    error_from_json,
    render,
)

CODES: dict[type[BridgeError], int] = {
    BridgeError: 70,
    Usage: 2,
    BadData: 65,
    Conflict: 65,
    Unavailable: 69,
    Outdated: 69,
    WriteFailed: 74,
    StillPending: 75,
    NotTrusted: 77,
    LockFileError: 77,
    BadConfiguration: 78,
}


def test_every_error_has_its_exit_code() -> None:
    exported = {getattr(errors, name) for name in errors.__all__}
    assert {kind for kind in exported if isinstance(kind, type) and issubclass(kind, BridgeError)} == set(CODES)
    assert {kind: int(kind.exit_code) for kind in CODES} == CODES


@pytest.mark.parametrize("kind", set(CODES) - {LockFileError})
@pytest.mark.parametrize("hint", ["do this", None])
def test_an_error_is_the_same_on_the_other_side_of_the_socket(kind: type[BridgeError], hint: str | None) -> None:
    there = error_from_json(kind("it broke", hint).to_json())
    assert (type(there), there.message, there.hint) == (kind, "it broke", hint)


def test_a_lock_file_that_is_not_admitted_is_a_matter_of_trust_there_too() -> None:
    error = LockFileError("4001.lock", "not yours")
    assert (error.name, error.reason) == ("4001.lock", "not yours")
    there = error_from_json(error.to_json())
    assert (type(there), there.message) == (NotTrusted, "4001.lock: not yours")


@pytest.mark.parametrize("strange", [{}, {"message": 5, "data": []}, {"data": {"code": "of tomorrow"}}], ids=repr)
def test_an_error_of_an_unknown_kind_is_a_bug(strange: dict[str, object]) -> None:
    error = error_from_json(strange)
    assert type(error) is BridgeError
    assert error.exit_code is ExitCode.BUG


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Usage("no such file"), "error: no such file"),
        (Usage("no such file", "check the path"), "error: no such file\n\nhint: check the path"),
    ],
)
def test_an_error_says_what_happened_and_then_what_to_do(error: BridgeError, text: str) -> None:
    assert render(error) == text
