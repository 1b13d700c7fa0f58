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
    batch = stage.examples.draw(TASKS[name], 0, 0, 4, dropout=0.0, wordless=0.0)
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
    batch = stage.examples.draw(TASKS[name], 0, 0, 4, dropout=0.0, wordless=0.0)
    assert batch.known is not None
    with torch.no_grad():
        conditions = stage.model.conditions(batch.text_ids, batch.text_valid, partial=batch.partial)
        logits = stage.model.decoder(batch.tokens, conditions, batch.grid)
        each = F.cross_entropy(logits.flatten(0, 1), batch.tokens.flatten(), reduction="none").view_as(batch.tokens)
    torch.testing.assert_close(stage.loss(batch), each[~batch.known].mean())


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
