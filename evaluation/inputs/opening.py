"""``open_pictures`` and ``open_clips``: one door for everything that holds pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from evaluation.images import as_bytes
from evaluation.inputs.arrays import Item, Row, rows, rows_of_file, stream
from evaluation.inputs.folders import (
    Archive,
    FrameFolder,
    PictureFile,
    PictureMember,
    is_picture,
    passed_over,
    tree,
)
from evaluation.inputs.source import Source, Unit
from evaluation.inputs.statistics import is_statistics
from evaluation.inputs.videos import Cut, VideoClip, VideoFrames
from nuwa.data.readers.walk import natural
from nuwa.data.video import is_video, require_pyav

Pictures = str | Path | Tensor | np.ndarray[Any, Any] | Iterable[Any]


def open_pictures(source: Pictures, *, batch_size: int | None = None, workers: int | None = None) -> Source:
    """Pictures from wherever they are, as batches of uint8 (b, 3, h, w) RGB with their ids.

    Args:
        source: a folder (any depth, mixed sizes; of videos: their frames), a zip archive, a npy or npz file
            (n, h, w, 3) uint8 (``arr_0``, as guided-diffusion saves it), a video file, a tensor (n, 3, h, w) uint8 or
            floats in [0, 1], an array (n, h, w, 3) uint8, a torch Dataset, or any iterable over pictures or batches.
        batch_size: 64 where not given.
        workers: decoding threads; one a core where not given.

    Pictures have to be RGB: nothing can tell BGR from RGB, and OpenCV's are BGR. What cannot be read is left out and
    named in ``skipped``. ValueError where there is nothing to read.
    """
    settings: dict[str, Any] = {"batch_size": batch_size, "workers": workers}
    if isinstance(source, Source):
        return source
    if isinstance(source, str | Path):
        return _from_path(Path(source), settings)
    if isinstance(source, Tensor):
        return Source("tensor", rows(as_bytes(source), "tensor", "chw"), form="tensor", **settings)
    if isinstance(source, np.ndarray):
        return Source("array", rows(source, "array", "hwc"), form="array", **settings)
    if hasattr(source, "__len__") and (hasattr(source, "__getitem__") or hasattr(source, "image")):
        return _from_dataset(source, settings)
    if not isinstance(source, Iterable):
        raise ValueError(f"pictures: expected a path, a tensor or an iterable, got {type(source).__name__}")
    return Source("iterator", stream(source), form="iterator", threads=False, **settings)


def open_clips(
    source: str | Path | Tensor,
    *,
    num_frames: int | None = None,
    step: int = 1,
    batch_size: int | None = None,
    workers: int | None = None,
) -> Source:
    """Clips as batches of uint8 (b, t, 3, h, w) RGB with their ids.

    Args:
        source: a folder of video files at any depth, a folder of folders of frames, a video file, or a tensor
            (n, t, 3, h, w) uint8.
        num_frames: how many frames to take from the beginning; clips that have fewer are left out and named. All
            frames where not given.
        step: take every ``step``-th frame.
        batch_size: 8 where not given.
        workers: decoding threads; one a core where not given.
    """
    settings: dict[str, Any] = {"kind": "clips", "batch_size": batch_size, "workers": workers}
    cut = Cut(num_frames=num_frames, step=step)
    if isinstance(source, Tensor):
        if source.dim() != 5 or source.shape[2] != 3:
            raise ValueError(f"clips: expected a tensor (n, t, 3, h, w), got {tuple(source.shape)}")
        flat = as_bytes(source.flatten(0, 1)).view_as(source)
        cut.check("tensor", flat.shape[1])
        flat = flat[:, : cut.stop : cut.step]
        units = [Row(id=f"{index:06d}", array=flat, index=index, layout="chw") for index in range(len(flat))]
        return Source("tensor", units, form="tensor", **settings)
    path = Path(source)
    if path.is_file() and is_video(path.name):
        require_pyav()
        return Source(path.stem, [VideoClip(id=path.name, path=path, cut=cut)], form="videos", **settings)
    if not path.is_dir():
        raise ValueError(f"{path}: expected a folder of clips or a video file, found none; check the path")
    return _clips_of_folder(path, cut, settings)


def _from_path(path: Path, settings: dict[str, Any]) -> Source:
    if path.is_dir():
        return _pictures_of_folder(path, settings)
    if not path.is_file():
        raise ValueError(f"{path}: expected a folder or a file of pictures, found none; check the path")
    ending = path.suffix.lower()
    if is_statistics(path):
        raise ValueError(
            f"{path}: expected pictures, got statistics of pictures; they can only stand for the real side"
        )
    if ending in (".npy", ".npz"):
        return Source(path.stem, rows_of_file(path), form=ending[1:], **settings)
    if ending == ".zip":
        archive = Archive(path)
        members = sorted(archive.members, key=lambda member: member.filename.split("/"))
        hidden = ("__MACOSX", ".")
        visible = [m for m in members if not any(part.startswith(hidden) for part in m.filename.split("/"))]
        units = [PictureMember(id=m.filename, archive=archive, member=m) for m in visible if is_picture(m.filename)]
        others = passed_over((m.filename for m in visible if not is_picture(m.filename)), "no pictures")
        _check_any(units, path, "zip archive")
        return Source(path.stem, units, form="zip", skipped=others, **settings)
    if is_video(path.name):
        require_pyav()
        return Source(path.stem, [VideoFrames(id=path.name, path=path)], form="videos", **settings)
    if is_picture(path.name):
        raise ValueError(f"{path}: expected a set of pictures, got one; a score of a set needs more samples")
    raise ValueError(f"{path}: expected a folder, zip, npy, npz or video, got {ending or 'a file without ending'}")


def _pictures_of_folder(root: Path, settings: dict[str, Any]) -> Source:
    found = tree(root)
    pictures = [PictureFile(id=name, path=path) for name, path in found if is_picture(name)]
    if not pictures and (videos := [pair for pair in found if is_video(pair[0])]):
        require_pyav()
        others = passed_over((name for name, _ in found if not is_video(name)), "no videos")
        frames = [VideoFrames(id=name, path=path) for name, path in videos]
        return Source(root.name, frames, form="videos", skipped=others, **settings)
    _check_any(pictures, root, "folder")
    others = passed_over((name for name, _ in found if not is_picture(name)), "no pictures")
    return Source(root.name, pictures, form="folder", skipped=others, **settings)


def _clips_of_folder(root: Path, cut: Cut, settings: dict[str, Any]) -> Source:
    found = tree(root)
    videos: list[Unit] = [VideoClip(id=name, path=path, cut=cut) for name, path in found if is_video(name)]
    folders: dict[str, list[PictureFile]] = {}
    for name, path in found:
        if is_picture(name):
            folders.setdefault(name.rpartition("/")[0], []).append(PictureFile(id=name, path=path))
    if videos and folders:
        raise ValueError(f"{root}: expected video files or folders of frames, got both; keep them in two folders")
    others = passed_over((name for name, _ in found if not is_video(name) and not is_picture(name)), "no clips")
    if videos:
        require_pyav()
        return Source(root.name, videos, form="videos", skipped=others, **settings)
    clips: list[Unit] = [
        FrameFolder(id=name or root.name, frames=tuple(sorted(frames, key=lambda frame: natural(frame.id))), cut=cut)
        for name, frames in folders.items()
    ]
    _check_any(clips, root, "folder")
    return Source(root.name, clips, form="frame folders", skipped=others, **settings)


def _from_dataset(dataset: Any, settings: dict[str, Any]) -> Source:
    if not len(dataset):
        raise ValueError(f"{type(dataset).__name__}: expected at least one picture, got an empty set")
    ids = getattr(dataset, "ids", None) or [f"{index:06d}" for index in range(len(dataset))]
    pictures = _Images(dataset) if hasattr(dataset, "image") else dataset
    units = [Item(id=name, dataset=pictures, index=index) for index, name in enumerate(ids)]
    name = getattr(dataset, "name", type(dataset).__name__)
    return Source(
        str(name), units, form="dataset", skipped=getattr(dataset, "skipped", ()), threads=False, **settings
    )  # a Dataset need not bear several threads


class _Images:
    """A dataset of :mod:`nuwa.data` by position."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> Tensor:
        return self.dataset.image(index)


def _check_any(units: Sequence[object], path: Path, what: str) -> None:
    if not units:
        raise ValueError(f"{path}: expected pictures in this {what}, got none; check the path")
