"""The modules in `browser` as the one that anywidget loads, without any tool of theirs.

    import { clamp } from "./view.js";      goes: that module stands before this one
    export const clamp = ...                goes on as const clamp = ...
    export default { render }               stays, in the last module

So imports are of names in braces, from files beside it; exports are written before what
they export; and no two modules use a name for different things.
"""

from __future__ import annotations

import re
from pathlib import Path

IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(
    r"^export (?=(?:const|let|class|function|async function)\b)", re.MULTILINE
)


def bundle(entry: Path) -> str:
    """Join a module and all that it imports, each after what it needs itself."""
    sources: dict[str, str] = {}
    _collect(entry, (), sources)
    return "\n".join(sources.values())


def _collect(path: Path, importers: tuple[str, ...], sources: dict[str, str]) -> None:
    if path.name in importers:
        circle = " -> ".join((*importers, path.name))
        raise ValueError(
            f"Modules need to import each other in one direction: {circle}."
        )
    if path.name in sources:
        return
    text = path.read_text(encoding="utf-8")
    for name in IMPORT.findall(text):
        _collect(path.parent / name, (*importers, path.name), sources)
    sources[path.name] = EXPORT.sub("", IMPORT.sub("", text))
