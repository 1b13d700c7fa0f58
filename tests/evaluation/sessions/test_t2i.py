"""The session from end to end with the preset ``smoke``: real in every part, too short to mean anything."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.__main__ import main
from evaluation.metrics import PictureScorer
from evaluation.protocols import PROTOCOLS
from evaluation.records import PeakMemory, Record, read_record
from evaluation.scoring.captions import read_captions
from evaluation.sessions import Run, SessionOptions
from evaluation.sessions.ending import said
from evaluation.sessions.splits import UNSEEN
from evaluation.sessions.t2i import T2IOptions, run
from evaluation.sessions.training import logged_s, read_training
from nuwa import Nuwa
from nuwa.attention import BACKENDS
from nuwa.data.sprites.dataset import SpritesPictures
from nuwa.errors import run_cli

NUM = 24
FLAGS = {field.name for field in fields(T2IOptions) if field.type == "bool"}

# 24 samples are fewer than the features are wide, and the metrics say so.
pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> T2IOptions:
    return T2IOptions(preset="smoke", num=NUM, candidates=2, device="cpu", out=tmp_path_factory.mktemp("runs") / "t2i")


@pytest.fixture(scope="module")
def record(options: T2IOptions) -> Record:
    run(options)
    return read_record(options.out / "record.json")


def values(record: Record, row: str) -> dict[str, float]:
    (found,) = [each for each in record.rows if each.name == row]
    return {metric.name: metric.value for metric in found.metrics}


def test_rows_and_their_order(record: Record) -> None:
    rows = ["NÜWA smoke:t2i, K = 1", "NÜWA smoke:t2i, K = 2", "real pictures", "reconstruction", "untrained"]
    unseen = [f"{rows[place]}{UNSEEN}" for place in (0, 2, 3)]
    names = [each.name for each in record.rows]
    assert [name for name in names if "object" not in name] == [*rows, *unseen]
    for each in record.rows:
        assert each.sampling.get("split") == ("test-unseen" if UNSEEN in each.name else None)
    assert {each.role for each in record.rows} == {"model", "real", "reconstruction", "baseline"}
    assert f"{rows[0]}, one object" in names


def test_every_number_has_interval_and_count(record: Record) -> None:
    first = record.rows[0]
    assert {"FID-0", "FID-1", "FID-2", "FID-4", "FID-8", "IS", "CLIPSIM", "caption accuracy"} <= {
        each.name for each in first.metrics
    }
    assert all(each.n <= 3 * NUM for row in record.rows for each in row.metrics)
    assert {each.protocol for row in record.rows for each in row.metrics} <= set(PROTOCOLS)


def test_real_pictures_are_judged_right(record: Record) -> None:
    assert values(record, "real pictures")["caption accuracy"] > 0.9
    assert values(record, "untrained")["caption accuracy"] < 0.1


def test_best_of_k_is_nearer_to_the_caption(record: Record) -> None:
    assert values(record, "NÜWA smoke:t2i, K = 2")["CLIPSIM"] > values(record, "NÜWA smoke:t2i, K = 1")["CLIPSIM"]


def test_codebook_usage_stands_in_the_record(record: Record) -> None:
    assert 0 < values(record, "reconstruction")["codebook usage"] <= 1


def test_second_run_reuses_and_repeats(options: T2IOptions, record: Record) -> None:
    weights = options.out / "training" / "transformer" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    again = run(options)
    assert weights.stat().st_mtime_ns == before
    assert again.rows == record.rows


def test_a_second_run_keeps_the_figures_of_the_training(options: T2IOptions, record: Record) -> None:
    kept = read_training(options.out / "checkpoint")
    assert kept is not None
    assert kept.train_s >= logged_s(options.out / "training") > 0
    (options.out / "checkpoint" / "training.json").unlink()
    first = run(options)
    trained = read_training(options.out / "checkpoint")
    assert trained is not None
    assert first.timings_s["train"] == trained.train_s  # by the logs, as the training itself lies behind
    trained = replace(trained, train_s=611.0, peak_memory_gib=PeakMemory(host=64.0, cuda=7.0))
    trained.save(options.out / "checkpoint")
    again = run(options)
    assert again.timings_s["train, in an earlier run"] == 611
    assert again.peak_memory_gib == PeakMemory(host=64.0, cuda=7.0)
    kept.save(options.out / "checkpoint")


def test_a_checkpoint_is_scored_as_it_is(options: T2IOptions, record: Record, tmp_path: Path) -> None:
    scored = run(replace(options, checkpoint=options.out / "checkpoint", preset="tiny", out=tmp_path / "out"))
    assert scored.rows == record.rows
    assert scored.model == record.model
    assert not (tmp_path / "out" / "training").exists()


def test_a_checkpoint_of_other_tasks_is_refused(options: T2IOptions, record: Record, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a model trained for t2v, got one for t2i"):
        Run.begin("t2v", SessionOptions(checkpoint=options.out / "checkpoint", device="cpu", out=tmp_path))


def test_rows_say_how_they_were_made(record: Record) -> None:
    sampling = {row.name: row.sampling for row in record.rows}
    one, best = sampling["NÜWA smoke:t2i, K = 1"], sampling["NÜWA smoke:t2i, K = 2"]
    assert one["decoding"] == "diagonal, 22 steps for 64 cells"
    assert one["training_attention"] in BACKENDS
    assert "note" not in one
    assert best["chosen_by"] == "clipsim@sprites-1"
    assert "no fair rival" in str(best["note"])
    assert sampling["untrained"]["guidance"] == 1
    assert "the model's rows have 2" in str(sampling["untrained"]["note"])
    assert f"{24 * 64:,} tokens of 24 pictures" in str(sampling["reconstruction"]["note"])


def test_the_end_is_a_table_and_places(options: T2IOptions, record: Record) -> None:
    end = said(options.out, record)
    lines = end.splitlines()
    assert lines[0].split("  ")[0] == "metric"
    assert "one object" not in lines[0]
    (fid,) = [line for line in lines if line.startswith("FID-0 ↓")]
    assert fid.count("(") == 5  # an interval a row
    for name in ("record.json", "samples", "generated", "captions.csv", "checkpoint", "training"):
        assert any(line.startswith(str(options.out / name)) for line in lines)


def test_captions_are_listed_before_anything_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["t2i", "--list-captions", "--num", "5", "--out", str(tmp_path)])
    test = SpritesPictures("test-seen", 5)
    assert read_captions(tmp_path / "captions.csv") == dict(zip(test.ids, test.captions, strict=True))
    assert [path.name for path in tmp_path.iterdir()] == ["captions.csv"]
    assert str(tmp_path / "captions.csv") in capsys.readouterr().out


def test_checkpoint_draws_the_pictures_of_the_table(options: T2IOptions, record: Record) -> None:
    model = Nuwa.from_pretrained(options.out / "checkpoint")
    test = SpritesPictures("test-seen", NUM)
    pictures = model.t2i(test.captions[:5], sample_indices=range(5))
    for name, picture in zip(test.ids[:5], pictures, strict=True):
        saved = np.asarray(Image.open(options.out / "generated" / f"{name}.png"))
        assert torch.equal(torch.from_numpy(saved.copy()).permute(2, 0, 1), picture)


def test_combinations_never_shown_have_a_reference_of_their_own(options: T2IOptions, record: Record) -> None:
    """Other pictures than those of the split that the table is about, and the same model."""
    rows = {row.name: row for row in record.rows}
    seen, unseen = (rows[f"real pictures{suffix}"] for suffix in ("", UNSEEN))
    assert unseen.sampling["split_fingerprint"] == SpritesPictures("test-unseen", NUM, 32).fingerprint
    assert [each.name for each in unseen.metrics] == [each.name for each in seen.metrics]
    assert [each.value for each in unseen.metrics] != [each.value for each in seen.metrics]
    without = run(replace(options, unseen=False, checkpoint=options.out / "checkpoint", out=options.out / "seen"))
    assert without is not None
    assert without.rows == tuple(row for row in record.rows if UNSEEN not in row.name)


def test_sheet_names_pictures_that_are_there(options: T2IOptions, record: Record) -> None:
    folder = options.out / "samples"
    items = json.loads((folder / "samples.json").read_text())["items"]
    assert len(items) == NUM
    assert list(items[0]["images"]) == ["real", "reconstruction", "K = 1", "K = 2"]
    assert all((folder / name).is_file() for item in items for name in item["images"].values())


@pytest.fixture
def folder(options: T2IOptions, record: Record, tmp_path: Path) -> Path:
    return Path(shutil.copytree(options.out / "generated", tmp_path / "theirs"))


def test_generated_folder_scores_as_the_model(
    options: T2IOptions, record: Record, folder: Path, tmp_path: Path
) -> None:
    scored = run(replace(options, generated=folder, out=tmp_path / "out"))
    assert values(scored, "theirs") == pytest.approx(values(record, "NÜWA smoke:t2i, K = 1"), rel=1e-6)
    assert not (tmp_path / "out" / "training").exists()


def test_generated_folder_with_missing_ids(
    options: T2IOptions, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before anything is judged."""
    monkeypatch.setattr(PictureScorer, "update", None)
    for name in ("test-seen-000003", "test-seen-000007"):
        (folder / f"{name}.png").unlink()
    arguments = [
        "t2i",
        "--generated",
        str(folder),
        "--num",
        str(NUM),
        "--preset",
        "smoke",
        "--out",
        str(folder.parent / "o"),
    ]
    assert run_cli(main, arguments) == 2
    sentence = capsys.readouterr().err
    assert sentence.count("\n") == 1
    assert f"2 of {NUM} ids" in sentence
    assert "test-seen-000003" in sentence


