"""``python -m evaluation.pages``: write the constants of every protocol into the pages of docs/metrics.

A page holds a block for each of its metrics, between ``<!-- protocols of fid -->`` and ``<!-- end -->``. What stands
between is made from the registry, and a test fails where the two disagree.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.protocols import PROTOCOLS, Protocol
from nuwa.errors import run_cli
from nuwa.files import write_text

FOLDER = Path(__file__).parent.parent / "docs" / "metrics"

_BLOCK = re.compile(r"<!-- protocols of (?P<metric>[a-z0-9-]+) -->\n.*?<!-- end -->", re.DOTALL)
_HIDDEN = ("kind", "metric", "family")


def constants(metric: str) -> str:
    """The protocols of ``metric`` as a Markdown table, a column each, with their hashes, then where they come from."""
    found = [PROTOCOLS[name] for name in sorted(PROTOCOLS) if name.partition("@")[0] == metric]
    if not found:
        raise ValueError(f"pages: {metric!r} has no protocol; take its block out of the page")
    names = [name for name in dict.fromkeys(key for each in found for key in each.constants) if name not in _HIDDEN]
    lines = [["", *(f"`{each.id}`" for each in found)], ["---"] * (len(found) + 1)]
    lines += [[name.replace("_", " "), *(_cell(each, name) for each in found)] for name in names]
    lines.append(["hash", *(f"`{each.hash[:12]}`" for each in found)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    sources = "\n".join(f"- `{each.id}`: {each.source}." for each in found)
    return f"{table}\n\n{sources}"


def updated(text: str) -> str:
    """A page with its blocks made anew. ValueError for a block of a metric without protocols."""
    return _BLOCK.sub(
        lambda block: f"<!-- protocols of {block['metric']} -->\n{constants(block['metric'])}\n<!-- end -->", text
    )


def blocks(text: str) -> list[str]:
    """Metrics that have a block in a page."""
    return [block["metric"] for block in _BLOCK.finditer(text)]


def main(arguments: Sequence[str]) -> None:
    """Write every page anew, and say which changed."""
    if arguments:
        raise ValueError(f"pages: expected no arguments, got {' '.join(arguments)}")
    for path in sorted(FOLDER.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if (new := updated(text)) != text:
            write_text(path, new)
            print(path.relative_to(FOLDER.parent.parent))


def _cell(protocol: Protocol, name: str) -> str:
    if name not in protocol.constants:
        return "–"
    value = protocol.constants[name]
    if name.endswith("sha256") and value is not None:
        return f"`{str(value)[:8]}…`"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)


if __name__ == "__main__":
    sys.exit(run_cli(main))
