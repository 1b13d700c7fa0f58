"""Pictures that some other model made: a folder with one file per caption id."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from torch import Tensor

from nuwa import files
from nuwa.data.captioned import Skipped, some
from nuwa.data.images import SUFFIXES, find_unreadable, read_image, resize_square


class GeneratedFolder:
    """The pictures ``<id>.png`` (or jpg, jpeg, webp, bmp, tif, tiff, in any case) at any depth under ``root``.

    Sizes may differ from file to file. Every picture is tried once at the start; those that cannot be read are left out
    and named in ``skipped``. Hidden files are passed over.

    Args:
        root: the folder.
        ids: the ids that are wanted, in the order in which they are wanted.
        size_px: side to which :meth:`image` cuts and resizes, or None for the size in the file.
        allow_missing: list ids without a file in ``skipped`` instead of refusing.

    Attributes:
        ids: ids of the pictures that can be read, in the order asked for.
        missing: ids without a file.
        extra: files, relative to ``root``, that belong to no id.
        skipped: ids that were left out, with the reason.

    Raises:
        ValueError: there is no such folder, an id has no file or two files, or no picture can be read.
    """

    def __init__(
        self, root: str | Path, ids: Sequence[str], *, size_px: int | None = None, allow_missing: bool = False
    ) -> None:
        self.root, self.size_px = Path(root), size_px
        if not self.root.is_dir():
            raise ValueError(f"generated pictures: expected a folder {str(self.root)!r}, found none; check the path")
        if len(set(ids)) != len(ids):
            raise ValueError("generated pictures: expected distinct ids, got one twice; pass one id per picture")
        found, self.extra = self._search(set(ids))
        self.missing = [name for name in ids if name not in found]
        if self.missing and not allow_missing:
            others = f" (other files there: {some(self.extra, 3)})" if self.extra else ""
            raise ValueError(
                f"generated pictures: {len(self.missing)} of {len(ids)} ids have no file in {str(self.root)!r}: "
                f"{some(self.missing)}; name the files <id>.png{others}"
            )
        self.skipped = [Skipped(name, "no such file") for name in self.missing]
        self.skipped += find_unreadable({name: found[name] for name in ids if name in found})
        left_out = {skip.id for skip in self.skipped}
        self.ids = [name for name in ids if name not in left_out]
        if not self.ids:
            first = f", the first because: {self.skipped[0].reason}" if self.skipped else ""
            raise ValueError(f"generated pictures: none of {len(ids)} in {str(self.root)!r} can be used{first}")
        self._paths = [found[name] for name in self.ids]

    def __len__(self) -> int:
        return len(self.ids)

    def image(self, index: int) -> Tensor:
        """Picture ``index``, uint8 RGB, (3, h, w) or (3, size_px, size_px) by ``images.RESIZE_RULE``."""
        image = read_image(self._paths[index])
        return image if self.size_px is None else resize_square(image, self.size_px)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the ids and the content of their files, in order."""
        digest = hashlib.sha256()
        for name, path in zip(self.ids, self._paths, strict=True):
            digest.update(f"{name}\0{files.sha256(path)}\n".encode())
        return digest.hexdigest()

    def _search(self, wanted: set[str]) -> tuple[dict[str, Path], list[str]]:
        """File of each wanted id, and all other files."""
        matches: dict[str, list[Path]] = defaultdict(list)
        extra = []
        for path in sorted(self.root.rglob("*")):
            relative = path.relative_to(self.root)
            if path.is_dir() or any(part.startswith(".") for part in relative.parts):
                continue
            if path.stem in wanted and path.suffix.lower() in SUFFIXES:
                matches[path.stem].append(path)
            else:
                extra.append(relative.as_posix())
        double = {name: paths for name, paths in matches.items() if len(paths) > 1}
        if double:
            name, paths = next(iter(double.items()))
            both = " and ".join(str(path) for path in paths)
            raise ValueError(
                f"generated pictures: {name} has several files, {both}; keep one (ids like it: {len(double)})"
            )
        return {name: paths[0] for name, paths in matches.items()}, extra
