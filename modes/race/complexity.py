"""Complexity: how much there is of a mode, read from its row and from the code, not counted by hand."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from modes.catalogue import Mode, Role
from modes.settings import Settings

ROOT: Final = Path(__file__).parents[2]
_PACKAGES: Final = ("core", "adapters", "producers", "processors", "batch", "serving", "modes")
#: Their functions put parts together for all modes: of these only what a role reaches is its own.
_SHARED: Final = ("modes.wiring.", "modes.settings")
_ROLES: Final = "modes.roles."

_PARSING: Final = threading.Lock()

Function = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Complexity:
    """`processes`: role processes and servers. `lines`: of code, comments and blank lines left out, in `modules`;
    `own_lines`: those that producers and serving, which all modes have, do not need. `settings`: that they read.
    """  # noqa: D205 - a list

    processes: int
    stores: tuple[str, ...]
    modules: int
    lines: int
    own_lines: int
    settings: int

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


def complexity_of(row: Mode) -> Complexity:
    """Of a mode, from its roles' modules and all that these import or call."""
    stores = ["Kafka", *(["Redis"] if row.speed_view else []), *(["Parquet"] if row.archive else [])]
    servers = 1 + row.speed_view
    entries = [f"{_ROLES}{role}" for role in row.roles]
    # what an operator of the mode needs to repair an error of logic
    entries += ["modes.commands.replay"] if row.job_versions else []
    reached = _reached(entries)
    shared = _reached([f"{_ROLES}{role}" for role in (Role.PRODUCE, Role.SERVE)])
    return Complexity(
        processes=len(row.roles) + servers,
        stores=tuple(stores),
        modules=len({module for module, _ in reached}),
        lines=_lines_of(reached),
        own_lines=_lines_of(reached - shared),
        settings=len(_settings_read(reached)),
    )


def _reached(entries: Iterable[str]) -> set[Function]:
    """(module, function) that modules reach; function "" for a whole module."""
    waiting: list[Function] = [(module, "") for module in entries]
    found: set[Function] = set()
    while waiting:
        at = waiting.pop()
        if at not in found:
            found.add(at)
            waiting += _next(at)
    return found


def _next(at: Function) -> Iterator[Function]:
    module, function = at
    tree = _tree(module)
    names = _imported(module)
    body = _definitions(module).get(function, tree) if function else tree
    if not function:
        # a package is run before its modules
        parent = module.rpartition(".")[0]
        if parent:
            yield parent, ""
    used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(body) if isinstance(node, ast.Attribute)}
    for name in used | (set(names) if not function else set()):
        if name in names:
            of, what = names[name]
            yield (of, what) if of.startswith(_SHARED) else (of, "")
        if module.startswith(_SHARED) and name in _definitions(module) and name != function:
            yield module, name


@cache
def _imported(module: str) -> dict[str, Function]:
    """Name in a module to (own module, what it imports from there)."""
    out: dict[str, Function] = {}
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in _PACKAGES:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                out[alias.asname or alias.name] = (whole, "") if _file(whole) else (node.module, alias.name)
    return out


@cache
def _definitions(module: str) -> dict[str, ast.AST]:
    """The functions of a module, those of its classes included."""
    return {
        node.name: node
        for node in ast.walk(_tree(module))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }


def _settings_read(reached: Iterable[Function]) -> set[str]:
    fields = set(Settings.model_fields)
    found: set[str] = set()
    for module, function in reached:
        if module == "modes.settings" and not function:
            continue
        body = _definitions(module).get(function, _tree(module)) if function else _tree(module)
        found |= {node.attr for node in ast.walk(body) if isinstance(node, ast.Attribute) and node.attr in fields}
    return found


def _lines_of(reached: set[Function]) -> int:
    modules = {module for module, _ in reached}
    return sum(_lines(module, {name for of, name in reached if of == module}) for module in modules)


def _lines(module: str, functions: set[str]) -> int:
    """Lines with code: of the whole module, or of the functions that are reached."""
    tree = _tree(module)
    bodies = (
        [tree]
        if "" in functions
        else [_definitions(module)[name] for name in functions if name in _definitions(module)]
    )
    held: set[int] = set()
    for body in bodies:
        held |= {
            line
            for node in _code(body)
            if isinstance(node, (ast.stmt, ast.expr))
            for line in (node.lineno, node.end_lineno or node.lineno)
        }
    return len(held)


def _code(body: ast.AST) -> Iterator[ast.AST]:
    """All nodes but docstrings."""
    yield body
    for node in ast.iter_child_nodes(body):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                pass
            case _:
                yield from _code(node)


@cache
def _tree(module: str) -> ast.Module:
    file = _file(module)
    if file is None:
        return ast.Module([], [])
    # Python 3.11 counts the depth of all threads' parsers together
    with _PARSING:
        return ast.parse(file.read_text())


@cache
def _file(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)
