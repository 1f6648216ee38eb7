"""Sizes and names that a reader can rely on."""

from __future__ import annotations

import ast
from collections import defaultdict

from source_tree import (
    SOURCE,
    body_lines,
    check_none,
    functions,
    python_files,
    short,
    tree_of,
)

MOST_LINES = 400
MOST_BODY_LINES = 40


def test_no_file_is_longer_than_a_reader_holds_in_mind() -> None:
    scripts = sorted(SOURCE.rglob("*.js"))
    files = [*python_files("src", "tests", "benchmarks"), *scripts]
    counts = {short(path): len(path.read_text().splitlines()) for path in files}
    check_none(f"{path}: {n} lines" for path, n in counts.items() if n > MOST_LINES)


def test_no_function_is_longer_than_a_page() -> None:
    check_none(
        f"{short(path)}:{function.lineno} {function.name}: {body_lines(function)} lines"
        for path in python_files("src", "tests", "benchmarks")
        for function in functions(path)
        if body_lines(function) > MOST_BODY_LINES
    )


def test_a_class_name_means_one_thing() -> None:
    homes = defaultdict(list)
    for path in python_files("src"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(f"{short(path)}:{node.lineno}")
    check_none(
        f"{name}: {', '.join(where)}" for name, where in homes.items() if len(where) > 1
    )


def test_a_test_module_or_scene_is_found_by_its_name_alone() -> None:
    # pytest puts their folders side by side into the path.
    homes = defaultdict(list)
    for path in python_files("tests"):
        homes[path.name].append(short(path))
    check_none(
        ", ".join(paths)
        for name, paths in homes.items()
        if len(paths) > 1 and name != "conftest.py"
    )
