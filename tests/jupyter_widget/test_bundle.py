"""The modules of the browser's half, joined into one."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from napari_sam.jupyter_widget.bundle import bundle
from napari_sam.jupyter_widget.canvas import BROWSER, Canvas

MODULES = sorted(BROWSER.glob("*.js"))
EXPORTED = re.compile(r"^export (?:const|let|class|(?:async )?function) (\w+)", re.M)
TOP_LEVEL = re.compile(
    r"^(?:const|let|var|class|(?:async )?function) (\w+|[\[{][^=]*)", re.M
)
IMPORTED = re.compile(r'^import \{([^}]*)\} from "\./(\w+\.js)";$', re.M)


def names_in(braces: str) -> set[str]:
    return {name.strip() for name in braces.split(",") if name.strip()}


def write(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text)
    return folder / "entry.js"


def test_what_a_module_needs_stands_before_it_and_once(tmp_path: Path) -> None:
    entry = write(
        tmp_path,
        entry='import { a } from "./one.js";\nimport {\n  b,\n} from "./two.js";\n'
        "export default { a, b };\n",
        one='import { b } from "./two.js";\n\nexport const a = b + 1;\n',
        two="export async function b() {}\n",
    )
    assert bundle(entry).split("\n") == [
        "async function b() {}",
        "",
        "",
        "const a = b + 1;",
        "",
        "export default { a, b };",
        "",
    ]


def test_modules_in_a_circle_are_named(tmp_path: Path) -> None:
    entry = write(
        tmp_path,
        entry='import { a } from "./one.js";\n',
        one='import { b } from "./two.js";\n',
        two='import { a } from "./one.js";\n',
    )
    with pytest.raises(ValueError, match=r"entry.js -> one.js -> two.js -> one.js"):
        bundle(entry)


def test_the_widget_gets_one_module_that_imports_nothing() -> None:
    lines = Canvas._esm.splitlines()
    assert not [line for line in lines if line.startswith("import ")]
    exports = [line for line in lines if line.startswith("export ")]
    assert exports == ["export default {"]


def test_all_modules_are_in_it() -> None:
    for path in MODULES:
        for name in EXPORTED.findall(path.read_text()):
            assert re.search(rf"^(?:async )?\w+ {name}\b", Canvas._esm, re.M)


def test_modules_import_what_others_export_and_use_it() -> None:
    for path in MODULES:
        text = path.read_text()
        for braces, source in IMPORTED.findall(text):
            names = names_in(braces)
            assert names <= set(EXPORTED.findall((BROWSER / source).read_text()))
            rest = IMPORTED.sub("", text)
            assert {n for n in names if re.search(rf"\b{n}\b", rest)} == names


def test_no_two_modules_use_a_name_for_different_things() -> None:
    counts = Counter(TOP_LEVEL.findall(Canvas._esm))
    assert [name for name, count in counts.items() if count > 1] == []
