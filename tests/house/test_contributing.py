"""CONTRIBUTING.md says what is there."""

from __future__ import annotations

import re

from source_tree import ROOT, SOURCE, members

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def named(pattern: str) -> set[str]:
    """Names in backticks, in the first column of tables."""
    cells = re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
    return {name for cell in cells for name in re.findall(pattern, cell)}


def test_its_map_has_all_packages_and_no_others() -> None:
    assert named(r"`(\w+)`") == set(members(SOURCE))


def test_its_commands_are_those_of_the_makefile() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named(r"`make ([\w-]+)`") == set(targets) - {"clean"}
