"""What is tested on is never trained on, whatever the folder looks like, and what was done is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import small_datasets as build
from small_datasets import BUILD
from small_media import picture

from nuwa.data.divide import divide
from nuwa.data.readers import READERS


@pytest.mark.parametrize("name", READERS)
def test_one_split_on_the_disk_is_divided(name: str, tmp_path: Path) -> None:
    BUILD[name](tmp_path)
    found, whole = divide(name, tmp_path), READERS[name](tmp_path)
    test, train = ([sample.id for sample in each.samples] for each in (found.test, found.train))
    assert (len(test), len(train)) == (2, 1)
    assert {*test, *train} == {sample.id for sample in whole.samples}
    assert [found.test.split, found.train.split] == [f"{whole.split}, {half} half" for half in ("first", "second")]
    (note,) = found.notes
    assert note.id == f"split {whole.split}"
    assert note.reason.endswith(
        f"so {whole.split} is divided by the sha256 of the ids: 2 of 3 samples are tested on, 1 trained on"
    )


def test_halves_depend_on_the_ids_alone(tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / "a" / f"{number}.jpg")
    first = {sample.id for sample in divide("folder", tmp_path / "a").test.samples}
    assert len(first) == 10
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "0.jpg").write_bytes((tmp_path / "b" / "1.jpg").read_bytes() + b" ")
    assert {sample.id for sample in divide("folder", tmp_path / "b").test.samples} == first


def test_the_publishers_splits_are_taken(tmp_path: Path) -> None:
    build.kinetics(tmp_path / "v")
    shutil.copytree(tmp_path / "v" / "val", tmp_path / "v" / "train")
    (tmp_path / "v" / "train.csv").write_text((tmp_path / "v" / "val.csv").read_text())
    found = divide("kinetics", tmp_path / "v")
    assert ([found.test.split, found.train.split], found.notes) == (["val", "train"], ())
    assert (len(found.test), len(found.train)) == (3, 3)


def test_folders_may_name_the_splits(tmp_path: Path) -> None:
    for split, number in (("train", 3), ("val", 2)):
        for index in range(number):
            picture(tmp_path / split / f"{split}{index}.jpg")
    found = divide("folder", tmp_path)
    assert ([found.test.split, found.train.split], found.notes) == (["val", "train"], ())
    assert (len(found.test), len(found.train)) == (2, 3)


def test_what_both_splits_name_is_tested_on_alone(tmp_path: Path) -> None:
    build.vspw(tmp_path)
    (tmp_path / "train.txt").write_text("127_-hIVCYO4C90\nnew\n")
    shutil.copytree(tmp_path / "data" / "99_a", tmp_path / "data" / "new")
    found = divide("vspw", tmp_path)
    assert [sample.id for sample in found.train.samples] == ["new"]
    assert [(note.id, note.reason) for note in found.notes] == [
        ("split train", "1 of its samples are those of val and not trained on")
    ]
    assert len(found.test) == 3


def test_a_single_sample_cannot_be_divided(tmp_path: Path) -> None:
    picture(tmp_path / "only.jpg")
    with pytest.raises(ValueError, match="expected samples to test on and others to train on, got 1 in all"):
        divide("folder", tmp_path)


@pytest.mark.real_files
def test_the_real_files(request: pytest.FixtureRequest) -> None:
    root = Path(request.config.getoption("--data"))
    clips, pictures = divide("kinetics", root / "kinetics-mini"), divide("coco", root / "coco-mini")
    assert sorted(sample.id for sample in clips.test.samples) == ["apply_eye_makeup_0", "arm_wrestling_0"]
    assert sorted(sample.id for sample in clips.train.samples) == ["cleaning_pool_0", "flipping_pancake_0"]
    assert (len(pictures.test), len(pictures.train), pictures.notes) == (25, 26, ())
