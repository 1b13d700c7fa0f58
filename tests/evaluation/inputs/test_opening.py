"""Every form of input gives the same pictures; what is wrong with one is said in a sentence."""

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.inputs import open_clips, open_pictures
from nuwa.data.captioned import Skipped
from nuwa.data.sprites.dataset import SpritesPictures
from tests.evaluation.inputs.conftest import chw, pixels

PICTURES = pixels(5, 9, 12, 3)


def all_of(source) -> torch.Tensor:
    """All pictures of one size in order, whatever the batches."""
    batches = list(source)
    order = torch.tensor([position for batch in batches for position in batch.positions]).argsort()
    return torch.cat([batch.images for batch in batches])[order]


def forms(save, pack, tmp_path):
    folder = save({f"{i}.png": picture for i, picture in enumerate(PICTURES)})
    np.save(tmp_path / "a.npy", PICTURES)
    np.savez(tmp_path / "a.npz", PICTURES)
    np.savez_compressed(tmp_path / "b.npz", arr_0=PICTURES, arr_1=np.arange(5))
    dataset = torch.utils.data.TensorDataset(chw(PICTURES), torch.arange(5))
    return {
        "folder": folder,
        "path as text": str(folder),
        "zip": pack(folder),
        "npy": tmp_path / "a.npy",
        "npz": tmp_path / "a.npz",
        "compressed npz": tmp_path / "b.npz",
        "tensor": chw(PICTURES),
        "floats": chw(PICTURES) / 255,
        "array": PICTURES,
        "dataset": dataset,
        "Pillow images": [Image.fromarray(picture) for picture in PICTURES],
        "iterator of pictures": iter(chw(PICTURES)),
        "iterator of batches": iter(torch.utils.data.DataLoader(dataset, batch_size=2)),
    }


NAMES = [
    *("folder", "path as text", "zip", "npy", "npz", "compressed npz", "tensor", "floats", "array", "dataset"),
    *("Pillow images", "iterator of pictures", "iterator of batches"),
]


@pytest.mark.parametrize("batch_size", [2, 64])
@pytest.mark.parametrize("name", NAMES)
def test_every_form_gives_the_same_pictures(save, pack, tmp_path, name, batch_size):
    source = open_pictures(forms(save, pack, tmp_path)[name], batch_size=batch_size, workers=2)
    found = all_of(source)
    assert torch.equal(found, chw(PICTURES))
    assert (found.dtype, found.is_contiguous()) == (torch.uint8, True)
    assert source.known == (None if "iterator" in name else 5)
    assert source.skipped == []


def test_forms_are_all_tried(save, pack, tmp_path):
    assert list(forms(save, pack, tmp_path)) == NAMES


def test_a_folder_is_read_at_any_depth_in_the_order_of_its_names(save):
    names = ["b/2.PNG", "a.JPG", "b/10.png", "Z/c.WebP", "b.png"]
    folder = save({name: pixels(4, 4, 3, seed=i) for i, name in enumerate(names)})
    ids = [name for batch in open_pictures(folder, batch_size=2) for name in batch.ids]
    assert ids == ["Z/c.WebP", "a.JPG", "b/10.png", "b/2.PNG", "b.png"]


def test_mixed_sizes_come_in_batches_of_one_size(save):
    shapes = [(4, 4), (6, 4), (4, 4), (6, 4), (5, 5)]
    folder = save({f"{i}.png": pixels(*shape, 3) for i, shape in enumerate(shapes)})
    batches = list(open_pictures(folder))
    assert [batch.positions for batch in batches] == [(0, 2), (1, 3), (4,)]
    assert [tuple(batch.images.shape[2:]) for batch in batches] == [(4, 4), (6, 4), (5, 5)]
    assert [len(batch) for batch in batches] == [2, 2, 1]


@pytest.mark.parametrize("packed", [False, True])
def test_what_cannot_be_read_is_named(save, pack, packed):
    good = io.BytesIO()
    Image.fromarray(PICTURES[0]).save(good, "png")
    folder = save(
        {
            "a.png": PICTURES[0],
            "b.png": b"",
            "c.png": good.getvalue()[:60],
            "d.png": PICTURES[1],
            "e.jpg": b"not a picture",
            "notes.txt": b"",
        }
    )
    source = open_pictures(pack(folder) if packed else folder)
    assert [name for batch in source for name in batch.ids] == ["a.png", "d.png"]
    assert [skip.id for skip in source.skipped] == ["other files", "b.png", "c.png", "e.jpg"]
    assert source.skipped[0].reason == "1 file passed over, no pictures: notes.txt"
    assert source.skipped[1].reason == "the file is empty"
    assert "not a PNG" in source.skipped[3].reason


def test_a_damaged_archive_loses_one_picture(save, pack):
    path = pack(save(dict.fromkeys(("a.png", "b.png", "c.png"), PICTURES[0])))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("b.png").header_offset + 60
    content[at] ^= 255
    path.write_bytes(bytes(content))
    source = open_pictures(path)
    assert [name for batch in source for name in batch.ids] == ["a.png", "c.png"]
    assert [skip.id for skip in source.skipped] == ["b.png"]
    assert "CRC" in source.skipped[0].reason


