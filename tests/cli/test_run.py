"""``bridge run``: what the child is given, as a table; its life is told in tests/e2e/test_run_stories.py."""

from __future__ import annotations

import pytest

from bridge.cli.run import environment

LOOPBACK = "127.0.0.1,localhost"
USUAL = {
    "CLAUDE_CODE_SSE_PORT": "4711",
    "CLAUDE_CODE_IDE_SKIP_VALID_CHECK": "1",
    "CLAUDE_CODE_AUTO_CONNECT_IDE": "true",
    "ENABLE_IDE_INTEGRATION": "true",
}

# (the environment, what is different in the child's beside the usual)
ENVIRONMENTS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({}, {}),
    ({"HOME": "/h", "STRANGE": "\udcff"}, {}),
    ({"CLAUDE_CODE_SSE_PORT": "1", "ENABLE_IDE_INTEGRATION": "false"}, {}),
    ({"CLAUDE_CODE_AUTO_CONNECT_IDE": "false"}, {"CLAUDE_CODE_AUTO_CONNECT_IDE": "false"}),  # the user's own word
    ({"CLAUDE_CONFIG_DIR": "/private"}, {"CLAUDE_CONFIG_DIR": "/private"}),
    ({"CLAUDE_CODE_IDE_HOST_OVERRIDE": "10.0.0.5"}, {"CLAUDE_CODE_IDE_HOST_OVERRIDE": "127.0.0.1"}),
    ({"http_proxy": ""}, {}),
    ({"no_proxy": "a"}, {}),
    ({"HTTPS_PROXY": "http://p"}, {"no_proxy": LOOPBACK, "NO_PROXY": LOOPBACK}),
    ({"http_proxy": "p", "no_proxy": "a,b"}, {"no_proxy": f"a,b,{LOOPBACK}", "NO_PROXY": f"a,b,{LOOPBACK}"}),
    ({"ALL_PROXY": "p", "NO_PROXY": "*"}, {"no_proxy": "*", "NO_PROXY": "*"}),
    (
        {"all_proxy": "p", "no_proxy": "a", "NO_PROXY": "b"},
        {"no_proxy": f"a,{LOOPBACK}", "NO_PROXY": f"b,{LOOPBACK}"},
    ),
]


@pytest.mark.parametrize(("environ", "different"), ENVIRONMENTS)
def test_what_the_child_is_told(environ: dict[str, str], different: dict[str, str]) -> None:
    before = dict(environ)
    assert environment(environ, 4711) == {**environ, **USUAL, **different}
    assert environ == before
