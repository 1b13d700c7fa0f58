"""A number has a protocol: a named, versioned, hashed set of constants, frozen once a number was published under it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

from nuwa.registry import Registry


def later(default: Any) -> Any:
    """A constant that a kind of protocol got after some of it were frozen: its default is what they had meant.

    Where it has that default it stays out of :attr:`Protocol.constants`, so frozen hashes stay what they are.
    """
    return field(default=default, metadata={"later": True})


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What all protocols have in common.

    ``metric`` and ``family`` make the id, ``fid@sprites-1``; the family ends in its version. Any other constant gets
    another version, so the id and :attr:`hash` change together. ``source`` says in words which published set-up this
    is; it explains the constants and is not one of them.
    """

    metric: str
    family: str
    network: str
    """The judging network by name."""
    layer: str
    """What is read from it."""
    weights_sha256: str | None
    """Digest of the network's weight file, or its first digits where only those are published; ``None`` where the name
    of the network ends in a version that fixes it."""
    replicates: int
    """Bootstrap replicates behind the 95% interval."""
    interval_seed: int
    source: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9-]+", self.metric) or not re.fullmatch(r"[a-z0-9.-]+-\d+", self.family):
            raise ValueError(
                f"expected a metric like 'fid' and a family like 'sprites-1', got {self.metric!r} and {self.family!r}; "
                "a family ends in its version"
            )

    @property
    def id(self) -> str:
        """``metric@family``, as it stands in records and under tables."""
        return f"{self.metric}@{self.family}"

    @property
    def constants(self) -> dict[str, object]:
        """All that changes the number: every field except ``source``, with the kind of protocol."""
        unsaid = {each.name for each in fields(self) if each.metadata.get("later") and self._is_default(each.name)}
        values = {key: value for key, value in asdict(self).items() if key not in {"source"} | unsaid}
        return {"kind": type(self).__name__, **values}

    @property
    def hash(self) -> str:
        """sha256 of the constants as canonical JSON."""
        text = json.dumps(self.constants, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def _is_default(self, name: str) -> bool:
        return bool(getattr(self, name) == type(self).__dataclass_fields__[name].default)


PROTOCOLS = Registry[Protocol]("protocol")
P = TypeVar("P", bound=Protocol)


def register(protocol: P) -> P:
    """Add ``protocol`` under its id and return it."""
    PROTOCOLS.add(protocol.id, protocol)
    return protocol
