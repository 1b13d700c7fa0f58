"""Frozen dataclasses as JSON files that are written whole, read strictly and signed with a digest of their content.

A file that was cut, edited by hand, or made by another version is refused with the place where it differs: an unknown key, a
missing key, a wrong type, NaN, and an unknown schema.
"""

from __future__ import annotations

import hashlib
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import field, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from nuwa.files import write_json
from nuwa.registry import suggest

T = TypeVar("T")

_OPTIONAL = "optional"


def optional() -> Any:
    """A field of a dataclass that is None where its file has no such key, and no key where it is None.

    So a schema can grow by what older files could not say, and they and their digests stay as they were.
    """
    return field(default=None, metadata={_OPTIONAL: True})


def write(path: str | Path, value: Any) -> None:
    """Write ``value``, a dataclass with a field ``schema``, to ``path`` atomically, with its content digest.

    ValueError where it would not read back.
    """
    content = plain(value)
    write_json(path, {"schema": value.schema, **content, "content_sha256": digest(content)})


def read(path: str | Path, cls: type[T], schema: str) -> T:
    """Read the ``cls`` at ``path``. ValueError, naming the file and the place, where anything is not as written."""
    try:
        content = load(path)
        if content.get("schema") != schema:
            raise ValueError(f"expected schema {schema!r}, got {content.get('schema')!r}; run the session again")
        claimed = content.pop("content_sha256", None)
        value: T = _decode(cls, content, "record")
        if claimed != (found := digest(content)):
            raise ValueError(
                f"content_sha256: expected {found}, got {claimed}; the file was changed after the run, "
                "restore it or run the session again"
            )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error
    return value


def schema_of(path: str | Path) -> object:
    """What the file says its schema is, None where it says nothing. ValueError where it is no JSON object."""
    try:
        return load(path).get("schema")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error


def plain(value: Any) -> dict[str, Any]:
    """The JSON content of a dataclass, checked against its own types, so that 3 and 3.0 are the same number."""
    content = json.loads(json.dumps(_as_dict(value), allow_nan=False))
    found: dict[str, Any] = _as_dict(_decode(type(value), content, "record"))
    return found


def _as_dict(value: Any) -> Any:
    """``dataclasses.asdict`` without optional fields that are None."""
    if is_dataclass(value):
        parts = ((each, getattr(value, each.name)) for each in fields(value))
        return {each.name: _as_dict(part) for each, part in parts if part is not None or _OPTIONAL not in each.metadata}
    if isinstance(value, Mapping):
        return {key: _as_dict(item) for key, item in value.items()}
    return type(value)(map(_as_dict, value)) if isinstance(value, list | tuple) else value


def decode(cls: type[T], content: Any) -> T:
    """The ``cls`` that a JSON content, such as :func:`plain` gives, describes. ValueError, naming the place, where none."""
    value: T = _decode(cls, json.loads(json.dumps(content, allow_nan=False)), cls.__name__)
    return value


def digest(content: Mapping[str, Any]) -> str:
    """Digest of a JSON content, whatever the order of its keys."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def load(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file. ValueError for other JSON, a key that stands twice, NaN and infinity."""
    content = json.loads(
        Path(path).read_text(encoding="utf-8"), object_pairs_hook=_unique_keys, parse_constant=_no_constant
    )
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, got {_kind(content)}")
    return content


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(n for n in names if names.count(n) > 1)!r} stands twice in one object; keep one")
    return content


def _no_constant(text: str) -> float:
    raise ValueError(f"expected finite numbers, got {text}; leave the number out and name it under 'skipped'")


@lru_cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _decode(hint: Any, value: Any, place: str) -> Any:
    """``value`` as the type ``hint`` says, or ValueError naming ``place``."""
    if is_dataclass(hint):
        return _decode_object(typing.cast(Callable[..., Any], hint), value, place)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value in args:
            return value
        raise ValueError(f"{place}: expected one of {', '.join(map(repr, args))}, got {value!r}")
    if origin in (types.UnionType, typing.Union):
        for arm in args:
            if _is(arm, value):
                return _decode(arm, value, place)
        raise ValueError(f"{place}: expected {hint}, got {_kind(value)}")
    if origin is tuple:
        return _decode_tuple(args, value, place)
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ValueError(f"{place}: expected an object, got {_kind(value)}")
        return {key: _decode(args[1], item, f"{place}.{key}") for key, item in value.items()}
    if not _is(hint, value):
        raise ValueError(f"{place}: expected {hint.__name__}, got {_kind(value)} {value!r}")
    return float(value) if hint is float else value


def _is(hint: Any, value: object) -> bool:
    if hint is float:  # JSON has one kind of number
        return isinstance(value, int | float) and not isinstance(value, bool)
    if is_dataclass(hint):
        return isinstance(value, dict)
    if typing.get_origin(hint) is tuple:
        return isinstance(value, list)
    return type(value) is hint


def _decode_tuple(args: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{place}: expected a list, got {_kind(value)}")
    hints = [args[0]] * len(value) if args[-1] is Ellipsis else args
    if len(hints) != len(value):
        raise ValueError(f"{place}: expected {len(hints)} entries, got {len(value)}")
    return tuple(_decode(hint, item, f"{place}[{i}]") for i, (hint, item) in enumerate(zip(hints, value, strict=True)))


def _decode_object(cls: Callable[..., Any], value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{place}: expected an object, got {_kind(value)}")
    hints = _hints(typing.cast(type, cls))
    own = fields(typing.cast(Any, cls))
    known = [each.name for each in own]
    if unknown := [key for key in value if key not in known]:
        raise ValueError(f"{place}: unknown key {unknown[0]!r}{suggest(unknown[0], known)} (known: {', '.join(known)})")
    if missing := [each.name for each in own if each.name not in value and _OPTIONAL not in each.metadata]:
        raise ValueError(f"{place}: missing key {missing[0]!r}; run the session again")
    return cls(**{key: _decode(hints[key], item, f"{place}.{key}") for key, item in value.items()})
