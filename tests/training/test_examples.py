"""From a task's description to examples: what is read, what is given, what is learnt."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

from nuwa import Grid
from nuwa.presets import PRESETS
from nuwa.tasks import TASKS, of_target
from nuwa.tokenizers.text import NO_WORDS, TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.tokenizers.vqgan_seg import VQGANSeg
from nuwa.training.examples import Batch, Examples

from .stages import CPU, small_data

SIZE, LARGEST = 24, Grid(4, 8, 8)


@cache
def examples(seed: int = 0) -> Examples:
    preset, data = PRESETS["smoke"](), small_data(LARGEST.t)
    assert preset.sketch is not None
    assert data.clips is not None
    torch.manual_seed(1)
    parts = VQGAN(preset.tokenizer.model).eval(), TextTokenizer.from_captions(data.vocabulary)
    sources: Any = {"picture": data.pictures, "clip": data.clips}
    return Examples(sources, *parts, VQGANSeg(preset.sketch.model).eval(), seed=seed, device=CPU)


def draw(name: str, step: int = 3, seed: int = 0, **shares: float) -> Batch:
    made = examples(seed)
    return made.batch(made.read(TASKS[name], step, 2, SIZE, **{"dropout": 0.0, "wordless": 0.0} | shares))


def is_null(batch: Batch) -> torch.Tensor:
    return (batch.text_valid.sum(dim=1) == 2) & (batch.text_ids == examples().text.null().ids).all(dim=1)


def is_none(batch: Batch) -> torch.Tensor:
    return (batch.text_ids == examples().text.encode([NO_WORDS]).ids).all(dim=1)


@pytest.mark.parametrize("name", TASKS)
class TestEveryTask:
    def test_it_has_what_the_description_says(self, name: str) -> None:
        task, batch = TASKS[name], draw(name)
        assert batch.grid == of_target(LARGEST, task.target)
        assert batch.tokens.shape == (SIZE, batch.grid.size)
        assert (batch.sketch is not None) == task.sketch
        assert (batch.known is not None) == (task.given != "nothing")
        assert (batch.partial is not None) == ("partial" in task.conditions)
        assert bool(is_none(batch).any()) == (task.text == "none")
        if batch.sketch is not None:
            assert batch.sketch.shape == (SIZE, *batch.grid.shape)

    def test_every_sample_has_something_to_draw(self, name: str) -> None:
        batch = draw(name)
        assert batch.known is None or (~batch.known).any(dim=1).all()

    def test_it_is_a_function_of_seed_and_step(self, name: str) -> None:
        one, same = draw(name, dropout=0.5, wordless=0.5), draw(name, dropout=0.5, wordless=0.5)
        for key, value in vars(one).items():
            assert torch.equal(value, getattr(same, key)) if isinstance(value, torch.Tensor) else True, key
        if one.known is not None:
            steps, seeds = (
                (draw(name, step=step).known for step in range(4, 12)),
                (draw(name, seed=n).known for n in range(1, 9)),
            )
            for others in (steps, seeds):
                assert any(other is not None and not torch.equal(other, one.known) for other in others)

    def test_without_its_conditions(self, name: str) -> None:
        """Words and sketch go together; tasks with neither have nothing to be dropped."""
        batch = draw(name, dropout=1.0)
        assert is_null(batch).all() == TASKS[name].guided
        if batch.present is not None:
            assert not batch.present.any()

    def test_a_share_goes_without(self, name: str) -> None:
        batch = draw(name, dropout=0.4)
        share = is_null(batch).double().mean()
        assert (0.1 < share < 0.7) if TASKS[name].guided else share == 0
        if batch.present is not None:
            assert torch.equal(batch.present, ~is_null(batch))

    def test_held_out_samples_are_all_used_and_stay_the_same(self, name: str) -> None:
        task, made = TASKS[name], examples()
        batches = made.held_out(task, 3)
        assert sum(len(batch.tokens) for batch in batches) == len(made.sources[task.target].validation.captions)
        assert made.held_out(task, 3) is batches
        assert not any(is_null(batch).any() for batch in batches)


@pytest.mark.parametrize(("name", "some"), [("s2i", True), ("s2v", True), ("t2i", False), ("ti2i", False)])
def test_only_optional_words_are_left_out(name: str, some: bool) -> None:
    assert 0.2 < is_none(draw(name, wordless=0.5)).double().mean() < 0.8 if some else not is_none(draw(name)).any()


def test_first_frames_are_given_whole_and_in_any_number() -> None:
    counts = []
    for step in range(40):
        batch = draw("v2v", step=step)
        assert batch.known is not None
        assert batch.partial is not None
        frames = batch.known.unflatten(1, (LARGEST.t, -1))
        count = int(frames[0, :, 0].sum())
        assert torch.equal(frames, (torch.arange(LARGEST.t) < count)[None, :, None].expand_as(frames))
        assert torch.equal(batch.partial[0], batch.tokens.unflatten(1, LARGEST.shape)[:, :count])
        assert bool(batch.partial[1].all())
        counts.append(count)
    assert sorted(set(counts)) == [1, 2, 3]
    assert 0.4 < counts.count(1) / len(counts) < 0.9


def test_a_hole_is_the_same_in_every_frame() -> None:
    known = draw("tv2v").known
    assert known is not None
    frames = known.unflatten(1, (LARGEST.t, -1))
    assert torch.equal(frames, frames[:, :1].expand_as(frames))
    picture = draw("ti2i").known
    assert picture is not None
    assert len(picture.unique(dim=0)) > SIZE // 2


@pytest.mark.parametrize("name", [name for name in TASKS if TASKS[name].given == "outside the mask"])
def test_the_encoder_reads_what_is_known(name: str) -> None:
    batch = draw(name)
    assert batch.partial is not None
    tokens, known = batch.partial
    assert torch.equal(tokens.flatten(1), batch.tokens)
    assert torch.equal(known.flatten(1), batch.known)


def test_a_batch_is_the_turn_of_its_data() -> None:
    stream = examples().sources["clip"].stream
    pixels, captions = stream.batch(2, SIZE)
    batch = draw("t2v", step=100)
    assert torch.equal(batch.tokens, examples().tokenizer.encode(pixels).flatten(1))
    assert torch.equal(batch.text_ids, examples().text.encode(captions).ids)
