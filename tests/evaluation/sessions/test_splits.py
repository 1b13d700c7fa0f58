"""The sessions of clips and of sketches, end to end on one checkpoint: which rows there are, and what must hold among them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from evaluation.__main__ import main
from evaluation.protocols import PROTOCOLS
from evaluation.records import Record, read_record
from evaluation.replicates import REPLICATES, read_replicates
from evaluation.sessions import SESSIONS, splits
from evaluation.sessions.splits import UNSEEN
from evaluation.sessions.v2v import OTHER
from nuwa import Nuwa
from nuwa.data.sprites.clip_dataset import SpritesClips
from nuwa.errors import run_cli
from nuwa.tasks import TASKS

NUM, FRAMES = 12, 5
ROWS = {
    "t2v": [""],
    "v2v": [""],
    "s2i": [", with caption", ", sketch alone"],
    "s2v": [", with caption", ", sketch alone"],
}
METRICS = {
    "t2v": {"FID-img", "FID-vid", "CLIPSIM", "acc"},
    "v2v": {"FVD", "SSIM", *(f"SSIM, frame {number}" for number in range(1, FRAMES)), "PSNR"},
    "s2i": {"FID-0", "Detected PA", "Detected FWIoU", "Detected mIoU", "CLIPSIM"},
    "s2v": {"FID-vid", "Detected PA", "Detected FWIoU", "Detected mIoU", "CLIPSIM"},
}

# A dozen samples are fewer than the features are wide, and the metrics say so.
pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")

Score = Callable[..., Path]


@pytest.fixture(scope="module")
def score(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Score:
    """The folder of a session that has run."""
    folder, done = tmp_path_factory.mktemp("runs"), {}

    def run(task: str, **changes: object) -> Path:
        key = (task, *changes.items())
        if key not in done:
            done[key] = folder / f"eval-{task}-{len(done)}"
            options = {"checkpoint": checkpoint, "num": NUM, "device": "cpu", "out": done[key], **changes}
            SESSIONS[task].run(SESSIONS[task].options(**options))
        return done[key]

    return run


def values(record: Record, row: str) -> dict[str, float]:
    (found,) = [each for each in record.rows if each.name == row]
    return {metric.name: metric.value for metric in found.metrics}


def record_of(folder: Path) -> Record:
    return read_record(folder / "record.json")


@pytest.mark.parametrize("task", ROWS)
def test_rows_of_both_splits(score: Score, task: str) -> None:
    record = record_of(score(task))
    kind = "pictures" if task.endswith("2i") else "clips"
    names = [row.name for row in record.rows if not row.name.endswith(("one object", "2–3 objects"))]
    baselines = ["repeat the last given frame", OTHER] if task == "v2v" else []
    models = [f"NÜWA smoke{way}" for way in ROWS[task]]
    once = [*models, f"real {kind}", "reconstruction", *baselines]
    assert names == [*once, "untrained", *(f"{name}{UNSEEN}" for name in once)]
    assert record.dataset.split == "test-seen"
    for row in record.rows:
        assert row.sampling.get("split") == ("test-unseen" if UNSEEN in row.name else None)


@pytest.mark.parametrize("task", ROWS)
def test_rows_say_how_they_were_decoded_where_nothing_is_given(score: Score, task: str) -> None:
    drawn = [row for row in record_of(score(task)).rows if row.role == "model" or row.name == "untrained"]
    for row in drawn:
        assert ("decoding" in row.sampling) == (TASKS[task].given == "nothing")


@pytest.mark.parametrize("task", ROWS)
def test_numbers_of_each_row(score: Score, task: str) -> None:
    record = record_of(score(task))
    model = f"NÜWA smoke{ROWS[task][0]}"
    for name in (model, model + UNSEEN, "untrained"):
        assert set(values(record, name)) == METRICS[task]
    assert {metric.n for row in record.rows[:1] for metric in row.metrics} == {NUM}
    assert {metric.protocol for row in record.rows for metric in row.metrics} <= set(PROTOCOLS)


@pytest.mark.parametrize(
    ("task", "metric", "higher"),
    [
        ("t2v", "FID-vid", False),
        ("t2v", "FID-img", False),
        ("t2v", "acc", True),
        ("t2v", "CLIPSIM", True),
        ("v2v", "FVD", False),
        ("s2i", "FID-0", False),
        ("s2i", "Detected PA", True),
        ("s2i", "Detected mIoU", True),
        ("s2v", "FID-vid", False),
        ("s2v", "Detected FWIoU", True),
    ],
)
def test_real_samples_are_better_than_an_untrained_model(score: Score, task: str, metric: str, higher: bool) -> None:
    record = record_of(score(task))
    kind = "pictures" if task.endswith("2i") else "clips"
    worst = values(record, "untrained")[metric]
    for row in (f"real {kind}", f"real {kind}{UNSEEN}"):
        real = values(record, row)[metric]
        assert real > worst if higher else real < worst


def test_one_way_on_one_split_without_the_ceiling(score: Score) -> None:
    whole, part = score("s2v"), score("s2v", way="sketch alone", unseen=False, untrained=False)
    model = "NÜWA smoke, sketch alone"
    assert [row.name for row in record_of(part).rows] == [model, "real clips", "reconstruction"]
    assert values(record_of(part), model) == values(record_of(whole), model)
    kept, again = (read_replicates(folder / REPLICATES) for folder in (whole, part))
    assert {row for row, _, _ in again} == {model, "real clips", "reconstruction"}
    assert {metric for row, metric, _ in again if row == model} == METRICS["s2v"]
    assert all(np.array_equal(kept[key], drawn) for key, drawn in again.items())


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("s2v", "way: expected 'with caption' or 'sketch alone', got 'sketch'; did you mean 'sketch alone'"),
        ("t2v", "way: expected none, since there is one way alone, got 'sketch'"),
    ],
)
def test_a_way_that_there_is_not(score: Score, task: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        score(task, way="sketch")


def test_real_clips_do_what_their_captions_say(score: Score) -> None:
    record = record_of(score("t2v"))
    for row in ("real clips", f"real clips{UNSEEN}", "real clips, one object", "real clips, 2–3 objects"):
        assert values(record, row)["acc"] > 0.9


def test_accuracies_by_the_number_of_objects_make_up_the_whole(score: Score) -> None:
    rows = {row.name: row.metrics[0] for row in record_of(score("t2v")).rows}
    for name in ("NÜWA smoke", "real clips", f"NÜWA smoke{UNSEEN}"):
        parts = [rows[f"{name}, {group}"] for group in ("one object", "2–3 objects")]
        assert sum(part.n for part in parts) == rows[name].n
        assert sum(part.n * part.value for part in parts) == pytest.approx(rows[name].n * rows[name].value)


def test_real_pictures_are_seen_as_their_sketches(score: Score) -> None:
    for task, kind in (("s2i", "pictures"), ("s2v", "clips")):
        assert values(record_of(score(task)), f"real {kind}")["Detected PA"] > 0.99


def test_the_sketch_tokenizer_is_measured(score: Score) -> None:
    found = values(record_of(score("s2v")), "reconstruction")
    assert {"PA", "FWIoU", "codebook usage"} <= set(found)


def test_only_predicted_frames_are_compared(score: Score) -> None:
    """Repeating is right where nothing moves, and other real clips follow other frames."""
    record = record_of(score("v2v"))
    repeated, real = values(record, "repeat the last given frame"), values(record, "real clips")
    frames = [repeated[f"SSIM, frame {number}"] for number in range(1, FRAMES)]
    assert repeated["SSIM"] == pytest.approx(np.mean(frames))
    assert "SSIM" not in real
    clips = SpritesClips("test-seen", NUM).clips(slice(None)).double() / 255
    error = (clips[:, 1:] - clips[:, :1]).square().mean()
    assert repeated["PSNR"] == pytest.approx(float(-10 * torch.log10(error)))


def test_other_outcomes_begin_as_the_clips_do(score: Score) -> None:
    """What a perfect predictor would get, and only where one frame is given."""
    folder = score("v2v")
    items = json.loads((folder / "samples" / "samples.json").read_text())["items"]
    shown = [[frames_of(folder / "samples" / item["images"][name]) for name in ("real", OTHER)] for item in items]
    assert all(np.array_equal(real[0], other[0]) for real, other in shown)
    assert not all(np.array_equal(real, other) for real, other in shown)
    record = record_of(folder)
    assert values(record, OTHER)["FVD"] < values(record, "repeat the last given frame")["FVD"]
    assert OTHER not in {row.name for row in record_of(score("v2v", given=3, num=4)).rows}


def frames_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.stack([np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(image)])


def test_more_frames_can_be_given(score: Score) -> None:
    folder = score("v2v", given=3, num=4)
    record = record_of(folder)
    assert record.rows[0].sampling["given"] == 3
    assert "SSIM, frame 3" not in values(record, "NÜWA smoke")
    clip = SpritesClips("test-seen", 4).clip(0)
    assert torch.equal(saved_clip(folder, "test-seen-000000")[:3], clip[:3])


def saved_clip(folder: Path, name: str) -> torch.Tensor:
    frames = [np.asarray(Image.open(path)) for path in sorted((folder / "generated" / name).glob("*.png"))]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def test_the_checkpoint_draws_the_clips_of_the_table(score: Score, checkpoint: Path) -> None:
    """One by one as in batches."""
    folder, model = score("t2v"), Nuwa.from_pretrained(checkpoint)
    for split in ("test-seen", "test-unseen"):
        captions = SpritesClips(split, NUM).captions[:2]
        for row, clip in enumerate(model.t2v(captions, sample_indices=range(2))):
            assert torch.equal(saved_clip(folder, f"{split}-{row:06d}"), clip)


@pytest.mark.parametrize("task", ROWS)
def test_sheet_shows_both_splits(score: Score, task: str) -> None:
    folder = score(task) / "samples"
    items = json.loads((folder / "samples.json").read_text())["items"]
    assert [item["id"].rpartition("-")[0] for item in items] == ["test-seen"] * NUM + ["test-unseen"] * NUM
    named = {
        "t2v": ["real", "reconstruction", "NÜWA"],
        "v2v": ["real", "reconstruction", "repeat the last given frame", OTHER, "NÜWA"],
        "s2i": ["sketch", "real", "reconstruction", "with caption", "sketch alone"],
        "s2v": ["sketches", "real", "reconstruction", "with caption", "sketch alone"],
    }[task]
    assert list(items[0]["images"]) == named
    suffix = ".png" if task == "s2i" else ".webp"
    assert all((folder / name).suffix == suffix for item in items for name in item["images"].values())
    assert all((folder / name).is_file() for item in items for name in item["images"].values())


def test_a_session_trains_what_its_task_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "sprites_data", partial(splits.sprites_data, num_held_out=16, num_captions=2000))
    record = SESSIONS["v2v"].run(SESSIONS["v2v"].options(preset="smoke", num=4, device="cpu", out=tmp_path))
    assert record.model.preset == "smoke:v2v"
    assert record.timings_s["train"] > 0
    assert Nuwa.from_pretrained(tmp_path / "checkpoint").tasks == ("v2v",)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["v2v", "--given", "0"], "expected given >= 1 frames, got 0"),
        (["v2v", "--given", "5"], "expected 1 to 4 given frames of 5, got 5"),
        (["t2v", "--data", "sprite"], "did you mean 'sprites'"),
        (["t2v", "--num", "1"], "num >= 2"),
        (["s2v", "--preset", "paper-image"], "expected some of its tasks t2i"),
        (["s2v", "--checkpoint", "/nowhere"], "is it a checkpoint folder?"),
    ],
)
def test_bad_options_end_in_one_sentence(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, *rest = arguments
    preset = [] if "--preset" in rest else ["--preset", "smoke"]
    assert run_cli(main, [task, "--out", str(tmp_path), *preset, *rest]) == 2
    sentence = capsys.readouterr().err
    assert said in sentence
    assert sentence.count("\n") == 1
    assert not (tmp_path / "record.json").exists()
