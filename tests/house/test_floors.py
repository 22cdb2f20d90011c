"""The floors of netkit: imports go down, never up, and never round in circles."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.house import ROOT

# A package's line holds for all its modules, unless one has a line of its own.
FLOORS: dict[str, int] = {
    # 4: commands, and what turns a name or a file into a running process
    "netkit.__main__": 4,
    "netkit.cli": 4,
    "netkit.catalog": 4,
    "netkit.processes": 4,
    "netkit.serving": 4,
    # 3: what is served, and the clients
    "netkit.servers": 3,
    "netkit.clients": 3,
    # 2: several processes
    "netkit.admin": 2,
    "netkit.workers": 2,
    # 1: one service in one loop
    "netkit.beginnings": 1,
    "netkit.certificates": 1,
    "netkit.connections": 1,
    "netkit.counting": 1,
    "netkit.crowding": 1,
    "netkit.descriptions": 1,
    "netkit.drain": 1,
    "netkit.endpoints": 1,
    "netkit.errand": 1,
    "netkit.feeds.offload": 1,
    "netkit.feeds.sockets": 1,
    "netkit.gate": 1,
    "netkit.handshakes": 1,
    "netkit.introductions": 1,
    "netkit.lingering": 1,
    "netkit.linking": 1,
    "netkit.links": 1,
    "netkit.listeners": 1,
    "netkit.loops": 1,
    "netkit.observability": 1,
    "netkit.options": 1,
    "netkit.pacing": 1,
    "netkit.pressure": 1,
    "netkit.proxied": 1,
    "netkit.server": 1,
    "netkit.service": 1,
    "netkit.signals": 1,
    "netkit.starttls.cleartext": 1,
    "netkit.stdio": 1,
    "netkit.streams": 1,
    "netkit.subprocesses": 1,
    "netkit.sweep": 1,
    "netkit.systemd": 1,
    "netkit.targets": 1,
    "netkit.terminal": 1,
    "netkit.ticker": 1,
    "netkit.timerfd": 1,
    "netkit.tls": 1,
    "netkit.waiting": 1,
    # 0: no loop, no socket of its own
    "netkit.addresses": 0,
    "netkit.allocator": 0,
    "netkit.errors": 0,
    "netkit.feeds": 0,
    "netkit.jobs": 0,
    "netkit.kernel": 0,
    "netkit.ledger": 0,
    "netkit.limits": 0,
    "netkit.origins": 0,
    "netkit.peernames": 0,
    "netkit.plurals": 0,
    "netkit.proxy_headers": 0,
    "netkit.proxy_protocol": 0,
    "netkit.readiness": 0,
    "netkit.starttls": 0,
    "netkit.deadlines": 0,
    "netkit.threads": 0,
    "netkit.trust": 0,
    "netkit.version": 0,
}
FACADE = "netkit"
"""The package itself only re-exports, so it sees every floor; only floor 3 imports it."""
PUBLIC = {
    FACADE,
    "netkit.addresses",
    "netkit.certificates.describe",
    "netkit.certificates.folder",
    "netkit.service",
    "netkit.errors",
    "netkit.feeds",
    "netkit.jobs",
    "netkit.proxy_headers",
    "netkit.readiness",
    "netkit.subprocesses",
    "netkit.ticker",
    "netkit.starttls",
    "netkit.stdio",
    "netkit.tls",
}
"""What a server may import, so that any of them can be copied out as somebody's own."""


def public(module: str) -> bool:
    """Whether it is, or belongs to a package that is."""
    packages = ("netkit.feeds.", "netkit.jobs.", "netkit.subprocesses.", "netkit.tls.")
    return module in PUBLIC or module.startswith(packages)


@cache
def modules() -> dict[str, Path]:
    """Every module under src/netkit by name, behind the two symlinks too."""
    found = {}
    for folder, _, files in os.walk(ROOT / "src" / "netkit", followlinks=True):
        for file in files:
            if file.endswith(".py"):
                path = Path(folder) / file
                parts = path.relative_to(ROOT / "src").with_suffix("").parts
                found[".".join(parts).removesuffix(".__init__")] = path
    return found


