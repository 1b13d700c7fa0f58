"""Text-guided manipulation of pictures and of clips from end to end with a model trained for seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation import judges
from evaluation.__main__ import main
from evaluation.metrics import EditAccuracy
from evaluation.protocols import PROTOCOLS
from evaluation.records import Record, read_record
from evaluation.sessions import ti2i, tv2v
from evaluation.sessions.edits import EditOptions
from evaluation.sessions.splits import UNSEEN
from nuwa import Nuwa
from nuwa.data.sprites.edit_dataset import SpritesEdits
from nuwa.errors import run_cli

NUM, FRAMES = 12, 5
ROUTES = ["masked-condition", "zero-shot"]

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is different for pictures and for clips."""

    options: type[EditOptions]
    run: Callable[[Any], Record]
    frames: int | None
    distance: str
    protocol: str
    judge: Callable[[], Any]
    learnt_from: str
    kind: str


CASES = {
    "ti2i": Case(
        options=ti2i.TI2IOptions, run=ti2i.run, frames=None, distance="FID-0", protocol="edit-accuracy@sprites-1",
        judge=judges.load_image_judge, learnt_from="t2i", kind="pictures",
    ),
    "tv2v": Case(
        options=tv2v.TV2VOptions, run=tv2v.run, frames=FRAMES, distance="FID-vid", protocol="edit-accuracy@sprites-clips-1",
        judge=judges.load_video_judge, learnt_from="t2v", kind="clips",
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def case(task: str) -> Case:
    return CASES[task]


@pytest.fixture(scope="module")
def options(case: Case, task: str, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> EditOptions:
    out = tmp_path_factory.mktemp("runs") / task
    return case.options(checkpoint=checkpoint, num=NUM, device="cpu", out=out)


@pytest.fixture(scope="module")
def record(case: Case, options: EditOptions) -> Record:
    case.run(options)
    return read_record(options.out / "record.json")


def values(record: Record, row: str) -> dict[str, float]:
    (found,) = [each for each in record.rows if each.name == row]
    return {metric.name: metric.value for metric in found.metrics}


def test_rows(record: Record, case: Case, task: str) -> None:
    models = [f"NÜWA smoke, {route}" for route in ROUTES]
    rest = [f"real {case.kind}", "reconstruction", "unedited input"]
    names = [each.name for each in record.rows]
    assert names == [*models, *rest, "untrained", *(f"{each}{UNSEEN}" for each in [*models, *rest])]
    assert [each.sampling["route"] for each in record.rows if each.role == "model"] == ROUTES * 2
    assert (record.task, record.model.preset, record.dataset.name) == (task, "smoke", "sprites-edits")


def test_every_row_has_every_number(record: Record, case: Case) -> None:
    wanted = {case.distance, "edit accuracy", "attribute accuracy", "SSIM outside the mask", "known region unchanged"}
    for row in record.rows:
        found = {each.name: each for each in row.metrics}
        assert wanted <= set(found)
        assert found["edit accuracy"].protocol == case.protocol
        assert {each.protocol for each in row.metrics} <= set(PROTOCOLS)
        assert len({found[name].n for name in wanted}) == 1


@pytest.mark.parametrize("suffix", ["", UNSEEN])
def test_the_truth_is_confirmed_and_what_was_not_edited_is_not(record: Record, case: Case, suffix: str) -> None:
    real, unedited = values(record, f"real {case.kind}{suffix}"), values(record, f"unedited input{suffix}")
    assert real["edit accuracy"] >= 0.9
    assert unedited["edit accuracy"] <= 0.1
    assert real["SSIM outside the mask"] == pytest.approx(1.0)
    assert values(record, "untrained")[case.distance] > real[case.distance]


@pytest.mark.parametrize("suffix", ["", UNSEEN])
@pytest.mark.parametrize("route", ROUTES)
def test_what_should_stay_stays(record: Record, route: str, suffix: str) -> None:
    for name in (f"NÜWA smoke, {route}{suffix}", f"unedited input{suffix}"):
        assert values(record, name)["known region unchanged"] == 1.0
        assert values(record, name)["SSIM outside the mask"] == pytest.approx(1.0)
    rebuilt = values(record, f"reconstruction{suffix}")
    assert rebuilt["known region unchanged"] == 0.0
    assert rebuilt["SSIM outside the mask"] < 0.999


@pytest.mark.parametrize("route", ROUTES)
def test_the_numbers_are_those_of_what_anyone_can_draw(
    options: EditOptions, record: Record, case: Case, task: str, route: str
) -> None:
    assert options.checkpoint is not None
    model, test = Nuwa.from_pretrained(options.checkpoint), SpritesEdits("test-seen", NUM, case.frames)
    whole = slice(None)
    keep = ~test.masks(whole).flatten(1).all(1)  # the others are named under skipped
    made = model.generate(
        task,
        given=test.sources(whole)[keep],
        mask=test.masks(whole)[keep],
        captions=[caption for caption, each in zip(test.captions, keep, strict=True) if each],
        route=route,
        sample_indices=range(int(keep.sum())),
    )
    metric = EditAccuracy(PROTOCOLS[case.protocol])  # type: ignore[arg-type]
    metric.update(case.judge()(made), test.edits[np.flatnonzero(keep.numpy())])
    assert values(record, f"NÜWA smoke, {route}")["edit accuracy"] == float(metric.compute())
    named = [each.id for each in record.skipped if each.id.startswith("test-seen") and "other take" not in each.reason]
    assert named == [name for name, each in zip(test.ids, keep, strict=True) if not each]


def test_sheet(options: EditOptions, record: Record, case: Case) -> None:
    folder = options.out / "samples"
    items = json.loads((folder / "samples.json").read_text(encoding="utf-8"))["items"]
    assert list(items[0]["images"]) == ["unedited input", "given", "real", "reconstruction", *ROUTES]
    test = SpritesEdits("test-seen", 1, case.frames)
    mask, frames = test.masks(slice(0, 1))[0].numpy(), {}
    for name, file in items[0]["images"].items():
        with Image.open(folder / file) as image:
            frames[name] = np.asarray(image.convert("RGB"))
    assert items[0]["caption"] == test.captions[0]
    assert (frames["unedited input"][~mask] == frames["real"][~mask]).all()
    for name in ("given", *ROUTES):
        assert (frames[name][~mask] == frames["unedited input"][~mask]).all()
    assert (frames["given"][mask].std(axis=-1) == 0).all()  # grey stripes
    with Image.open(folder / items[1]["images"]["zero-shot"]) as image:
        assert getattr(image, "n_frames", 1) == (case.frames or 1)


def test_edits_that_leave_nothing_are_named(case: Case, options: EditOptions, tmp_path: Path) -> None:
    """New ground behind small objects: 3 in 100 pictures; no clips, whose ground is not edited."""
    if case.frames is not None:
        assert not SpritesEdits("test-seen", 200, case.frames).masks(slice(None)).flatten(1).all(1).any()
        return
    masks = SpritesEdits("test-seen", 40).masks(slice(None))
    left_out = masks.flatten(1).all(1).sum()
    assert left_out
    record = case.run(replace(options, num=40, out=tmp_path))
    (row,) = [each for each in record.rows if each.name == "unedited input"]
    assert {each.n for each in row.metrics if each.name == "edit accuracy"} == {40 - int(left_out)}
    assert any("the mask leaves nothing as it is" in each.reason for each in record.skipped)


@pytest.mark.parametrize("route", [0, 1])
def test_a_route_that_was_not_learnt_is_skipped(
    options: EditOptions, case: Case, task: str, tmp_path: Path, route: int
) -> None:
    assert options.checkpoint is not None
    system = Nuwa.from_pretrained(options.checkpoint)
    system.tasks = ((task, case.learnt_from)[route],)
    system.save_pretrained(tmp_path / "checkpoint")
    record = case.run(replace(options, checkpoint=tmp_path / "checkpoint", num=4, out=tmp_path / "out"))
    assert {each.sampling["route"] for each in record.rows if each.role == "model"} == {ROUTES[route]}
    (skipped,) = [each for each in record.skipped if each.id.startswith("route")]
    assert skipped.id == f"route {ROUTES[1 - route]}"
    assert skipped.reason == f"the model was not trained on {(case.learnt_from, task)[route]}"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--num", "1"], "expected num >= 2, got 1"),
        (["--preset", "paper-image"], "preset paper-image: expected some of its tasks t2i, got"),
        (["--checkpoint", "nowhere"], "nowhere: expected config.json, found none"),
    ],
)
def test_wrong_options_end_in_a_sentence(
    task: str, arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(main, [task, "--out", str(tmp_path), *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert sentence in said


def test_without_a_checkpoint_it_trains_what_it_needs_and_no_more(tmp_path: Path) -> None:
    record = ti2i.run(ti2i.TI2IOptions(preset="smoke", num=4, device="cpu", out=tmp_path))
    assert record.model.preset == "smoke:t2i+ti2i"
    system = Nuwa.from_pretrained(tmp_path / "checkpoint")
    assert system.tasks == ("t2i", "ti2i")
    assert system.model.config.grid.t == 1
    assert system.sketch_tokenizer is None
    assert torch.isfinite(system.model.decoder.head.weight).all()
