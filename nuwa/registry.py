"""One registry for every kind of named part: attention variants, metrics, protocols, datasets, presets.

A registry refuses a second part under a taken name, and a wrong name is answered with the nearest right one.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


def suggest(name: str, known: list[str]) -> str:
    """Return ``'; did you mean 'x'?'`` for the known name nearest to ``name``, or ``''`` where none is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


class Registry(Generic[T]):
    """Names to parts of one kind.

    >>> SHAPES = Registry[int]("shape")
    >>> _ = SHAPES.add("square", 4)
    >>> SHAPES["square"]
    4
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, T] = {}

    def add(self, name: str, part: T) -> T:
        """Register ``part`` and return it. ValueError where the name is taken."""
        if name in self._parts:
            raise ValueError(f"{self.kind} {name!r} is registered already; choose another name")
        self._parts[name] = part
        return part

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of :meth:`add`."""
        return lambda part: self.add(name, part)

    def __getitem__(self, name: str) -> T:
        """Look a name up. ValueError with the nearest name and the whole list where it is unknown."""
        try:
            return self._parts[name]
        except KeyError:
            hint = suggest(name, self.names())
            raise ValueError(f"unknown {self.kind} {name!r}{hint} (known: {', '.join(self.names())})") from None

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def names(self) -> list[str]:
        """All names in order of registration."""
        return list(self._parts)
