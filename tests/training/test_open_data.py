"""Training data by name: sprites, and the files of a reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_media import picture

from nuwa.training.open_data import open_data


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split, number in (("train", 5), ("val", 3)):
        for place in range(number):
            picture(tmp_path / split / "cats" / f"{place}.png")
    (tmp_path / "val" / "cats" / "1.png").write_bytes(b"no picture")
    return tmp_path


def test_files_of_a_reader(root: Path) -> None:
    data = open_data("folder", 16, 1, root=root)
    pixels, captions = data.pictures.stream.batch(0, 4)
    assert pixels.shape == (4, 3, 16, 16)
    assert set(captions) == {"cats"} == set(data.vocabulary)
    assert data.name.startswith("folder")
    assert data.clips is None
    assert data.pictures.validation.pixels.shape == (2, 3, 16, 16)  # the third one is broken


def test_sprites_have_clips_where_they_are_learnt() -> None:
    assert open_data("sprites", 16, 1).clips is None


def test_a_name_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"data: expected sprites or one of .*folder.*, got 'cocoo'"):
        open_data("cocoo", 16, 1)


def test_files_need_a_folder() -> None:
    with pytest.raises(ValueError, match="folder: expected --root with the dataset's files, got none"):
        open_data("folder", 16, 1)
