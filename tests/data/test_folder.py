from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from nuwa.data.folder import GeneratedFolder


def picture(path: Path, red: int = 0, size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (red, 0, 0)).save(path)


def test_pictures_come_in_the_order_asked_for(tmp_path: Path) -> None:
    for red, name in enumerate(["a", "b", "c"]):
        picture(tmp_path / f"{name}.png", red)
    folder = GeneratedFolder(tmp_path, ["c", "a", "b"])
    assert folder.ids == ["c", "a", "b"]
    assert [int(folder.image(place)[0, 0, 0]) for place in range(len(folder))] == [2, 0, 1]
    assert (folder.missing, folder.extra, folder.skipped) == ([], [], [])


@pytest.mark.parametrize("name", ["7.png", "7.JPG", "7.Jpeg", "7.webp", "7.BMP", "7.tif", "7.TIFF", "deep/er/7.png"])
def test_any_ending_at_any_depth(tmp_path: Path, name: str) -> None:
    picture(tmp_path / name)
    assert len(GeneratedFolder(tmp_path, ["7"])) == 1


def test_sizes_may_differ(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", size=(6, 4))
    picture(tmp_path / "b.png", size=(3, 9))
    assert [GeneratedFolder(tmp_path, ["a", "b"]).image(place).shape for place in (0, 1)] == [(3, 4, 6), (3, 9, 3)]
    assert [GeneratedFolder(tmp_path, ["a", "b"], size_px=5).image(place).shape for place in (0, 1)] == [(3, 5, 5)] * 2


def test_missing_ids_are_counted_and_named(tmp_path: Path) -> None:
    picture(tmp_path / "0.png")
    picture(tmp_path / "012.png")
    ids = [str(number) for number in range(14)]
    with pytest.raises(ValueError, match="13 of 14 ids have no file in") as caught:
        GeneratedFolder(tmp_path, ids)
    assert "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 3 more; name the files <id>.png" in str(caught.value)
    assert "(other files there: 012.png)" in str(caught.value)


def test_missing_ids_can_be_allowed(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    folder = GeneratedFolder(tmp_path, ["a", "b"], allow_missing=True)
    assert (folder.ids, folder.missing) == (["a"], ["b"])
    assert [(skip.id, skip.reason) for skip in folder.skipped] == [("b", "no such file")]


def test_extra_files_are_listed_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    for name in ("a.png", "z.png", "sub/y.jpg", "._a.png", ".cache/a.png"):
        picture(tmp_path / name)
    (tmp_path / "captions.txt").touch()
    (tmp_path / "a.json").touch()
    folder = GeneratedFolder(tmp_path, ["a"])
    assert folder.ids == ["a"]
    assert folder.extra == ["a.json", "captions.txt", "sub/y.jpg", "z.png"]


def test_unreadable_pictures_are_left_out_and_named(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"")
    folder = GeneratedFolder(tmp_path, ["a", "b", "c"])
    assert folder.ids == ["a", "c"]
    assert [(skip.id, skip.reason) for skip in folder.skipped] == [("b", "the file is empty")]


@pytest.mark.parametrize("other", ["a.JPG", "sub/a.png"])
def test_two_files_for_one_id(tmp_path: Path, other: str) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / other)
    with pytest.raises(ValueError, match=r"a has several files, .* and .*; keep one \(ids like it: 1\)"):
        GeneratedFolder(tmp_path, ["a"])


@pytest.mark.parametrize(
    ("ids", "content", "message"),
    [
        (["a", "a"], {}, "expected distinct ids"),
        (["a"], {"a.png": b""}, "none of 1 in .* can be used, the first because: the file is empty"),
        ([], {}, "none of 0 in"),
    ],
)
def test_folders_without_use(tmp_path: Path, ids: list[str], content: dict[str, bytes], message: str) -> None:
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=message):
        GeneratedFolder(tmp_path, ids)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a folder '.*nowhere', found none"):
        GeneratedFolder(tmp_path / "nowhere", ["a"])


def test_fingerprints_follow_content_and_order(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    picture(tmp_path / "b.png", 2)
    first = GeneratedFolder(tmp_path, ["a", "b"]).fingerprint
    assert GeneratedFolder(tmp_path, ["a", "b"], size_px=9).fingerprint == first
    assert GeneratedFolder(tmp_path, ["b", "a"]).fingerprint != first
    picture(tmp_path / "b.png", 3)
    assert GeneratedFolder(tmp_path, ["a", "b"]).fingerprint != first
