import json
import secrets
import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.redaction import HIDDEN, Private, Redactor

REDACTOR = Redactor(
    Private(
        secrets=["hush", "hush-hush", "a\\b\"c'd", "abc"],
        homes=["/home/ann lee", "/home/ann", "C:\\Users\\Ann", "/", ""],
        users=["ann", "ännchen", "root", "", "x"],
        hosts=["deep-thought.example", "deep-thought", "127.0.0.1"],
    )
)

# (text, what is left of it)
REDACTED = [
    ("it says hush and hush-hush", f"it says {HIDDEN} and {HIDDEN}"),
    ("hushed", f"{HIDDEN}ed"),
    ("a\\b\"c'd", HIDDEN),
    ("/home/ann/work:/home/ann", "~/work:~"),
    ("/home/ann lee/x", "~/x"),
    ("file:///home/ann%20lee/x", "file://~/x"),
    ("/home/anna and /home/ann.bak", "/home/anna and /home/[user].bak"),
    ("c:\\users\\ann\\x", "~\\x"),
    (r"\\wsl.localhost\Ubuntu\home\ann\a.py", r"\\wsl.localhost\Ubuntu\home\[user]\a.py"),
    ("-Ann-'s by ANN_1, Ännchen", "-[user]-'s by [user]_1, [user]"),
    ("on deep-thought.example or Deep-Thought:22", "on [host] or [host]:22"),
    ("Authorization: Bearer abc.def-1", f"Authorization: Bearer {HIDDEN}"),
    ("x-claude-code-ide-authorization: t0k", f"x-claude-code-ide-authorization: {HIDDEN}"),
    ('{"authToken": "t0k", "x": 1}', f'{{"authToken": "{HIDDEN}", "x": 1}}'),
    ("password=t0k&api_key=t1k", f"password={HIDDEN}&api_key={HIDDEN}"),
    ("http://127.0.0.1:1/r/x#code=t0k", f"http://127.0.0.1:1/r/x#code={HIDDEN}"),
    ("https://me:pw@example.org/x", f"https://{HIDDEN}@example.org/x"),
    ("write to me.too@mail.example.org!", "write to [address]!"),
    ("11111111-2222-3333-4444-555555555555", HIDDEN),
    ("0123456789abcdef0123", HIDDEN),
    ("aB3-" * 8 + "x", HIDDEN),
]

KEPT = [
    "",
    "the root of the project on localhost at 127.0.0.1",
    "Linux-6.1.0-18-amd64-x86_64-with-glibc2.36",
    "2026-11-26 05:52:56,123 INFO bridge.daemon.main: bridge 0.1.0 is ready at /run/user/1000/bridge/0a1b2c3d.sock",
    "annex, banner, abc",
    '"code": "unavailable", "exit_code": 69',
    "weak lock file: no token",
    "a_rather_long_name_without_any_number",
    "review abcdefgh: accepted",
]


@pytest.mark.parametrize(("text", "left"), REDACTED)
def test_what_is_private_is_taken_out(text: str, left: str) -> None:
    assert REDACTOR.text(text) == left
    assert REDACTOR.text(left) == left


@pytest.mark.parametrize("text", KEPT)
def test_what_explains_the_fault_stays(text: str) -> None:
    assert REDACTOR.text(text) == text


def test_a_value_is_redacted_to_its_leaves_and_keeps_its_shape() -> None:
    value = {"/home/ann/x": [1, None, True, "hush", {"a": ("ann",)}], "n": 1.5}
    assert REDACTOR.value(value) == {"~/x": [1, None, True, HIDDEN, {"a": ["[user]"]}], "n": 1.5}


@pytest.mark.parametrize(
    "make", [lambda: str(uuid.uuid4()), lambda: secrets.token_hex(16), lambda: secrets.token_urlsafe(32)]
)
def test_tokens_that_nobody_knows_of_are_taken_out_too(make: object) -> None:
    assert callable(make)
    for _ in range(200):
        token = make()
        left = REDACTOR.text(f"said {token} and went")
        assert token not in left


def test_a_token_without_a_digit_is_one_all_the_same() -> None:
    assert REDACTOR.text("said aBcDeFgHiJkLmNoPqRsTuVwXyZ-aBcDeFgHiJ_kLmNoPq and went") == f"said {HIDDEN} and went"


@given(st.text(), st.text(string.ascii_letters + string.punctuation, min_size=4), st.text())
def test_a_known_secret_never_stays(before: str, secret: str, after: str) -> None:
    redactor = Redactor(Private(secrets=[secret]))
    if secret in HIDDEN:
        return
    assert secret not in redactor.text(before).replace(HIDDEN, "")
    assert redactor.text(secret) == HIDDEN
    assert secret not in json.dumps(redactor.value([before + secret + after])).replace(HIDDEN, "")
