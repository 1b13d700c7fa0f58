"""webdataset: tar archives in which files of one name are one sample, as img2dataset and webdataset write them."""

from __future__ import annotations

from pathlib import Path

from nuwa.data.images import UnreadableImage
from nuwa.data.readers.maps import MapMember, Numbering
from nuwa.data.readers.parts import CAPTION_ENDINGS, MAP_ENDINGS, captions_in, described, kind_of
from nuwa.data.readers.sample import Collecting, Listing, Sample, reader
from nuwa.data.readers.stored import Member
from nuwa.data.readers.tars import Part, samples
from nuwa.data.readers.walk import walk

_NUMBERING = Numbering(num_classes=255)


@reader("webdataset")
def webdataset(root: Path, split: str) -> Listing:
    """``*.tar`` with ``key.jpg`` or ``key.mp4``, ``key.txt`` or ``key.json``, ``key.cls``, ``key.seg.png``.

    Args:
        root: folder of the archives.
        split: a folder below it, or ``"all"`` for the root itself.
    """
    top = root if split == "all" else root / split
    if not top.is_dir():
        raise ValueError(f"webdataset: expected {top}, found no such folder; name one that is there with --split")
    found = Collecting("webdataset", top, split)
    tree = walk(top)
    found.skipped += tree.skipped
    archives = [(name, path) for name, path in tree.files.items() if name.lower().endswith(".tar")]
    add_archives(archives, found)
    found.pass_over((name for name in tree.files if not name.lower().endswith(".tar")), "no tar archives")
    return found.listing()


def add_archives(archives: list[tuple[str, Path]], found: Collecting) -> None:
    """All samples of the archives; what cannot be used is named. Ids are ``<archive>/<key>``."""
    for name, path in archives:
        for key, parts in samples(path, found):
            where = f"{name}#{key}"
            media = [(ending, kind) for ending in parts if (kind := kind_of(ending)) is not None]
            if len(media) != 1:
                found.skip(where, f"expected one picture or video, got {', '.join(parts) or 'nothing'}")
                continue
            ending, kind = media[0]
            try:
                captions, label = _said(path, parts)
            except (ValueError, UnreadableImage) as error:
                found.skip(where, error.reason if isinstance(error, UnreadableImage) else str(error))
                continue
            maps = [_member(path, parts[each], "picture") for each in MAP_ENDINGS if each in parts]
            sample = Sample(
                id=f"{name.removesuffix('.tar')}/{key}",
                stored=_member(path, parts[ending], kind),
                split=found.split,
                captions=captions,
                label=label,
                map=MapMember(maps[0].name, maps[0].read, _NUMBERING) if maps else None,
            )
            found.add(sample)


def _member(archive: Path, part: Part, kind: str) -> Member:
    return Member(archive, part.name, part.offset, part.num_bytes, "clip" if kind == "clip" else "picture")


def _said(archive: Path, parts: dict[str, Part]) -> tuple[tuple[str, ...], str | None]:
    """Captions and class: texts win over what a json repeats. ValueError where a part is damaged."""
    read = {ending: _member(archive, part, "picture").read for ending, part in parts.items()}
    captions, label = described(read["json"]()) if "json" in read else ((), None)
    texts = [captions_in(read[ending]()) for ending in CAPTION_ENDINGS if ending in read]
    if "cls" in read:
        label = read["cls"]().decode("ascii", "replace").strip()
    return (texts[0] if texts else captions), label
