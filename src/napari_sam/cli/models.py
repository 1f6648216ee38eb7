"""`napari-sam models`: which models there are, and which are on this machine."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from napari_sam.cli.reporting import show
from napari_sam.model import CACHE_VARIABLE, ModelListing, cache_folder, list_models

WIDTH_WITHOUT_TERMINAL = 140


def show_models(*, as_json: bool) -> None:
    """Print every model of the registry; reads no weights."""
    listings = list_models()
    if as_json:
        facts = [_facts(listing) for listing in listings]
        document = {"cache": str(cache_folder()), "models": facts}
        show(json.dumps(document, indent=1))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    table = Table(
        "name", "family", "size", "licence", "in cache", "instances", box=None
    )
    for listing in listings:
        row = listing.row
        size = _size(listing)
        table.add_row(
            row.name,
            row.family,
            "not published" if size is None else f"{size / 1e6:,.0f} MB",
            row.licence,
            _presence(listing),
            "yes" if row.finds_instances else "no",
        )
    console.print(table)
    show("")
    show(f"Cache: {cache_folder()} (the variable {CACHE_VARIABLE} moves it)")


def _presence(listing: ModelListing) -> str:
    if listing.row.is_embedded:
        return "embedded" if listing.in_cache else "embedded, but missing"
    return "yes" if listing.in_cache else "no"


def _size(listing: ModelListing) -> int | None:
    """Bytes on disk, or as published."""
    if listing.in_cache:
        return listing.path.stat().st_size
    return listing.row.size_bytes


def _facts(listing: ModelListing) -> dict[str, Any]:
    row = listing.row
    return {
        "name": row.name,
        "family": row.family,
        "licence": row.licence,
        "size_bytes": _size(listing),
        "embedded": row.is_embedded,
        "in_cache": listing.in_cache,
        "path": str(listing.path),
        "url": row.url,
        "page": row.page,
        "finds_instances": row.finds_instances,
    }
