"""A training run's config as TOML, and as the JSON in the weights' metadata.

Tables are named as the fields of `TrainingConfig`; `[[data]]` and `[[phase]]` are
lists of tables. An error names the place, such as `phase[1].size`.
"""

from __future__ import annotations

import tomllib
import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from napari_sam.errors import TrainingError
from napari_sam.training.config import TrainingConfig

_T = TypeVar("_T")

RECIPES: Mapping[str, str] = MappingProxyType(
    {"default": "default.toml", "default-instances": "default_instances.toml"}
)
"""In the place of a path: how the embedded default, and its instance decoder, were
made."""


def is_recipe(name: str) -> bool:
    """Whether a recipe in the package has this name."""
    return name in RECIPES


def read_config(path: Path | str, data_root: Path | None = None) -> TrainingConfig:
    """Read a run from TOML.

    Parameters
    ----------
    path
        Of the file, or one of `RECIPES`.
    data_root
        What the paths of data in it are relative to; None: the file's folder.

    Raises
    ------
    TrainingError
        The file cannot be read, or says something else than a run. Names the place.
    """
    if str(path) in RECIPES:
        source = files("napari_sam.training") / RECIPES[str(path)]
        text, root = source.read_text(encoding="utf-8"), Path()
    else:
        try:
            text, root = Path(path).read_text(encoding="utf-8"), Path(path).parent
        except (OSError, UnicodeDecodeError) as error:
            raise TrainingError(
                f"A config needs to be a TOML file; {path} cannot be read: {error}"
            ) from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"{path} is no TOML: {error}.") from error
    try:
        config = config_from(table)
    except TrainingError as error:
        raise TrainingError(f"{path}: {error}") from error
    root = data_root or root
    moved = tuple(replace(x, path=root / x.path) for x in config.data)
    return replace(config, data=moved)


def config_from(table: Mapping[str, Any]) -> TrainingConfig:
    """A run from nested tables, as TOML and JSON have them."""
    config: TrainingConfig = _value(TrainingConfig, table, "")
    return config


def config_tables(config: TrainingConfig) -> dict[str, Any]:
    """The run as nested tables, without what is not set."""
    tables: dict[str, Any] = _plain(asdict(config))
    return tables


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(x) for key, x in value.items() if x is not None}
    if isinstance(value, tuple | list):
        return [_plain(x) for x in value]
    return str(value) if isinstance(value, Path) else value


def _value(wanted: Any, value: Any, place: str) -> Any:
    """`value` as the type `wanted`; a TrainingError with the place where it is none."""
    if is_dataclass(wanted) and isinstance(wanted, type):
        return _table(wanted, value, place)
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        (inner,) = (kind for kind in arguments if kind is not type(None))
        return _value(inner, value, place)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(place, "a list", value)
        kinds = arguments
        if arguments[-1] is Ellipsis:
            kinds = arguments[:1] * len(value)
        if len(kinds) != len(value):
            raise _wrong(place, f"{len(kinds)} values", value)
        pairs = enumerate(zip(kinds, value, strict=True))
        return tuple(_value(kind, x, f"{place}[{i}]") for i, (kind, x) in pairs)
    if wanted is Path and isinstance(value, str):
        return Path(value)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise _wrong(place, _NAMES.get(wanted, wanted.__name__), value)
    return value


_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
}


def _table(wanted: type[_T], value: Any, place: str) -> _T:
    if not isinstance(value, Mapping):
        raise _wrong(place, "a table", value)
    hints = get_type_hints(wanted)
    names = [x.name for x in fields(wanted)]  # type: ignore[arg-type]
    unknown = [key for key in value if key not in names]
    if unknown:
        raise TrainingError(
            f"{_joined(place, unknown[0])} is no setting; there are {', '.join(names)}."
        )
    read = {key: _value(hints[key], x, _joined(place, key)) for key, x in value.items()}
    try:
        return wanted(**read)
    except TypeError as error:
        raise TrainingError(
            f"{place or 'The config'} lacks a value: {error}."
        ) from error
    except TrainingError as error:
        raise TrainingError(f"{_joined(place, str(error))}") from error


def _joined(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _wrong(place: str, needed: str, value: Any) -> TrainingError:
    return TrainingError(f"{place or 'The config'} needs {needed}, got {value!r}.")
