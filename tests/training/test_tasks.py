"""A model that learns several tasks: each is learnt, what is given is not, and validation tells them apart."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from nuwa.presets import EIGHT
from nuwa.tasks import TASKS
from nuwa.training.transformer import TransformerStage, check_learnable

from .stages import source, tasks_stage, transformer_stage


@pytest.fixture(scope="module")
def stage() -> TransformerStage:
    torch.set_num_threads(1)
    return tasks_stage()


@pytest.mark.parametrize("name", TASKS)
def test_a_step_of_every_task_lowers_its_own_loss(name: str) -> None:
    """The same examples again and again."""
    stage = tasks_stage(tasks={name: 1.0}, lr=0.01, steps=100)
    batch = stage.examples.batch(stage.examples.read(TASKS[name], 0, 0, 4, dropout=0.0, wordless=0.0))
    losses = []
    for _ in range(25):
        loss = stage.loss(batch)
        stage.model.zero_grad()
        loss.backward()
        for optimizer in stage.optimizers.values():
            optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", [name for name in TASKS if TASKS[name].given != "nothing"])
def test_given_cells_are_not_learnt(stage: TransformerStage, name: str) -> None:
    batch = stage.examples.batch(stage.examples.read(TASKS[name], 0, 0, 4, dropout=0.0, wordless=0.0))
    assert batch.known is not None
    with torch.no_grad():
        conditions = stage.model.conditions(batch.text_ids, batch.text_valid, partial=batch.partial)
        logits = stage.model.decoder(batch.tokens, conditions, batch.grid)
        each = F.cross_entropy(logits.flatten(0, 1), batch.tokens.flatten(), reduction="none").view_as(batch.tokens)
    torch.testing.assert_close(stage.loss(batch), each[~batch.known].mean())


def test_steps_of_the_next_frame_learn_it_alone_from_more_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = tasks_stage(tasks={"v2v": 1.0}, batch=20, steps=60, next_frame=0.5)
    whole, seen = stage.model.config.grid, []
    learn = stage.loss
    monkeypatch.setattr(stage, "loss", lambda batch: seen.append(batch) or learn(batch))
    for index in range(12):
        stage.step(index)
        batch = seen[-1]
        assert stage.tokens(index) == batch.tokens.numel()
        assert batch.grid in (whole, dataclasses.replace(whole, t=2))
        assert len(batch.tokens) == round(20 / batch.grid.t)
        if batch.grid.t == 2:
            assert batch.known is not None
            assert batch.partial is not None
            frames = batch.known.unflatten(1, (2, -1))
            assert bool(frames[:, 0].all())
            assert not bool(frames[:, 1].any())
            assert torch.equal(batch.partial[0].flatten(1), batch.tokens[:, : whole.h * whole.w])
    assert {batch.grid.t for batch in seen} == {2, whole.t}


def test_only_tasks_with_given_frames_have_such_steps() -> None:
    stage = tasks_stage(tasks={"t2v": 1.0, "tv2v": 1.0, "t2i": 1.0}, next_frame=1.0)
    other = tasks_stage(tasks={"t2v": 1.0, "tv2v": 1.0, "t2i": 1.0})
    assert [stage.tokens(index) for index in range(10)] == [other.tokens(index) for index in range(10)]
    assert "next_frame" in stage.config["training"]
    assert "next_frame" not in other.config["training"]  # where it is off, trainings are as they were


def test_the_share_of_such_steps_is_followed() -> None:
    stage = tasks_stage(tasks={"v2v": 1.0}, batch=20, steps=400, next_frame=0.25)
    cells = stage.model.config.grid.h * stage.model.config.grid.w
    short = sum(stage.tokens(index) == 10 * 2 * cells for index in range(400)) / 400
    assert short == pytest.approx(0.25, abs=0.08)


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="next_frame: expected a share in"):
        tasks_stage(next_frame=share)


def test_validation_tells_the_tasks_apart(stage: TransformerStage) -> None:
    found = stage.validate()
    assert found.keys() == {"val_loss", "val_loss_without_caption", *(f"val_loss_{name}" for name in TASKS)}
    total = sum(weight * found[f"val_loss_{name}"] for name, weight in EIGHT.items()) / sum(EIGHT.values())
    assert found["val_loss"] == pytest.approx(total)
    assert len(set(found.values())) == len(found)


def test_a_step_says_whose_loss_it_is(stage: TransformerStage) -> None:
    scalars = tasks_stage().step(3)
    name = stage.mixture[3].task.name
    assert scalars.keys() == {"loss", "gradient_norm", f"loss_{name}"}
    assert transformer_stage().step(3).keys() == {"loss", "gradient_norm"}


def test_one_task_has_one_loss() -> None:
    assert transformer_stage().validate().keys() == {"val_loss", "val_loss_without_caption"}


def test_pictures_and_clips_take_the_same_tokens_a_step(stage: TransformerStage) -> None:
    settings, grid = dataclasses.replace(stage.settings, batch=60), stage.model.config.grid
    pictures = dataclasses.replace(grid, t=1)
    assert settings.size(grid) * grid.size == settings.size(pictures) * pictures.size
    assert dataclasses.replace(settings, batch=1).size(grid) == 1


def test_what_is_missing_is_said() -> None:
    clips = tasks_stage().model.config
    with pytest.raises(ValueError, match="t2v: expected data with clips, got picture"):
        check_learnable(TASKS["t2v"], clips, {"picture": source()})
    pictures = transformer_stage().model.config
    with pytest.raises(ValueError, match="i2i: expected a model with the conditions text, partial, got text"):
        check_learnable(TASKS["i2i"], pictures, {"picture": source()})
    with pytest.raises(ValueError, match="t2v: expected a model of clips, got one for the grid 1x8x8"):
        check_learnable(TASKS["t2v"], pictures, {"clip": source()})
    with pytest.raises(ValueError, match="sketches: expected data with segmentation maps, got none; leave out"):
        check_learnable(TASKS["s2i"], clips, {"picture": source()})
