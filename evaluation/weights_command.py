"""``python -m evaluation weights``: which published files there are, where they lie, whether they are the right ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from evaluation import weights
from evaluation.scoring import show


@dataclass(frozen=True, kw_only=True)
class WeightsOptions:
    """Published network weights: list | where | fetch | verify. Nothing is downloaded but by fetch."""

    action: tyro.conf.Positional[Literal["list", "where", "fetch", "verify"]]  # what to do
    names: tyro.conf.Positional[tuple[str, ...]] = ()  # of which files; all where none are named (not for fetch)
    folder: Path | None = None  # where the files lie


def run(options: WeightsOptions) -> None:
    """Do it. ValueError where a file is not the one published, or, for fetch, where no file is named."""
    names = list(dict.fromkeys(options.names)) or weights.WEIGHTS.names()
    files = {name: weights.WEIGHTS[name] for name in names}
    if options.action == "list":
        lines = [("name", "file", "bytes", "sha256", "licence", "used for")]
        for name, each in files.items():
            size = "?" if each.size_bytes is None else f"{each.size_bytes:,}"
            lines.append((name, each.file, size, each.sha256[:8], each.licence, each.used_for))
        print(show.columns(lines, left=(0, 1, 3, 4, 5)))
        return
    if options.folder is None:
        raise ValueError(f"weights {options.action}: expected the folder of the files, got none; name it with --folder")
    if options.action == "fetch":
        if not options.names:
            raise ValueError(f"weights fetch: expected the names of files, got none; some of {', '.join(names)}")
        for name in names:
            print(weights.fetch(name, options.folder))
        return
    wrong = []
    for name, each in files.items():
        path = options.folder / each.file
        if not path.is_file():
            print(
                f"{name}: missing; {path.name} belongs into {options.folder}, from {each.source}, sha256 {each.sha256}"
            )
        elif options.action == "where":
            print(f"{name}: {path}")
        else:
            try:
                weights.find(name, options.folder)
                print(f"{name}: {path} is the one published")
            except ValueError as error:
                wrong.append(name)
                print(f"{name}: {error}")
    if wrong:
        raise ValueError(f"weights verify: {', '.join(wrong)}: not the files published; they are left where they are")
