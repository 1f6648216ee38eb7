"""No module needs itself, by way of others: not for types either."""

from __future__ import annotations

import grimp


def circles(needs: dict[str, set[str]]) -> dict[str, set[str]]:
    """Modules that need each other, with what each of them needs among these.

    Taken away, again and again: who needs nobody that is left, and whom nobody needs.
    """
    left = {module: sources - {module} for module, sources in needs.items()}
    while True:
        needed = set().union(*left.values())
        kept = {module for module in left if left[module] and module in needed}
        if kept == left.keys():
            return left
        left = {module: left[module] & kept for module in kept}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("napari_sam", exclude_type_checking_imports=False)
    needs = {
        module: set(graph.find_modules_directly_imported_by(module))
        for module in graph.modules
        # What the public face imports for types only is above everything.
        if module != "napari_sam"
    }
    assert circles(needs) == {}


def test_a_circle_is_found_and_what_leads_to_it_is_not() -> None:
    needs = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": {"e"}, "e": set()}
    assert circles(needs) == {"b": {"c"}, "c": {"b"}}
    assert circles({"a": {"b"}, "b": set()}) == {}
