"""MSR-VTT (Xu et al., CVPR 2016): ``*videodatainfo*.json`` and videos ``video<number>.mp4`` anywhere below the root."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePath
from typing import Any

from nuwa.data.readers.sample import Collecting, Listing, Sample, reader
from nuwa.data.readers.stored import VideoFile
from nuwa.data.readers.tables import checked_rows, first_that_exists, read_json, read_lines
from nuwa.data.readers.videos import by_stem, find_videos
from nuwa.tokenizers.text import clean

TABLES = {
    "train": ("train_val_videodatainfo.json", "train_val_annotation/train_val_videodatainfo.json"),
    "validate": ("train_val_videodatainfo.json", "train_val_annotation/train_val_videodatainfo.json"),
    "test": ("test_videodatainfo.json", "test_annotation/test_videodatainfo.json"),
}
ALL_IN_ONE = ("MSRVTT_data.json", "annotation/MSRVTT_data.json", "videodatainfo_2017.json", "MSR_VTT.json")


@reader("msr-vtt", splits=("test", "validate", "train"))
def msr_vtt(root: Path, split: str) -> Listing:
    """Twenty captions a video; the label is the category, by name where ``category.txt`` is there."""
    names = (*TABLES[split], *ALL_IN_ONE)
    table = first_that_exists(root, names)
    if table is None:
        raise ValueError(f"msr-vtt {split}: expected one of {', '.join(names)} in {root}, found none")
    document = read_json(table)
    if not isinstance(document, dict):
        raise ValueError(f"{table}: expected an object with videos and sentences, got {type(document).__name__}")
    found = Collecting("msr-vtt", root, split)
    captions: dict[str, list[dict[str, Any]]] = defaultdict(list)
    fields = {"sen_id": int, "video_id": str, "caption": str}
    for place, entry in checked_rows(table, document.get("sentences"), fields, found):
        if clean(entry["caption"]):
            captions[entry["video_id"]].append(entry)
        else:
            found.skip(f"{table.name}[sentences][{place}]", "empty caption")
    stems = by_stem(find_videos(root, found))
    categories = _categories(root, found)
    for _, video in checked_rows(table, document.get("videos"), {"video_id": str, "split": str}, found):
        name = video["video_id"]
        if video["split"] != split:
            continue
        if PurePath(name).name != name:
            found.skip(f"{table.name}: {name!r}", "refused: a path instead of a name")
            continue
        said = sorted(captions[name], key=lambda entry: int(entry["sen_id"]))
        category = video.get("category")
        sample = Sample(
            id=name,
            stored=VideoFile(stems.get(name, root / f"{name}.mp4")),
            split=split,
            captions=tuple(entry["caption"].strip() for entry in said),
            caption_ids=tuple(str(entry["sen_id"]) for entry in said),
            label=categories.get(category, str(category)) if isinstance(category, int) else None,
        )
        found.add(sample, there=name in stems)
    return found.listing()


def _categories(root: Path, found: Collecting) -> dict[int, str]:
    path = first_that_exists(root, ("category.txt", "annotation/category.txt"))
    if path is None:
        return {}
    lines = [cells for _, cells in read_lines(path, found, columns=2, delimiter="\t")]
    return {int(number): name.strip() for name, number, *_ in lines if number.strip().isdecimal()}
