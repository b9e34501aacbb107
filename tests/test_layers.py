"""Dependencies point one way (design.md): who may import whom, and what the pure packages may touch."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BASE = frozenset({"pathconv", "bridge.errors", "bridge.core"})
EDGE = BASE | {"bridge.paths"}
SERVED = EDGE | {"bridge.listening", "bridge.web"}  # what listens on TCP
DAEMON = SERVED | {
    *("bridge", "bridge.finding", "bridge.news", "bridge.proof", "bridge.versions"),
    *("bridge.agents", "bridge.ides", "bridge.store", "bridge.surfaces"),
}
CLIENT = frozenset(
    {"bridge.asking", "bridge.connection", "bridge.errors", "bridge.finding", "bridge.paths", "bridge.tmux"}
    | {"bridge.versions"}
)
CLI = BASE | {"bridge", "bridge.client", "bridge.paths", "bridge.store"}

# Package or module: what of ours it may import besides itself. The longest name that fits counts.
ALLOWED: dict[str, frozenset[str]] = {
    "pathconv": frozenset(),
    "bridge": frozenset({"bridge.client", "bridge.asyncclient"}),
    "bridge.__main__": frozenset({"bridge.cli"}),
    "bridge.errors": frozenset(),
    "bridge.paths": frozenset({"bridge.errors"}),
    "bridge.tmux": frozenset(),
    "bridge.listening": frozenset(),
    "bridge.web": frozenset(),
    "bridge.finding": frozenset({"bridge.errors", "bridge.paths", "bridge.proof"}),
    "bridge.versions": frozenset(),
    "bridge.proof": frozenset(),
    "bridge.connection": frozenset(
        {"bridge", "bridge.errors", "bridge.finding", "bridge.paths", "bridge.tmux", "bridge.versions"}
    ),
    "bridge.asking": frozenset({"bridge.errors", "bridge.connection"}),
    "bridge.news": frozenset(),
    "bridge.client": CLIENT | {"bridge", "bridge.news"},
    "bridge.asyncclient": CLIENT | {"bridge", "bridge.news"},
    "bridge.forwarder": frozenset({"bridge.asking", "bridge.connection", "bridge.errors"}),
    "bridge.core": BASE,
    "bridge.ides": EDGE,
    "bridge.agents": SERVED | {"bridge.proof"},
    "bridge.surfaces": SERVED,
    "bridge.store": EDGE,
    "bridge.daemon": DAEMON,
    "bridge.daemon.inspection": EDGE | {"bridge", "bridge.client", "bridge.daemon", "bridge.ides", "bridge.store"},
    "bridge.cli": CLI,
    "bridge.cli.bugfacts": CLI | {"bridge.cli", "bridge.connection"},  # the variables that it sends
    "bridge.cli.hook": CLI | {"bridge.cli", "bridge.connection"},  # how long a daemon has to answer
    "bridge.cli.mcp": CLI | {"bridge.cli", "bridge.connection", "bridge.forwarder"},
    "bridge.cli.shell_hook": CLI | {"bridge.cli", "bridge.tmux"},
    # ``bridge up`` starts the daemon, with ``--foreground`` it becomes it.
    "bridge.cli.daemon": CLI | {"bridge.cli", "bridge.daemon", "bridge.finding"},
    "bridge.cli.doctor": CLI | {"bridge.cli", "bridge.daemon.inspection"},  # the daemon may be what is ill
}
STANDARD_LIBRARY_ONLY = (
    *CLIENT,
    *("bridge.client", "bridge.asyncclient", "bridge.news", "bridge.proof", "bridge.forwarder", "pathconv"),
)

# All that a module that decides may know of the standard library, and of PyPI.
PURE = frozenset(
    {"__future__", "bisect", "collections", "csv", "dataclasses", "difflib", "enum", "functools", "hashlib", "heapq"}
    | {
        "contextlib",
        "itertools",
        "json",
        "math",
        "ntpath",
        "operator",
        "os",
        "posixpath",
        "re",
        "shlex",
        "string",
        "tomllib",
        "types",
        "typing",
        "unicodedata",
        "weakref",
    }
    | {"ipaddress", "urllib.parse"}
)
PURE_PACKAGES = frozenset({"msgspec", "pydantic"})
PURE_OF_OS = frozenset({"fsdecode", "fsencode", "fspath"})


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("bridge", "pathconv"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imports(path: Path) -> set[str]:
    """Name every module that the file imports, anywhere in it; ``from x import y`` is ``x.y`` where that is one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            source = node.module or ""
            found |= {f"{source}.{a.name}" if f"{source}.{a.name}" in MODULES else source for a in node.names}
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def rule(name: str) -> str:
    return max((package for package in ALLOWED if within(name, package)), key=len)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_what_lies_below_it(name: str) -> None:
    mine = rule(name)
    for imported in imports(MODULES[name]):
        if imported in MODULES:
            allowed = mine != "bridge" and within(imported, mine)
            allowed |= any(within(imported, p) if p != "bridge" else imported == p for p in ALLOWED[mine])
            assert allowed, f"{name} imports {imported}"


def test_every_package_has_a_rule_of_its_own() -> None:
    packages = {name for name in MODULES if (name.count(".") <= 1 and within(name, "bridge")) or "." not in name}
    assert packages <= set(ALLOWED)
    assert set(ALLOWED) <= set(MODULES)


def pure(package: str) -> list[str]:
    return [name for name in MODULES if within(name, package) and name != "pathconv.probe"]


@pytest.mark.parametrize("name", [*pure("bridge.core"), *pure("pathconv")])
def test_what_decides_touches_nothing(name: str) -> None:
    outside = {imported for imported in imports(MODULES[name]) if imported not in MODULES}
    allowed = {i for i in outside if i in PURE or i.split(".")[0] in PURE | PURE_PACKAGES}
    assert outside - allowed == set()
    used = {
        node.attr
        for node in ast.walk(ast.parse(MODULES[name].read_bytes()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    assert used <= PURE_OF_OS


@pytest.mark.parametrize("name", [n for n in MODULES if any(within(n, p) for p in STANDARD_LIBRARY_ONLY)])
def test_the_thin_client_needs_no_library(name: str) -> None:
    outside = {imported.split(".")[0] for imported in imports(MODULES[name])} - {"bridge", "pathconv"}
    assert outside <= sys.stdlib_module_names
