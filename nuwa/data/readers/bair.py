"""BAIR robot pushing, small (Ebert et al., 1710.05268): 43,264 clips of train and 256 of test, 30 frames of 64×64."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from nuwa.data.images import SUFFIXES
from nuwa.data.readers.sample import Collecting, Listing, Sample, Stored, reader
from nuwa.data.readers.stored import FrameFiles
from nuwa.data.readers.walk import natural, walk

Rows = Iterable[tuple[str, Stored]]
_FOLDERS = ("softmotion30_44k", "processed_data", "")


@reader("bair", splits=("test", "train"))
def bair(root: Path, split: str) -> Listing:
    """The publisher's ``softmotion30_44k/<split>/traj_*.tfrecords``, or a conversion of them.

    Conversions: hdf5 with ``<split>_data`` and ``<split>_idx`` (VideoGPT's) or one array (n, t, 64, 64, 3); npz or npy with
    such an array; folders ``traj_*/<number>/<frame>.png`` (SVG's). One form a folder. There are no captions.
    """
    folder = next((root / name / split for name in _FOLDERS if (root / name / split).is_dir()), root)
    found = Collecting("bair", root, split)
    tree = walk(folder)
    prefix = "" if folder == root else folder.relative_to(root).as_posix() + "/"
    for skip in tree.skipped:
        found.skip(prefix + skip.id, skip.reason)
    forms = {_form(name) for name in tree.files} - {""}
    if len(forms) > 1:
        raise ValueError(
            f"bair {split}: expected one form, found {', '.join(sorted(forms))} in {folder}; keep one of them"
        )
    form = next(iter(forms), "")
    if form == "png":
        _frames(tree.files, found)
        return found.listing()
    rows = _rows(form)
    for name, path in tree.files.items():
        if rows is None or _form(name) != form:
            found.pass_over([prefix + name], "no clips")
            continue
        for row, stored in rows(path, found):
            found.add(Sample(id=f"{PurePosixPath(name).with_suffix('').as_posix()}/{row}", stored=stored, split=split))
    return found.listing()


def _form(name: str) -> str:
    """What the ending of a file says about how clips are stored in it, nothing for other files."""
    ending = PurePosixPath(name).suffix.lower()
    forms = {
        ".tfrecords": "tfrecords",
        ".tfrecord": "tfrecords",
        ".hdf5": "hdf5",
        ".h5": "hdf5",
        ".npz": "npz",
        ".npy": "npz",
    }
    return forms.get(ending, "png" if ending in SUFFIXES else "")


def _rows(form: str) -> Callable[[Path, Collecting], Rows] | None:
    """How a file's clips are listed. ValueError where the library for it is missing."""
    try:
        if form == "tfrecords":
            from nuwa.data.readers import tfrecords

            return tfrecords.rows
        if form == "hdf5":
            from nuwa.data.readers import hdf5

            return hdf5.rows
    except ModuleNotFoundError as error:
        raise ValueError(
            f"bair: {form} needs {error.name}, which is not installed; pip install 'nuwa[data]'"
        ) from error
    from nuwa.data.readers import npz

    return npz.rows if form == "npz" else None


def _frames(files: dict[str, Path], found: Collecting) -> None:
    clips: dict[str, list[tuple[str, Path]]] = {}
    for name, path in files.items():
        if _form(name) == "png":
            clips.setdefault(PurePosixPath(name).parent.as_posix(), []).append((name, path))
    for name in sorted(clips, key=natural):
        paths = tuple(path for _, path in sorted(clips[name], key=lambda pair: natural(pair[0])))
        found.add(Sample(id=name, stored=FrameFiles(paths, None), split=found.split))