def test_unreadable_generated_picture_is_left_out_and_named(options: T2IOptions, folder: Path, tmp_path: Path) -> None:
    (folder / "test-seen-000003.png").write_bytes(b"not a picture")
    scored = run(replace(options, generated=folder, out=tmp_path / "out"))
    assert scored.rows[0].metrics[0].n == NUM - 1
    assert "test-seen-000003" in {each.id for each in scored.skipped}


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """COCO's layout with 24 pictures of val, of which one is cut short, and captions that no judge was made for."""
    for split, numbers in (("train", range(4)), ("val", range(10, 34))):
        (tmp_path / f"{split}2017").mkdir()
        images, captions = [], []
        for n in numbers:
            file = tmp_path / f"{split}2017" / f"{n}.jpg"
            blocks = np.random.default_rng(n).integers(0, 256, (4, 5, 3), dtype=np.uint8)
            Image.fromarray(blocks).resize((50, 40)).save(file)
            images.append({"id": n, "file_name": file.name, "height": 40, "width": 50})
            captions.append({"id": 100 + n, "image_id": n, "caption": f"a red box on a {n}th street"})
        if split == "val":
            captions[0]["caption"] = "Zebras graze"  # the judge of sprites knows no word of it
            captions[1]["caption"] = "a red box " * 30
            file.write_bytes(file.read_bytes()[:300])
        (tmp_path / "annotations").mkdir(exist_ok=True)
        document = json.dumps({"images": images, "annotations": captions})
        (tmp_path / "annotations" / f"captions_{split}2017.json").write_text(document)
    return tmp_path


