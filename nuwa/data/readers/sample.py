"""What every reader gives: a listing of samples, with everything that is broken or absent named."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nuwa.data.captioned import Skipped
from nuwa.data.video import Clip, FrameRule
from nuwa.registry import Registry

Kind = Literal["picture", "clip"]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is found by decoding a whole sample."""

    height: int
    width: int
    num_frames: int = 1
    seconds: float | None = None  # None where nothing says how fast the frames follow each other


@dataclass(frozen=True, slots=True)
class Place:
    """A file, or the member or row ``inside`` one that holds several samples."""

    path: Path
    inside: str = ""

    def within(self, root: Path) -> str:
        """For people: relative to ``root`` where it lies there, with slashes."""
        path = self.path.relative_to(root) if self.path.is_relative_to(root) else self.path
        return path.as_posix() + (f"#{self.inside}" if self.inside else "")


class Stored(abc.ABC):
    """Where the pixels of a sample are. Threads may ask it at the same time, and processes too: it can be pickled.

    Every method raises :class:`~nuwa.data.images.UnreadableImage` for what is absent or damaged.
    """

    __slots__ = ()
    kind: Kind

    @property
    @abc.abstractmethod
    def places(self) -> tuple[Place, ...]:
        """Where its bytes are, in order."""

    @abc.abstractmethod
    def content(self) -> Iterator[bytes]:
        """Its bytes as stored, in pieces."""

    @abc.abstractmethod
    def facts(self) -> Facts:
        """Decode all of it."""

    def picture(self, size_px: int) -> Tensor:  # noqa: ARG002
        """The picture, uint8 (3, size_px, size_px) RGB, by ``images.RESIZE_RULE``."""
        raise TypeError(f"{self.places[0].path} is a {self.kind}, not a picture")

    def clip(self, rule: FrameRule, size_px: int) -> Clip:  # noqa: ARG002
        """The frames that ``rule`` chooses, uint8 (t, 3, size_px, size_px) RGB, by ``images.RESIZE_RULE``."""
        raise TypeError(f"{self.places[0].path} is a {self.kind}, not a clip")


class Labels(Protocol):
    """The segmentation map of a sample."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files."""

    def labels(self) -> NDArray[np.int64]:
        """Class of every pixel, int64 (h, w), or (t, h, w) for all frames of a clip, ``-1`` where none is given.

        :class:`~nuwa.data.images.UnreadableImage` where a file is damaged or has a class that does not exist.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One picture or clip with what is said about it. All but id, split and pixels may be absent."""

    id: str
    """Unique in its split."""
    stored: Stored
    split: str
    captions: tuple[str, ...] = ()
    caption_ids: tuple[str, ...] = ()
    """The publisher's ids of the captions, where there are some."""
    label: str | None = None
    map: Labels | None = None

    @property
    def kind(self) -> Kind:
        """Picture or clip."""
        return self.stored.kind

    def caption_id(self, place: int) -> str:
        """The publisher's id of a caption, else the sample's with the caption's place."""
        return self.caption_ids[place] if self.caption_ids else f"{self.id}#{place}"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The samples of one split of one dataset in their order, found but not decoded."""

    name: str
    version: str
    split: str
    root: Path
    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...] = ()
    """Files and lines of tables that cannot be used, with the reason."""
    missing: tuple[Sample, ...] = ()
    """Samples that a table names and the disk has not, such as videos that are no longer online."""
    classes: tuple[str, ...] = ()
    """Names of the classes of the segmentation maps, by number."""
    notes: tuple[str, ...] = ()
    """What was passed over."""

    def __len__(self) -> int:
        return len(self.samples)


class Collecting:
    """A listing in the making: a second sample of the same id, and what cannot be used, is named, never lost."""

    def __init__(self, name: str, root: Path, split: str, *, version: str = "1") -> None:
        self.name, self.root, self.split, self.version = name, root, split, version
        self.skipped: list[Skipped] = []
        self.notes: list[str] = []
        self.classes: tuple[str, ...] = ()
        self._samples: dict[str, Sample] = {}
        self._missing: dict[str, Sample] = {}

    def add(self, sample: Sample, *, there: bool = True) -> None:
        """A sample, on the disk or only named in a table."""
        other = self._samples.get(sample.id) or self._missing.get(sample.id)
        if other is not None:
            self.skip(self._where(sample), f"the id {sample.id!r} is taken by {self._where(other)!r}")
        elif there:
            self._samples[sample.id] = sample
        else:
            self._missing[sample.id] = sample

    def skip(self, name: str, reason: str) -> None:
        """Something that cannot be used."""
        self.skipped.append(Skipped(name, reason))

    def pass_over(self, names: Iterable[str], what: str) -> None:
        """Files that belong to no sample; one note for all of them."""
        names = list(names)
        if names:
            shown = ", ".join(map(repr, names[:3])) + (", …" if len(names) > 3 else "")
            self.notes.append(f"{len(names)} other file{'s' * (len(names) != 1)} passed over, {what}: {shown}")

    def _where(self, sample: Sample) -> str:
        return sample.stored.places[0].within(self.root)

    def listing(self) -> Listing:
        """The listing, samples in the order they were added. ValueError where nothing is left."""
        if not self._samples:
            reasons = []
            if self.skipped:
                first_broken = self.skipped[0]
                reasons.append(f"{len(self.skipped)} broken, the first {first_broken.id!r}: {first_broken.reason}")
            if self._missing:
                first = next(iter(self._missing.values()))
                reasons.append(f"{len(self._missing)} named in tables but absent, the first {self._where(first)!r}")
            found = "; ".join(reasons) or "no file of it"
            raise ValueError(
                f"{self.name} {self.split}: expected samples in {self.root}, found {found}; "
                f"docs/data.md shows what the folder has to look like"
            )
        return Listing(
            name=self.name,
            version=self.version,
            split=self.split,
            root=self.root,
            samples=tuple(self._samples.values()),
            missing=tuple(self._missing.values()),
            skipped=tuple(self.skipped),
            classes=self.classes,
            notes=tuple(self.notes),
        )


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How one dataset is found in the files that its publisher ships."""

    read: Callable[[Path, str], Listing]
    splits: tuple[str, ...]
    """Splits it can be asked for, the one to evaluate on first; empty where the folders name them."""

    def __call__(self, root: str | Path, split: str | None = None) -> Listing:
        """List a split under ``root``. ValueError where there is no such folder or split, or no sample in it."""
        root = Path(root)
        if not root.is_dir():
            raise ValueError(f"expected the folder of the dataset, found none at {root}; check the path")
        split = split or (self.splits[0] if self.splits else "all")
        if self.splits and split not in self.splits:
            raise ValueError(f"split: expected one of {', '.join(self.splits)}, got {split!r}")
        return self.read(root, split)


READERS: Registry[Reader] = Registry("dataset")


def reader(name: str, splits: tuple[str, ...] = ()) -> Callable[[Callable[[Path, str], Listing]], Reader]:
    """Register a function of the root and the split as the reader ``name``."""
    return lambda read: READERS.add(name, Reader(read=read, splits=splits))