def test_pixels_are_taken_as_stored(save):
    """Tools for FID do not turn pictures as EXIF says, so neither does this."""
    picture = Image.fromarray(PICTURES[0])
    exif = picture.getexif()
    exif[0x0112] = 6
    stored = io.BytesIO()
    picture.save(stored, "png", exif=exif)
    assert torch.equal(all_of(open_pictures(save({"a.png": stored.getvalue()})))[0], chw(PICTURES[0]))


def test_the_fingerprint_is_that_of_names_and_contents(save, pack):
    pictures = {f"{i}.png": picture for i, picture in enumerate(PICTURES)}
    folder = save(pictures)
    whole = open_pictures(folder).fingerprint
    assert open_pictures(pack(folder)).fingerprint == whole
    assert open_pictures(save(pictures, "elsewhere")).fingerprint == whole
    assert open_pictures(save({**pictures, "5.png": PICTURES[0]}, "more")).fingerprint != whole
    assert open_pictures(save({**pictures, "0.png": PICTURES[1]}, "other")).fingerprint != whole
    (folder / "0.png").rename(folder / "00.png")
    assert open_pictures(folder).fingerprint != whole


def test_an_iterator_has_no_fingerprint_before_it_is_read():
    with pytest.raises(ValueError, match="can be read twice"):
        _ = open_pictures(iter(chw(PICTURES))).fingerprint


def test_our_datasets_keep_their_ids():
    data = SpritesPictures("test-seen", 4, 16)
    source = open_pictures(data)
    assert [name for batch in source for name in batch.ids] == list(data.ids)
    assert torch.equal(all_of(source)[2], data.image(2))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("nowhere", "nowhere: expected a folder or a file of pictures, found none"),
        ("empty", "expected pictures in this folder, got none"),
        ("empty.zip", "expected pictures in this zip archive, got none"),
        ("broken.zip", "expected a zip archive of pictures, got File is not a zip file"),
        ("one.png", "expected a set of pictures, got one"),
        ("notes.txt", "expected a folder, zip, npy, npz or video, got .txt"),
        ("no_arr_0.npz", "expected an array 'arr_0' of pictures, got images"),
        ("floats.npz", r"expected uint8 in 0…255, got float32"),
        ("chw.npy", r"expected pictures \(n, h, w, 3\), got \(5, 3, 9, 12\); move the channels"),
        ("grey.npy", r"expected pictures \(n, h, w, 3\), got \(5, 9, 12\)"),
        ("objects.npy", "Python objects in dtype"),
        ("broken.npz", "zip|magic|pickle"),
        ("zero_one.npy", "got only 0 and 1; multiply by 255"),
        ("nothing.npy", "expected at least one picture"),
        ("statistics.npz", "expected pictures, got statistics of pictures"),
    ],
)
def test_wrong_use_is_a_sentence(save, tmp_path, wrong, sentence):
    (tmp_path / "empty").mkdir()
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    save({"one.png": PICTURES[0], "notes.txt": b"", "broken.zip": b"PK", "broken.npz": b"PK\3\4 no archive"}, ".")
    np.savez(tmp_path / "no_arr_0.npz", images=PICTURES)
    np.savez(tmp_path / "floats.npz", PICTURES.astype(np.float32))
    np.save(tmp_path / "chw.npy", PICTURES.transpose(0, 3, 1, 2))
    np.save(tmp_path / "grey.npy", PICTURES[..., 0])
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    np.save(tmp_path / "zero_one.npy", PICTURES // 128)
    np.save(tmp_path / "nothing.npy", PICTURES[:0])
    np.savez(tmp_path / "statistics.npz", mu=np.zeros(2), sigma=np.eye(2))
    with pytest.raises(ValueError, match=sentence):
        open_pictures(tmp_path / wrong)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (5, "expected a path, a tensor or an iterable, got int"),
        (chw(PICTURES).movedim(1, -1), r"channels last; use \.permute"),
        (chw(PICTURES).float(), "divide by 255 or pass uint8"),
        (chw(PICTURES).int(), "expected uint8 or floats, got torch.int32"),
        (PICTURES.astype(np.float64), "expected uint8 in 0…255, got float64"),
        (torch.utils.data.TensorDataset(torch.zeros(0, 3, 4, 4)), "expected at least one picture, got an empty set"),
    ],
)
def test_wrong_objects_are_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        open_pictures(wrong)


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        ([torch.zeros(3, 4, 4)[None, None]], r"expected a picture \(3, h, w\), got \(1, 1, 3, 4, 4\)"),
        (["a.png"], "picture 0: expected a tensor or a Pillow image, got str"),
        ([torch.full((3, 4, 4), torch.nan)], "got NaN"),
    ],
)
def test_wrong_items_are_refused_when_they_come(items, sentence):
    with pytest.raises(ValueError, match=sentence):
        list(open_pictures(iter(items)))


@pytest.mark.parametrize("settings", [{"batch_size": -1}, {"workers": -2}])
def test_batches_and_workers_are_counted_from_one(settings):
    with pytest.raises(ValueError, match="expected batch_size and workers >= 1"):
        open_pictures(chw(PICTURES), **settings)


