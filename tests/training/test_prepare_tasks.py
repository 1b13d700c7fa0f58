"""From a preset of several tasks to a trained system: all of them, some of them, and a start from a checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from nuwa import Nuwa, files
from nuwa.model.nuwa import NuwaModel
from nuwa.presets import PRESETS, Preset
from nuwa.system import MODEL_FILE
from nuwa.tasks import TASKS, needed_for
from nuwa.training import checkpoint
from nuwa.training.prepare import begin_with, prepare

from .stages import CPU, small_data


def short(preset: Preset) -> Preset:
    assert preset.sketch is not None
    return dataclasses.replace(
        preset,
        frames=3,
        tokenizer=dataclasses.replace(preset.tokenizer, steps=3),
        sketch=dataclasses.replace(preset.sketch, steps=3),
        transformer=dataclasses.replace(preset.transformer, steps=4),
        alone=dataclasses.replace(preset.transformer, steps=2),
    )


@pytest.fixture(scope="module")
def preset() -> Preset:
    return short(PRESETS["smoke"]())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, preset: Preset) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    prepare(preset, small_data(), folder, CPU).save_pretrained(folder / "checkpoint")
    return folder


def sketch_of(system: Nuwa) -> torch.Tensor:
    return system.s2v(small_data().clips.validation.maps[:2])  # type: ignore[union-attr, index]


def test_one_checkpoint_does_all_eight(folder: Path) -> None:
    system = Nuwa.from_pretrained(folder / "checkpoint")
    assert system.tasks == tuple(TASKS)
    assert sketch_of(system).shape == (2, 3, 3, 32, 32)
    assert system.t2i("a red circle").shape == (3, 32, 32)
    assert {path.name for path in folder.iterdir()} == {"tokenizer", "sketch-tokenizer", "transformer", "checkpoint"}


def test_what_is_done_is_used_as_it_is(folder: Path, preset: Preset) -> None:
    again = prepare(preset, small_data(), folder, CPU)
    assert torch.equal(sketch_of(again), sketch_of(Nuwa.from_pretrained(folder / "checkpoint")))


def test_the_model_is_bound_to_both_tokenizers(folder: Path) -> None:
    config = checkpoint.read_config(folder / "transformer" / checkpoint.WEIGHTS)
    for part in ("tokenizer", "sketch-tokenizer"):
        assert config[f"{part.replace('-', '_')}_sha256"] == files.sha256(folder / part / checkpoint.WEIGHTS)


@pytest.mark.parametrize(
    ("names", "frames", "conditions"),
    [
        (needed_for("t2i"), 1, ("text",)),
        (needed_for("s2i"), 1, ("text", "sketch")),
        (needed_for("i2i"), 1, ("text", "partial")),
        (needed_for("v2v"), 3, ("text", "partial")),
        (needed_for("tv2v"), 3, ("text", "partial")),
        (("s2v", "ti2i"), 3, ("text", "sketch", "partial")),
    ],
    ids=str,
)
def test_some_tasks_take_what_they_need_and_no_more(
    preset: Preset, names: tuple[str, ...], frames: int, conditions: tuple[str, ...], tmp_path: Path
) -> None:
    some = preset.only(*names)
    assert (some.frames, some.model.conditions) == (frames, conditions)
    assert some.transformer.steps == 2
    system = prepare(some, small_data(), tmp_path, CPU)
    assert set(system.tasks) == set(names)
    assert (tmp_path / "sketch-tokenizer").exists() == ("sketch" in conditions)
    assert system.model.config.grid.t == frames


def test_all_tasks_are_the_preset_itself(preset: Preset) -> None:
    assert preset.only(*TASKS) is preset
    assert preset.only("ti2i", "i2i").name == "smoke:i2i+ti2i"


def test_what_reads_sketches_may_be_trained_in_its_own_way(preset: Preset) -> None:
    assert preset.alone is not None
    own = dataclasses.replace(preset, sketched=dataclasses.replace(preset.alone, steps=7))
    assert [own.only(name).transformer.steps for name in ("s2v", "s2i", "t2v")] == [7, 7, preset.alone.steps]
    assert own.only("t2v", "s2v").transformer.steps == 7
    assert preset.only("s2v").transformer.steps == preset.alone.steps
    neither = dataclasses.replace(preset, alone=None)
    assert neither.only("s2v").transformer.steps == preset.transformer.steps


def test_tasks_that_a_preset_has_not(preset: Preset) -> None:
    with pytest.raises(ValueError, match=r"preset smoke: expected some of its tasks .*, got \('t3v',\)"):
        preset.only("t3v")
    with pytest.raises(ValueError, match=r"preset smoke: expected some of its tasks .*, got \(\)"):
        preset.only()


def test_clips_are_missed(preset: Preset, tmp_path: Path) -> None:
    data = dataclasses.replace(small_data(), clips=None)
    with pytest.raises(ValueError, match="preset smoke: expected data with clips, got sprites 1 train"):
        prepare(preset, data, tmp_path, CPU)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, preset: Preset) -> Path:
    folder = tmp_path_factory.mktemp("start")
    system = prepare(preset.only("t2i", "t2v", "v2v"), small_data(), folder, CPU)
    system.save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"


class TestFineTuning:
    """Pre-training on some tasks, then others from its checkpoint."""

    def test_it_goes_on_from_the_checkpoint(self, preset: Preset, start: Path, tmp_path: Path) -> None:
        some = preset.only("s2v")
        still = dataclasses.replace(some, transformer=dataclasses.replace(some.transformer, lr=1e-12, weight_decay=0.0))
        before, after = Nuwa.from_pretrained(start), prepare(still, small_data(), tmp_path, CPU, start=start)
        assert after.tasks == ("s2v",)
        own = after.model.state_dict()
        for name, value in before.model.state_dict().items():
            torch.testing.assert_close(own[name], value, rtol=0, atol=1e-9)
        assert own.keys() - before.model.state_dict().keys() == {
            name for name in own if name.startswith("encoder.sketch")
        }
        for name, value in before.tokenizer.state_dict().items():
            assert torch.equal(after.tokenizer.state_dict()[name], value)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["sketch-tokenizer", "transformer"]

    def test_how_it_was_learnt_is_recorded(self, preset: Preset, start: Path, tmp_path: Path) -> None:
        prepare(preset.only("s2v"), small_data(), tmp_path, CPU, start=start)
        config = checkpoint.read_config(tmp_path / "transformer" / checkpoint.WEIGHTS)
        assert config["start_sha256"] == files.sha256(start / MODEL_FILE)
        assert config["training"]["tasks"] == {"s2v": preset.transformer.tasks["s2v"]}
        with pytest.raises(ValueError, match=r"holds a training with other settings"):
            prepare(preset.only("s2v"), small_data(), tmp_path, CPU)

    def test_a_checkpoint_of_other_sizes_is_refused(self, preset: Preset, start: Path, tmp_path: Path) -> None:
        with pytest.raises(
            ValueError, match=r"expected a model that this preset goes on from, got one with other sizes"
        ):
            prepare(preset.only("s2i"), small_data(), tmp_path, CPU, start=start)  # of pictures alone

    def test_what_has_no_place_is_refused(self, preset: Preset) -> None:
        more = NuwaModel(preset.config(vocab_size=9))
        less = NuwaModel(preset.only("t2v").config(vocab_size=9))
        begin_with(more, less, "here")
        with pytest.raises(ValueError, match=r"here: expected a model .* other sizes \(encoder.sketch"):
            begin_with(less, more, "here")
