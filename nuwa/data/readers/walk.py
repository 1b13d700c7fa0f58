"""All files under a folder, in one order on every machine, whatever is wrong with the folder."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from nuwa.data.captioned import Skipped


@dataclass
class Tree:
    """Files by their paths relative to the root, with slashes; and what could not be looked into."""

    files: dict[str, Path] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


def walk(root: Path) -> Tree:
    """Files under ``root`` at any depth, names with numbers in natural order; hidden ones are passed over.

    Symbolic links are followed. Those that lead back to a folder they lie in, or to nothing, are named, and so are folders
    that may not be read or vanish meanwhile.
    """
    tree = Tree()
    _walk(root, "", frozenset(), tree)
    return tree


def natural(name: str) -> list[tuple[int, int | str]]:
    """A sorting key in which numbers count as numbers: frame 2 comes before frame 10."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]


def _walk(folder: Path, prefix: str, above: frozenset[tuple[int, int]], tree: Tree) -> None:
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in above:
            tree.skipped.append(Skipped(prefix.rstrip("/"), "a symbolic link to a folder that it lies in"))
            return
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: (natural(entry.name), entry.name))
    except OSError as error:
        tree.skipped.append(Skipped(prefix.rstrip("/") or ".", f"folder: {error.strerror or error}"))
        return
    inside = above | {(status.st_dev, status.st_ino)}
    for entry in entries:
        if entry.name.startswith("."):
            continue
        relative, path = prefix + entry.name, folder / entry.name
        try:
            if entry.is_dir():
                _walk(path, relative + "/", inside, tree)
            elif entry.is_file():
                tree.files[relative] = path
            elif entry.is_symlink():
                path.stat()  # says why it leads nowhere
            else:
                tree.skipped.append(Skipped(relative, "neither a file nor a folder"))
        except OSError as error:
            loop = error.errno == errno.ELOOP
            reason = "a symbolic link that leads to itself" if loop else "a symbolic link to nothing"
            tree.skipped.append(Skipped(relative, reason if entry.is_symlink() else error.strerror or str(error)))