class WithoutTypes(ast.NodeTransformer):
    """Takes out what stands under ``if TYPE_CHECKING``, which never runs."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        typing_only = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if typing_only else self.generic_visit(node)


def named_imports(path: Path, *, for_types: bool = True) -> Iterator[tuple[str, str]]:
    """Each import in a file, also inside functions: the module, and what is taken from it."""
    tree: ast.AST = ast.parse(path.read_text(), str(path))
    if not for_types:
        tree = WithoutTypes().visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield from ((source, alias.name) for alias in node.names)


@cache
def imports(module: str, *, for_types: bool = True) -> frozenset[str]:
    """The netkit modules that a module imports."""
    found = set()
    for source, name in named_imports(modules()[module], for_types=for_types):
        assert not source.startswith("."), f"{module}: write the import of {source} in full"
        full = f"{source}.{name}"
        if full in modules():
            found.add(full)
        elif source in modules():
            found.add(source)
    return frozenset(found)


def floor(module: str) -> int | None:
    """The floor of a module by the longest line of the table that covers it."""
    name = module
    while name and name not in FLOORS:
        name = name.rpartition(".")[0]
    return FLOORS.get(name)


def covered() -> list[str]:
    return sorted(name for name in modules() if name != FACADE)


def test_every_module_is_on_a_floor() -> None:
    homeless = [name for name in covered() if floor(name) is None]
    assert not homeless, f"add to FLOORS in tests/house/test_floors.py: {', '.join(homeless)}"


def test_every_line_of_the_table_is_a_module() -> None:
    gone = [name for name in FLOORS if name not in modules() and not packages(name)]
    assert not gone, f"take out of FLOORS in tests/house/test_floors.py: {', '.join(gone)}"


def packages(name: str) -> list[str]:
    """The modules inside a package that may have no ``__init__``."""
    return [module for module in modules() if module.startswith(name + ".")]


def test_imports_go_down() -> None:
    wrong = []
    for module in covered():
        own = floor(module)
        for other in imports(module) - {FACADE}:
            theirs = floor(other)
            if own is not None and theirs is not None and theirs > own:
                wrong.append(f"{module} (floor {own}) imports {other} (floor {theirs})")
    assert not wrong, "; ".join(wrong)


def test_only_servers_and_clients_import_the_facade() -> None:
    wrong = [name for name in covered() if FACADE in imports(name) and floor(name) != 3]
    assert not wrong, f"import from the module itself, not from netkit: {', '.join(wrong)}"


def test_no_imports_in_circles() -> None:
    # Two modules may name each other's types, as a room and its events do.
    graph = {name: imports(name, for_types=False) - {FACADE, name} for name in covered()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' <- '.join(error.args[1])}")


def test_servers_use_the_public_api_alone() -> None:
    wrong = [
        f"{name} imports {other}"
        for name in packages("netkit.servers")
        for other in imports(name)
        if not public(other) and not other.startswith("netkit.servers")
    ]
    assert not wrong, f"not public: {'; '.join(wrong)}"


def test_nobody_imports_the_top_folders_by_their_short_names() -> None:
    files = [*modules().values()]
    for folder in ("tests", "benchmarks"):
        files.extend((ROOT / folder).rglob("*.py"))
    wrong = [
        f"{path.relative_to(ROOT)} imports {source}"
        for path in files
        for source, _ in named_imports(path)
        if source.partition(".")[0] in {"servers", "clients"}
    ]
    assert not wrong, f"write netkit.servers or netkit.clients: {'; '.join(wrong)}"


def test_the_check_sees_an_import_upwards(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import netkit.cli\n"
        "if TYPE_CHECKING:\n    from netkit.server import Server\n"
        "def f():\n    from netkit import serving as s, catalog\n"
    )
    at_work = {("netkit.cli", ""), ("netkit", "serving"), ("netkit", "catalog")}
    assert set(named_imports(file, for_types=False)) == at_work
    assert set(named_imports(file)) == at_work | {("netkit.server", "Server")}