def test_photographs_and_captions_of_every_kind(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(T2IOptions(data="coco", root=photographs, preset="smoke", candidates=1, device="cpu", out=out))
    record = read_record(out / "record.json")
    assert record.rows[0].metrics[0].n == 22
    skipped = {each.id: each.reason for each in record.skipped}
    assert "knows no word" in skipped["110"]
    assert "33.jpg" in skipped["133"]
    assert skipped["long captions"].startswith("1 of 22 captions")
    assert "at least 20 pictures" in skipped["IS of real pictures"]  # the floor is made of the four of train
    assert not (out / "generated" / "110.png").exists()
    assert (out / "generated" / "111.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "sprite"], "did you mean 'sprites'"),
        (["--preset", "tiney"], "did you mean 'tiny'"),
        (["--data", "coco"], "expected --root"),
        (["--data", "coco", "--root", "/nowhere"], "/nowhere"),
        (["--device", "gpu"], "expected auto, cpu or cuda"),
        (["--num", "1"], "expected num >= 2, got 1"),
        (["--candidates", "0"], "expected candidates >= 1, got 0"),
        (["--generated", "no such folder"], "expected a folder 'no such folder'"),
        (["--temperature", "0"], "temperature"),
    ],
)
def test_bad_options_end_in_one_sentence(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(main, ["t2i", "--preset", "smoke", "--num", "4", "--out", str(tmp_path), *arguments]) == 2
    sentence = capsys.readouterr().err
    assert said in sentence
    assert sentence.count("\n") == 1
    assert not (tmp_path / "record.json").exists()


@pytest.mark.parametrize("option", [field.name for field in fields(T2IOptions)], ids=lambda name: f"--{name}")
def test_the_help_explains_every_option(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["t2i", "--help"])
    words = " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    _, _, after = (
        words.partition(f"--{option.replace('_', '-')} ")
        if option not in FLAGS
        else words.partition(f"--no-{option.replace('_', '-')} ")
    )
    explained = re.sub(r"^(\{None\}\|)?(STR|INT|FLOAT|PATH) ", "", after).partition("(default")[0]
    assert len(explained.split()) >= 3


def test_unknown_command_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(main, ["scor"]) == 2
    assert "did you mean 'score'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["t2i", "--candidate", "3"])
    assert stopped.value.code == 2
    assert "--candidates" in capsys.readouterr().err