class TestVideos:
    FRAMES = pixels(7, 16, 24, 3)

    def test_frames_as_pictures(self, film):
        source = open_pictures(film("a.mov", self.FRAMES))
        assert torch.equal(all_of(source), chw(self.FRAMES))
        assert next(iter(source)).ids[3] == "a.mov#000003"

    def test_a_folder_of_videos(self, film):
        film("b.mov", self.FRAMES[:2])
        folder = film("a.avi", self.FRAMES[2:]).parent
        ids = [name for batch in open_pictures(folder) for name in batch.ids]
        assert ids == [*(f"a.avi#{i:06d}" for i in range(5)), "b.mov#000000", "b.mov#000001"]

    def test_clips(self, film):
        film("b.mov", self.FRAMES)
        folder = film("a.mov", self.FRAMES[::-1].copy()).parent
        (batch,) = open_clips(folder)
        assert batch.ids == ("a.mov", "b.mov")
        assert torch.equal(batch.images[1], chw(self.FRAMES))

    def test_the_first_frames_of_every_second(self, film, save):
        frames = save({f"a/frame_{i}.png": frame for i, frame in enumerate(self.FRAMES)}, "frames")
        for folder in (film("a.mov", self.FRAMES).parent, frames, chw(self.FRAMES)[None]):
            (batch,) = open_clips(folder, num_frames=3, step=2)
            assert torch.equal(batch.images[0], chw(self.FRAMES[:5:2]))

    def test_short_clips_are_named(self, film, save):
        film("short.mov", self.FRAMES[:4])
        source = open_clips(film("long.mov", self.FRAMES).parent, num_frames=6)
        assert [batch.ids for batch in source] == [("long.mov",)]
        assert source.skipped == [Skipped("short.mov", "4 frames, fewer than the 6 that are needed")]

    def test_what_is_taken_is_part_of_the_fingerprint(self, film):
        folder = film("a.mov", self.FRAMES).parent
        found = [open_clips(folder, num_frames=n, step=s).fingerprint for n, s in [(None, 1), (2, 1), (3, 1), (2, 2)]]
        assert len(set(found)) == 4

    def test_damaged_frames_are_counted(self, film):
        """A picture more or less does no harm to a set of frames, but a clip with a hole is none."""
        path = film("a.mov", pixels(12, 64, 64, 3))
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 6000] = bytes(6000)
        path.write_bytes(bytes(content))
        frames = open_pictures(path)
        count = sum(map(len, frames))
        assert 0 < count < 12
        assert [skip.id for skip in frames.skipped] == ["a.mov"]
        assert "of its frames cannot be decoded" in frames.skipped[0].reason
        clips = open_clips(path)
        assert list(clips) == []
        assert "of its frames cannot be decoded" in clips.skipped[0].reason

    @pytest.mark.parametrize("content", [b"", b"no video", b"\0" * 5000])
    def test_what_is_no_video_is_named(self, tmp_path, content):
        pytest.importorskip("av")
        (tmp_path / "a.mp4").write_bytes(content)
        source = open_pictures(tmp_path)
        assert list(source) == []
        assert [skip.id for skip in source.skipped] == ["a.mp4"]

    def test_without_pyav(self, tmp_path, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "av", None)
        (tmp_path / "a.mp4").write_bytes(b"")
        with pytest.raises(ValueError, match=r"PyAV, which is not installed; pip install 'nuwa\[video\]'"):
            open_pictures(tmp_path)


class TestFrameFolders:
    def test_frames_come_in_their_natural_order(self, save):
        frames = pixels(12, 4, 6, 3)
        folder = save({f"clips/a/frame_{i}.png": frame for i, frame in enumerate(frames)})
        (batch,) = open_clips(folder)
        assert batch.ids == ("clips/a",)
        assert torch.equal(batch.images[0], chw(frames))

    def test_frames_of_two_sizes_are_no_clip(self, save):
        folder = save({"a/0.png": pixels(4, 4, 3), "a/1.png": pixels(5, 4, 3), "b/0.png": pixels(4, 4, 3)})
        source = open_clips(folder)
        assert [batch.ids for batch in source] == [("b",)]
        assert source.skipped == [Skipped("a", "frames of 2 sizes, such as (4, 4) and (5, 4)")]

    def test_videos_and_frames_are_not_mixed(self, save):
        with pytest.raises(ValueError, match="video files or folders of frames, got both"):
            open_clips(save({"a/0.png": pixels(4, 4, 3), "b.mp4": b""}))

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [("nowhere", "expected a folder of clips or a video file"), ("empty", "expected pictures in this folder")],
    )
    def test_wrong_use(self, tmp_path, wrong, sentence):
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match=sentence):
            open_clips(tmp_path / wrong)

    @pytest.mark.parametrize("settings", [{"num_frames": 0}, {"step": 0}])
    def test_frames_are_counted_from_one(self, settings):
        with pytest.raises(ValueError, match="expected num_frames and step >= 1"):
            open_clips(chw(pixels(1, 4, 8, 8, 3)), **settings)
