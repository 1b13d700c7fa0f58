"""Image completion from end to end with a model trained for seconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.__main__ import main
from evaluation.protocols import PROTOCOLS
from evaluation.records import Record, read_record
from evaluation.sessions.holes import KINDS, draw_holes, kinds_of
from evaluation.sessions.i2i import I2IOptions, run
from evaluation.sessions.splits import UNSEEN
from nuwa import Nuwa
from nuwa.data.sprites.dataset import SpritesPictures
from nuwa.errors import run_cli

NUM = 12
ROUTES = ["masked-condition", "zero-shot"]

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")


@pytest.fixture(scope="module")
def options(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> I2IOptions:
    return I2IOptions(checkpoint=checkpoint, num=NUM, device="cpu", out=tmp_path_factory.mktemp("runs") / "i2i")


@pytest.fixture(scope="module")
def record(options: I2IOptions) -> Record:
    run(options)
    return read_record(options.out / "record.json")


def values(record: Record, row: str) -> dict[str, float]:
    (found,) = [each for each in record.rows if each.name == row]
    return {metric.name: metric.value for metric in found.metrics}


def test_rows(record: Record) -> None:
    models = [f"NÜWA smoke, {route}" for route in ROUTES]
    rest = ["real pictures", "reconstruction", "mean-colour fill"]
    names = [each.name for each in record.rows]
    assert names == [*models, *rest, "untrained", *(f"{each}{UNSEEN}" for each in [*models, *rest])]
    assert {each.role for each in record.rows} == {"model", "real", "reconstruction", "baseline"}
    assert [each.sampling["route"] for each in record.rows if each.role == "model"] == ROUTES * 2
    assert record.model.preset == "smoke"  # that of the checkpoint; the option says tiny


def test_every_row_has_every_number(record: Record) -> None:
    kinds = {f"SSIM inside the hole, {kind}" for kind in KINDS}
    wanted = {"FID-0", "SSIM inside the hole", "SSIM outside the hole", "known region unchanged"} | kinds
    for row in record.rows:
        assert {each.name for each in row.metrics} - {"codebook usage", "codebook perplexity"} == wanted
        assert {each.n for each in row.metrics if each.name not in kinds} == {NUM}
        assert {each.n for each in row.metrics if each.name in kinds} == {NUM // 3}
        assert {each.protocol for each in row.metrics} <= set(PROTOCOLS)
    assert record.skipped == ()


@pytest.mark.parametrize("suffix", ["", UNSEEN])
def test_what_is_known_comes_back(record: Record, suffix: str) -> None:
    for name in (*(f"NÜWA smoke, {route}" for route in ROUTES), "mean-colour fill", "real pictures"):
        found = values(record, name + suffix)
        assert found["known region unchanged"] == 1.0
        assert found["SSIM outside the hole"] == pytest.approx(1.0)
    assert values(record, f"reconstruction{suffix}")["known region unchanged"] == 0.0


@pytest.mark.parametrize("suffix", ["", UNSEEN])
def test_numbers_stand_in_order(record: Record, suffix: str) -> None:
    """The floor is below the ceiling, and what is right is above what is not."""
    real, fill = values(record, f"real pictures{suffix}"), values(record, f"mean-colour fill{suffix}")
    assert real["FID-0"] < fill["FID-0"]
    assert real["SSIM inside the hole"] == pytest.approx(1.0)
    assert (
        values(record, "untrained")["SSIM inside the hole"] < values(record, "mean-colour fill")["SSIM inside the hole"]
    )
    assert 0.3 < fill["SSIM inside the hole"] < 1
    each = [fill[f"SSIM inside the hole, {kind}"] for kind in KINDS]
    assert fill["SSIM inside the hole"] == pytest.approx(np.mean(each))


@pytest.mark.parametrize("route", ROUTES)
def test_the_numbers_are_those_of_what_anyone_can_draw(options: I2IOptions, record: Record, route: str) -> None:
    """The checkpoint, asked through its public method, fills the holes of the table."""
    from evaluation.metrics import MaskedSSIM

    assert options.checkpoint is not None
    model, test = Nuwa.from_pretrained(options.checkpoint), SpritesPictures("test-seen", NUM)
    pictures = test.images(slice(None))
    hole = draw_holes(test.ids, kinds_of("mixed", NUM), 32)
    made = model.i2i(pictures, hole, route=route, sample_indices=range(NUM))
    metric = MaskedSSIM()
    metric.update(made, pictures, hole)
    found = values(record, f"NÜWA smoke, {route}")
    assert found["SSIM inside the hole"] == pytest.approx(float(metric.compute()))
    if route == ROUTES[0]:
        for name, picture in zip(test.ids, made, strict=True):
            saved = np.asarray(Image.open(options.out / "generated" / f"{name}.png"))
            assert torch.equal(torch.from_numpy(saved.copy()).permute(2, 0, 1), picture)


def test_sheet(options: I2IOptions, record: Record) -> None:
    items = json.loads((options.out / "samples" / "samples.json").read_text(encoding="utf-8"))["items"]
    assert list(items[0]["images"]) == ["given", "real", "reconstruction", "mean-colour fill", *ROUTES]
    assert [item["id"].rpartition("-")[0] for item in items] == ["test-seen"] * NUM + ["test-unseen"] * NUM
    given, real = (
        np.asarray(Image.open(options.out / "samples" / items[0]["images"][name])) for name in ("given", "real")
    )
    hole = draw_holes([items[0]["id"]], kinds_of("mixed", 1), 32)[0].numpy()
    assert (given[~hole] == real[~hole]).all()
    assert (given[hole] != real[hole]).any(axis=1).all()


def test_one_kind_of_hole(options: I2IOptions, tmp_path: Path) -> None:
    record = run(replace(options, holes="half", num=4, out=tmp_path))
    names = {metric.name for metric in record.rows[0].metrics}
    assert "SSIM inside the hole" in names
    assert not any(name.startswith("SSIM inside the hole,") for name in names)
    assert record.rows[0].sampling["holes"] == "half"


@pytest.mark.parametrize(
    ("tasks", "route", "other"),
    [(("t2i",), "zero-shot", "masked-condition"), (("i2i",), "masked-condition", "zero-shot")],
)
def test_a_route_that_was_not_learnt_is_skipped(
    options: I2IOptions, tmp_path: Path, tasks: tuple[str, ...], route: str, other: str
) -> None:
    assert options.checkpoint is not None
    system = Nuwa.from_pretrained(options.checkpoint)
    system.tasks = tasks
    system.save_pretrained(tmp_path / "checkpoint")
    record = run(replace(options, checkpoint=tmp_path / "checkpoint", num=4, out=tmp_path / "out"))
    assert [each.name for each in record.rows if each.role == "model"] == [
        f"NÜWA smoke, {route}{suffix}" for suffix in ("", UNSEEN)
    ]
    (skipped,) = [each for each in record.skipped if each.id.startswith("route")]
    assert skipped.id == f"route {other}"
    assert "the model was not trained on" in skipped.reason


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--num", "1"], "expected num >= 2, got 1"),
        (["--preset", "paper-image"], "preset paper-image: expected some of its tasks t2i, got"),
        (["--preset", "tinyy"], "did you mean 'tiny'"),
        (["--checkpoint", "nowhere"], "nowhere: expected config.json, found none; is it a checkpoint folder?"),
        (["--temperature", "-1"], "temperature"),
    ],
)
def test_wrong_options_end_in_a_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(main, ["i2i", "--out", str(tmp_path), *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert sentence in said


def test_a_checkpoint_of_other_tasks_is_refused(
    options: I2IOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert options.checkpoint is not None
    system = Nuwa.from_pretrained(options.checkpoint)
    system.tasks = ("t2v", "s2i")
    system.save_pretrained(tmp_path)
    assert run_cli(main, ["i2i", "--checkpoint", str(tmp_path)]) == 2
    assert "expected a model trained for t2i or i2i, got one for t2v, s2i" in capsys.readouterr().err
