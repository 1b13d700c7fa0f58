import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.samples import save_sheet
from evaluation.sessions import Samples
from reports.runs import Picture, Sample, read_run
from reports.sheet import sample_sheet


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_run):
    return read_run(make_run(tmp_path_factory.mktemp("run") / "run"))


def picture(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return Picture(data=buffer.getvalue(), mime="image/png", width_px=array.shape[1], height_px=array.shape[0])


def of(run, *samples):
    return np.array(Image.open(io.BytesIO(sample_sheet(dataclasses.replace(run, samples=samples)))))


def test_the_same_run_gives_the_same_bytes(run):
    assert sample_sheet(run) == sample_sheet(run)


def test_pixels_are_enlarged_by_a_whole_factor(run):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    drawn = of(run, Sample(id="0", caption="noise", pictures={"real": picture(pixels)}))
    enlarged = pixels.repeat(4, axis=0).repeat(4, axis=1)
    corners = np.argwhere((drawn[:-127, :-127] == enlarged[0, 0]).all(-1))
    assert any(np.array_equal(drawn[y : y + 128, x : x + 128], enlarged) for y, x in corners)


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (100, 50), (128, 128), (336, 336), (500, 20)], ids=str)
def test_every_size_fits(run, size):
    drawn = of(
        run, Sample(id="0", caption="red", pictures={"real": picture(np.full((*size, 3), (255, 0, 0), np.uint8))})
    )
    red = np.argwhere((drawn == (255, 0, 0)).all(-1))
    height, width = red.max(0) - red.min(0) + 1
    assert 64 < max(height, width) <= 128


def test_a_missing_picture_is_said(run):
    empty = Sample(id="0", caption="", pictures={"real": None})
    assert not np.array_equal(of(run, empty), of(run, dataclasses.replace(empty, pictures={"real": None, "b": None})))


@pytest.mark.parametrize(
    "caption",
    ["", "word " * 200, "x" * 5000, "$\\frac", "<script>alert(1)</script>", "女娲 🐸 \u202e \ud800 \x00"],
    ids=ascii,
)
def test_captions_stay_in_their_place(run, caption):
    sample = Sample(id="0", caption=caption, pictures={"real": None, "K = 1": None, "K = 8": None})
    plain = dataclasses.replace(sample, caption="")
    drawn, without = of(run, sample), of(run, plain)
    assert drawn.shape == without.shape
    assert np.array_equal(drawn[:, -30:], without[:, -30:])  # the right margin
    assert np.array_equal(drawn[106:], without[106:])  # the pictures below the caption


def test_only_the_first_samples_are_shown(run):
    few, many = sample_sheet(run, count=2), sample_sheet(run)
    assert Image.open(io.BytesIO(few)).height < Image.open(io.BytesIO(many)).height


def test_no_samples_is_an_error(run):
    with pytest.raises(ValueError, match="expected a run with samples"):
        sample_sheet(dataclasses.replace(run, samples=()))


def clip(*levels, path):
    """A clip of frames of one grey level each, as sessions save it."""
    pixels = torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 32, 32)
    save_sheet(path, Samples(pixels=pixels[None], ids=["0"], captions=[""]), {"real": pixels[None]})
    data = (path / "0000_0.webp").read_bytes()
    return Picture(data=data, mime="image/webp", width_px=32, height_px=32)


@pytest.mark.parametrize("levels", [(10, 60, 110), (10, 10, 110), (10, 60, 60), (10, 60, 60, 60, 10)], ids=str)
def test_a_clip_gives_back_all_its_frames(levels, tmp_path):
    """The file keeps equal frames in a row as one."""
    assert [frame.getpixel((5, 5))[0] for frame in clip(*levels, path=tmp_path).frames()] == list(levels)


def test_clips_become_strips(run, tmp_path):
    moving, still = clip(10, 60, 110, path=tmp_path / "a"), clip(200, 200, 200, path=tmp_path / "b")
    drawn = of(run, Sample(id="0", caption="", pictures={"real": moving, "repeat": still, "K = 1": None}))
    grey = drawn[..., 0][np.ptp(drawn, axis=-1) == 0]
    for level, times in ((10, 1), (60, 1), (110, 1), (200, 3)):
        assert (grey == level).sum() >= times * 64 * 64
        assert (grey == level).sum() < (times + 1) * 64 * 64
    rows = [int(np.argwhere((drawn == level).all(-1))[:, 0].min()) for level in (60, 200)]
    assert rows[0] < rows[1]
