from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from evaluation.judges import load_clip_judge, load_image_judge, load_segmenter, load_video_judge, weights

JUDGES = {
    "image": load_image_judge,
    "clip": load_clip_judge,
    "video": load_video_judge,
    "segmenter": load_segmenter,
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The shipped folder, to be spoilt."""
    return Path(shutil.copytree(weights.FOLDER, tmp_path / "weights"))


@pytest.mark.parametrize("judge", JUDGES)
def test_shipped_file_is_the_one_on_the_card(judge: str) -> None:
    entry = weights.read_card()[judge]
    content = (weights.FOLDER / entry["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert len(content) == entry["bytes"]


@pytest.mark.parametrize("judge", JUDGES)
def test_judge_carries_the_digest_and_the_name_of_the_card(judge: str) -> None:
    entry = weights.read_card()[judge]
    loaded = JUDGES[judge]()
    assert (loaded.sha256, loaded.name) == (entry["sha256"], entry["name"])
    assert sum(parameter.numel() for parameter in loaded.parameters()) == entry["params"]


def test_shipped_files_are_small() -> None:
    assert sum(path.stat().st_size for path in weights.FOLDER.iterdir()) <= 6_000_000


@pytest.mark.parametrize("judge", JUDGES)
def test_tampered_file_is_refused_and_left_alone(judge: str, copy: Path) -> None:
    path = copy / f"{judge}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"{judge}\.safetensors: expected sha256 [0-9a-f]{{64}}, got [0-9a-f]{{64}}; "
    ):
        JUDGES[judge](folder=copy)
    assert path.read_bytes() == content


def test_missing_file_says_which(copy: Path) -> None:
    (copy / "image.safetensors").unlink()
    with pytest.raises(ValueError, match=r"image\.safetensors: expected the weights of the image judge, got no file"):
        load_image_judge(folder=copy)


def test_folder_without_card(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"judges\.json: expected the card of the judges, got no file"):
        load_clip_judge(folder=tmp_path)


def test_judge_not_on_the_card(copy: Path) -> None:
    weights.files.write_json(copy / weights.CARD, {"judges": {}})
    with pytest.raises(ValueError, match="expected an entry for the judge 'clip', got none"):
        load_clip_judge(folder=copy)


def test_round_trip(tmp_path: Path) -> None:
    tensors = {"matrix": torch.tensor([[1.0, 1 / 3]]), "vector": torch.tensor([1 / 3]), "count": torch.tensor(7)}
    header = {"config": {"widths": [1, 2]}, "vocabulary": ["é", '"']}
    digest = weights.save(tmp_path / "toy.safetensors", tensors, header)
    weights.write_entry(tmp_path, "toy", {"file": "toy.safetensors", "sha256": digest})
    read = weights.load("toy", tmp_path)
    assert read.header == header
    assert read.sha256 == digest
    assert read.tensors["count"] == 7
    assert read.tensors["vector"] == tensors["vector"]
    assert torch.equal(read.tensors["matrix"], tensors["matrix"].half().float())
    assert {tensor.dtype for tensor in read.tensors.values()} == {torch.float32, torch.int64}


def test_entries_of_other_judges_stay(tmp_path: Path) -> None:
    weights.write_entry(tmp_path, "first", {"sha256": "a"})
    weights.write_entry(tmp_path, "second", {"sha256": "b"})
    assert json.loads((tmp_path / weights.CARD).read_text()) == {
        "judges": {"first": {"sha256": "a"}, "second": {"sha256": "b"}}
    }
