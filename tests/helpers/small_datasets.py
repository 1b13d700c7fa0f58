"""Three samples of every dataset, in the exact format of its publisher. One function a reader, by the reader's name."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from small_media import picture, video

Build = Callable[[Path], Path]
"""Writes the split that is evaluated on, and returns a file of its second sample."""


def coco(root: Path) -> Path:
    names = {7: "000000000007.jpg", 8: "000000000008.jpg", 9: "000000000009.jpg"}
    info = {"description": "COCO 2017 Dataset", "url": "http://cocodataset.org", "version": "1.0", "year": 2017}
    images = [
        {"license": 4, "file_name": name, "coco_url": "", "height": 16, "width": 24, "date_captured": "", "id": number}
        for number, name in names.items()
    ]
    texts = [(31, 7, "A red bus. "), (12, 9, "Two dogs"), (25, 8, "a cat"), (14, 9, "dogs play"), (40, 8, "one cat")]
    captions = [{"image_id": image, "id": number, "caption": text} for number, image, text in texts]
    box = {"segmentation": [[2, 1, 6, 1, 6, 4, 2, 4]], "area": 12.0, "iscrowd": 0, "bbox": [2, 1, 4, 3]}
    instances = [{**box, "image_id": 7, "category_id": 17, "id": 1}]
    categories = [{"supercategory": "animal", "id": 17, "name": "cat"}]
    _json(root / "annotations/captions_val2017.json", {"info": info, "images": images, "annotations": captions})
    _json(
        root / "annotations/instances_val2017.json",
        {"info": info, "images": images, "annotations": instances, "categories": categories},
    )
    for name in names.values():
        picture(root / "val2017" / name)
    return root / "val2017/000000000008.jpg"


def conceptual_captions(root: Path) -> Path:
    rows = [
        ("a very typical bus station", "http://a/1.jpg"),
        ('sierra looked "stunning"', "http://a/2"),
        ("x", "http://b"),
    ]
    (root / "Validation_GCC-1.1.0-Validation.tsv").write_text("".join(f"{text}\t{url}\n" for text, url in rows))
    names = [f"{row}_{zlib.crc32(url.encode())}" for row, (_, url) in enumerate(rows)]
    for grey, name in enumerate(names):
        picture(root / "validation" / name, grey=50 + 50 * grey)
    return root / "validation" / names[1]


def kinetics(root: Path) -> Path:
    rows = [
        ("arm wrestling", "-0IErS_cisg", 21, 31),
        ("abseiling", "_4YTwq0-73Y", 5, 15),
        ("abseiling", "0Uo3wkNmVT8", 100, 110),
    ]
    root.mkdir(parents=True, exist_ok=True)
    with (root / "val.csv").open("w", newline="") as handle:
        lines = csv.writer(handle)
        lines.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
        lines.writerows([*row, "validate"] for row in rows)
    paths = [root / "val" / label / f"{name}_{start:06d}_{end:06d}.mp4" for label, name, start, end in rows]
    for path in paths:
        video(path, 8)
    return paths[1]


def msr_vtt(root: Path) -> Path:
    names = ("video7010", "video7011", "video7012")
    videos = [
        {
            "category": 9,
            "url": "https://www.youtube.com/watch?v=x",
            "video_id": name,
            "start time": 1.0,
            "end time": 9.0,
            "split": "test",
            "id": 1,
        }
        for name in names
    ]
    videos.append({**videos[0], "video_id": "video1", "split": "train"})
    sentences = [
        {"caption": f"a man is {what}", "video_id": name, "sen_id": 20 * place + number}
        for place, name in enumerate(names)
        for number, what in enumerate(("cooking", "talking"))
    ]
    info = {"contributor": "Microsoft multimedia challenge", "data_created": "2016-04-14 14:30:20", "version": "1.0"}
    _json(root / "test_videodatainfo.json", {"info": info, "videos": videos, "sentences": sentences})
    (root / "category.txt").write_text("music\t0\nhowto\t9\n")
    for name in names:
        video(root / "TestVideo" / f"{name}.mp4", 8)
    return root / "TestVideo/video7011.mp4"


def vatex(root: Path) -> Path:
    names = ("Ptf_2VRj-V0_000122_000132", "FkzQ6mQpUNg_000000_000010", "9LZBgE23-1g_000035_000045")
    rows = [{"videoID": name, "enCap": ["A man throws.", "He throws a ball."], "chCap": ["一个人"]} for name in names]
    _json(root / "vatex_validation_v1.0.json", rows)
    for name in names:
        video(root / "val" / f"{name}.mp4", 8)
    return root / "val" / f"{names[1]}.mp4"


def moments(root: Path) -> Path:
    names = ("adult+male+singing/yt-a_1.mp4", "clapping/b-c_2.mp4", "clapping/getty-3.mp4")
    (root / "validationSet.csv").write_text("".join(f"{name},{name.split('/')[0]},3,0\n" for name in names))
    (root / "moments_categories.txt").write_text("adult+male+singing,0\nclapping,1\n")
    for name in names:
        video(root / "validation" / name, 8)
    return root / "validation" / names[1]


def bair(root: Path) -> Path:
    path = root / "softmotion30_44k/test/traj_0_to_255.tfrecords"
    path.parent.mkdir(parents=True)
    bair_records(path, robot_clips(3))
    return path


def vspw(root: Path) -> Path:
    names = ("1001_5z_aViGHgxs", "127_-hIVCYO4C90", "99_a")
    for split in ("train", "val", "test"):
        (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in names) if split == "val" else "other\n")
    _json(
        root / "label_num_dic_final.json",
        {"others": "0"} | {f"thing {number}": str(number) for number in range(1, 125)},
    )
    for name in names:
        for number in range(1, 5):
            picture(root / "data" / name / "origin" / f"{number:08d}.jpg")
            numbers = np.zeros((16, 24), np.uint8)
            numbers[:8], numbers[12:] = number, 255
            path = root / "data" / name / "mask" / f"{number:08d}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(numbers).save(path)
    return root / "data" / names[1] / "origin/00000002.jpg"


def folder(root: Path) -> Path:
    for name in ("cats/1", "dogs/2", "dogs/10"):
        picture(root / f"{name}.jpg")
        (root / f"{name}.txt").write_text(f"one of {name}\nanother line\n")
        Image.fromarray(np.full((16, 24), 3, np.uint8)).save(root / f"{name}.mask.png")
    return root / "dogs/2.jpg"


def webdataset(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(root / "00000.tar", "w") as archive:
        for key in ("000000001", "000000002", "000000003"):
            data = io.BytesIO()
            Image.new("RGB", (24, 16), (90, 90, 90)).save(data, format="JPEG")
            add_member(archive, f"{key}.jpg", data.getvalue())
            add_member(archive, f"{key}.txt", f"caption of {key}".encode())
            add_member(archive, f"{key}.json", json.dumps({"caption": f"caption of {key}", "url": "x"}).encode())
    return root / "00000.tar"


BUILD: dict[str, Build] = {
    "coco": coco,
    "conceptual-captions": conceptual_captions,
    "kinetics": kinetics,
    "msr-vtt": msr_vtt,
    "vatex": vatex,
    "moments": moments,
    "bair": bair,
    "vspw": vspw,
    "folder": folder,
    "webdataset": webdataset,
}
SEVERAL_IN_A_FILE = ("bair", "webdataset")
"""Datasets whose samples share files."""


def robot_clips(number: int, frames: int = 30) -> np.ndarray:
    """Clips (n, t, 64, 64, 3) like BAIR's."""
    return np.random.default_rng(0).integers(0, 256, (number, frames, 64, 64, 3), np.uint8)


def bair_records(path: Path, clips: np.ndarray) -> None:
    """Write clips as BAIR does, by the package's own writer."""
    from tfrecord.writer import TFRecordWriter

    writer = TFRecordWriter(str(path))
    for clip in clips:
        record: dict[str, Any] = {}
        for number, frame in enumerate(clip):
            record[f"{number}/image_main/encoded"] = (frame[::-1].tobytes(), "byte")
            record[f"{number}/image_aux1/encoded"] = (frame.tobytes(), "byte")
            record[f"{number}/action"] = ([0.1, 0.2, 0.3, 0.4], "float")
            record[f"{number}/endeffector_pos"] = ([0.5, 0.6, 0.7], "float")
        writer.write(record)
    writer.close()


def add_member(archive: tarfile.TarFile, name: str, data: bytes = b"", **attributes: Any) -> None:
    """A member with its bytes."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    archive.addfile(member, io.BytesIO(data))


def _json(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
