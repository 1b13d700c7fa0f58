"""Protocols by the short names people use: ``FID(protocol="clean")``."""

from __future__ import annotations

import re
from typing import TypeVar

from evaluation.protocols.base import PROTOCOLS, Protocol
from nuwa.registry import suggest

P = TypeVar("P", bound=Protocol)


def find_protocol(metric: str, protocol: str | P, kind: type[P]) -> P:
    """The protocol of ``metric`` called ``protocol``: an id, a family, or a family without its version (the newest).

    A protocol itself is returned as it is. ValueError where it is another metric's, and, with the nearest name, where
    there is none of that name.

    >>> from evaluation.protocols import FIDProtocol
    >>> find_protocol("fid", "clean", FIDProtocol).id
    'fid@clean-1'
    """
    if not isinstance(protocol, str):
        if protocol.metric != metric:
            raise ValueError(f"{metric}: expected a protocol of {metric}, got {protocol.id}; see PROTOCOLS")
        return protocol
    families = [name.partition("@")[2] for name in PROTOCOLS if name.partition("@")[0] == metric]
    family = protocol.removeprefix(f"{metric}@")
    versions = {int(each.rpartition("-")[2]): each for each in families if each.rpartition("-")[0] == family}
    if versions:
        family = versions[max(versions)]
    if family not in families:
        short = [re.sub(r"-\d+$", "", each) for each in families]
        raise ValueError(f"{metric}: unknown protocol {protocol!r}{suggest(family, short)} (known: {', '.join(short)})")
    found = PROTOCOLS[f"{metric}@{family}"]
    assert isinstance(found, kind), f"{found.id} is a {type(found).__name__}, not a {kind.__name__}"
    return found
