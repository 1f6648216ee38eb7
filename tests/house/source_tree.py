"""The source as the rules of the house see it: files, functions, names, imports."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "napari_sam"


def check_none(offenders: Iterable[str]) -> None:
    """Fail with one line for each."""
    lines = list(offenders)
    assert not lines, "\n".join(["", *lines])


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def python_files(*folders: str) -> list[Path]:
    return [path for name in folders for path in sorted((ROOT / name).rglob("*.py"))]


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def packages() -> list[Path]:
    """Folders of packages in `src`, those inside others as well."""
    return [path.parent for path in sorted(SOURCE.rglob("__init__.py"))]


def members(package: Path) -> list[str]:
    """The modules and packages right inside one."""
    modules = [p.stem for p in package.glob("*.py") if not p.stem.startswith("__")]
    inner = [p.parent.name for p in package.glob("*/__init__.py")]
    return sorted(modules + inner)


def dotted(path: Path) -> str:
    """The name by which a module or a package is imported."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def docstring_of(package: Path) -> str:
    return ast.get_docstring(tree_of(package / "__init__.py")) or ""


def exports(package: Path) -> list[str]:
    """What `__all__` of a package names."""
    for node in tree_of(package / "__init__.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, Function):
            yield node


def body_lines(function: Function) -> int:
    """Lines of a function below its docstring."""
    first = function.body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    body = function.body[1:] if is_text else function.body
    if not body or function.end_lineno is None:
        return 0
    return function.end_lineno - body[0].lineno + 1


@dataclass(frozen=True, slots=True)
class Import:
    """A name that is imported from a module of ours.

    Parameters
    ----------
    importer
        The importing module, dotted.
    line
        Where it is written.
    source
        The module that the name is imported from, dotted.
    name
        What is imported.
    """

    importer: str
    line: str
    source: str
    name: str


def imports(path: Path) -> Iterator[Import]:
    """All `from napari_sam... import ...`, wherever they are in the module."""
    for node in ast.walk(tree_of(path)):
        source = node.module if isinstance(node, ast.ImportFrom) else None
        if source is not None and source.split(".")[0] == "napari_sam":
            for alias in node.names:
                where = f"{short(path)}:{node.lineno}"
                yield Import(dotted(path), where, source, alias.name)
