"""The eight tasks on a small model: what comes out, what stays as it was, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nuwa import Nuwa, Sampling
from nuwa.model.config import ConditionName, ModelSizes
from nuwa.model.nuwa import NuwaModel
from nuwa.request import Request
from nuwa.sampling import decode
from nuwa.system import CONFIG_FILE, MODEL_FILE, SKETCH_FILE, TOKENIZER_FILE, untrained
from nuwa.tasks import TASKS, Task
from nuwa.tokenizers.text import NO_WORDS, TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig
from nuwa.tokenizers.vqgan_seg import VQGANSeg, VQGANSegConfig

T, SIDE = 3, 16
CAPTIONS = ["a red circle moves left", "a tiny blue ring"]
EVERYTHING: tuple[ConditionName, ...] = ("text", "sketch", "partial")
ONE_MODEL = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def make(
    tasks: tuple[str, ...] = tuple(TASKS), conditions: tuple[ConditionName, ...] = EVERYTHING, encoder_kernel: int = 1
) -> Nuwa:
    torch.manual_seed(0)
    tokenizer = VQGAN(VQGANConfig(size_px=SIDE, widths=(4, 4), num_codes=9, encoder_kernel=encoder_kernel))
    sketch = VQGANSeg(VQGANSegConfig(size_px=SIDE, num_classes=4, widths=(4, 4), num_codes=6))
    text = TextTokenizer.from_captions(CAPTIONS)
    sizes = ModelSizes(d=16, num_heads=2, encoder_layers=1, decoder_layers=2, conditions=conditions)
    grid = tokenizer.config.grid(T)
    config = sizes.on(grid, num_codes=9, vocab_size=text.vocab_size, sketch_grid=grid, num_sketch_codes=6)
    model = NuwaModel(config)
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            torch.nn.init.normal_(parameter, std=0.4)
    return Nuwa(
        tokenizer, text, model, Sampling(guidance=1.5, seed=2), tasks=tasks,
        sketch_tokenizer=sketch if "sketch" in conditions else None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def nuwa() -> Nuwa:
    return make()


def noise(*shape: int, high: int = 256, seed: int = 1) -> Tensor:
    return torch.randint(0, high, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


PICTURES, CLIPS = noise(2, 3, SIDE, SIDE), noise(2, T, 3, SIDE, SIDE)
MAPS, CLIP_MAPS = noise(2, SIDE, SIDE, high=4), noise(2, T, SIDE, SIDE, high=4)
MASK = torch.zeros(SIDE, SIDE, dtype=torch.bool)
MASK[3:9, 5:14] = True
INPUTS: dict[str, dict[str, Any]] = {
    "t2i": {"captions": CAPTIONS},
    "s2i": {"sketches": MAPS},
    "i2i": {"given": PICTURES, "mask": MASK},
    "ti2i": {"given": PICTURES, "mask": MASK, "captions": CAPTIONS},
    "t2v": {"captions": CAPTIONS},
    "v2v": {"given": CLIPS[:, :1]},
    "s2v": {"sketches": CLIP_MAPS},
    "tv2v": {"given": CLIPS, "mask": MASK, "captions": CAPTIONS},
}
NAMES = {"given": {"i2i": "pictures", "ti2i": "pictures", "v2v": "frames", "tv2v": "clips"}}


def shape_of(name: str) -> tuple[int, ...]:
    return (T, 3, SIDE, SIDE) if TASKS[name].target == "clip" else (3, SIDE, SIDE)


def one(inputs: dict[str, Any], row: int) -> dict[str, Any]:
    return {name: value if name == "mask" else value[row] for name, value in inputs.items()}


def test_there_is_an_input_for_every_task() -> None:
    assert list(INPUTS) == TASKS.names()


@pytest.mark.parametrize("name", TASKS)
class TestEveryTask:
    def test_a_batch(self, nuwa: Nuwa, name: str) -> None:
        made = nuwa.generate(name, **INPUTS[name])
        assert (made.shape, made.dtype) == ((2, *shape_of(name)), torch.uint8)

    def test_the_method_of_its_name(self, nuwa: Nuwa, name: str) -> None:
        method: Callable[..., Tensor] = getattr(nuwa, name)
        inputs = {NAMES.get(key, {}).get(name, key): value for key, value in INPUTS[name].items()}
        sampling = Sampling(seed=9)
        made = method(**inputs, sampling=sampling, sample_indices=[4, 7])
        assert torch.equal(made, nuwa.generate(name, **INPUTS[name], sampling=sampling, sample_indices=[4, 7]))

    def test_one_sample_is_that_of_a_batch(self, nuwa: Nuwa, name: str) -> None:
        together = nuwa.generate(name, **INPUTS[name], sample_indices=[4, 7])
        alone = nuwa.generate(name, **one(INPUTS[name], 1), sample_indices=[7])
        assert alone.shape == shape_of(name)
        assert torch.equal(alone, together[1])

    def test_seed_and_index_matter(self, nuwa: Nuwa, name: str) -> None:
        made = nuwa.generate(name, **INPUTS[name])
        assert not torch.equal(made, nuwa.generate(name, **INPUTS[name], sampling=Sampling(seed=1)))
        assert not torch.equal(made, nuwa.generate(name, **INPUTS[name], sample_indices=[5, 6]))

    def test_a_checkpoint_that_did_not_learn_it_says_so(self, name: str) -> None:
        task = TASKS[name]
        learnt = {task.learnt_from(route) for route in task.routes}
        other = make(tasks=tuple(each for each in TASKS if each not in learnt))
        with pytest.raises(
            ValueError, match=f"{name} by the route .*: expected a checkpoint trained on {name}, got one"
        ):
            other.generate(name, **INPUTS[name])

    def test_nothing_that_it_needs_may_be_missing(self, nuwa: Nuwa, name: str) -> None:
        for missing in INPUTS[name]:
            less = {key: value for key, value in INPUTS[name].items() if key != missing}
            with pytest.raises(ValueError, match=f"{name}: expected (captions|a sketch|pixels|a mask), got none"):
                nuwa.generate(name, **less)

    def test_nothing_is_taken_that_it_does_not_use(self, nuwa: Nuwa, name: str) -> None:
        task = TASKS[name]
        more = {"sketches": MAPS, "given": PICTURES, "mask": MASK}
        if task.text == "none":
            more["captions"] = CAPTIONS  # type: ignore[assignment]
        for key, value in more.items():
            if key not in INPUTS[name]:
                with pytest.raises(ValueError, match=f"{name}: takes no (text|sketch|pixels|mask), got "):
                    nuwa.generate(name, **INPUTS[name], **{key: value})

    def test_every_sample_has_one_index(self, nuwa: Nuwa, name: str) -> None:
        with pytest.raises(ValueError, match=f"{name}: expected one sample index for each of 2 samples, got 3"):
            nuwa.generate(name, **INPUTS[name], sample_indices=range(3))


WITH_A_MASK = [name for name in TASKS if TASKS[name].given == "outside the mask"]


@pytest.mark.parametrize("route", ["masked-condition", "zero-shot"])
@pytest.mark.parametrize("name", WITH_A_MASK)
@ONE_MODEL
@given(data=st.data())
def test_known_pixels_come_back_and_hidden_ones_are_not_read(
    nuwa: Nuwa, name: str, route: str, data: st.DataObject
) -> None:
    """For any mask, one a sample."""
    shape = INPUTS[name]["given"].shape
    sides = (*shape[:-3], *shape[-2:])
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 10**6)))
    top, left = data.draw(st.integers(0, SIDE - 1)), data.draw(st.integers(0, SIDE - 1))
    mask = torch.zeros(sides, dtype=torch.bool)
    mask[..., top : data.draw(st.integers(top + 1, SIDE)), left : data.draw(st.integers(left + 1, SIDE))] = True
    mask |= torch.rand(sides, generator=generator) < data.draw(st.sampled_from([0.0, 0.02]))
    mask[..., data.draw(st.integers(0, SIDE - 1)), 0] = False
    mask[:, ..., 7, 7] = True
    inputs = INPUTS[name] | {"mask": mask}
    made = nuwa.generate(name, **inputs, route=route)
    shown = mask.unsqueeze(-3).expand(shape)
    assert torch.equal(made[~shown], inputs["given"][~shown])
    scribbled = torch.where(shown, noise(*shape, seed=5), inputs["given"])
    assert torch.equal(made, nuwa.generate(name, **inputs | {"given": scribbled}, route=route))


def test_hidden_pixels_are_not_read_by_a_tokenizer_that_looks_around() -> None:
    """Tokens next to the hole are made from pixels inside it too, which are grey then."""
    system = make(encoder_kernel=3)
    scribbled = torch.where(MASK, noise(2, 3, SIDE, SIDE, seed=5), PICTURES)
    for route in ("masked-condition", "zero-shot"):
        assert torch.equal(system.i2i(PICTURES, MASK, route=route), system.i2i(scribbled, MASK, route=route))


def test_without_words_zero_shot_reads_the_empty_text_and_other_routes_the_constant_word(nuwa: Nuwa) -> None:
    """A model of pictures from captions has learnt the one from captions that were dropped, and never saw the other."""
    for route, text in (("zero-shot", nuwa.text.null(2)), ("masked-condition", nuwa.text.encode([NO_WORDS] * 2))):
        request = Request.of("i2i", nuwa.limits, given=PICTURES, mask=MASK, route=route)
        assert request.visible is not None
        assert request.known is not None
        tokens, known = nuwa.tokenizer.encode(request.visible), request.known
        with torch.no_grad():
            partial = None if route == "zero-shot" else (tokens, known)
            conditions = nuwa.model.conditions(text.ids, text.valid, partial=partial)
        expected = decode(
            nuwa.model.decoder, conditions, Sampling(), range(2),
            grid=request.grid, given=tokens.flatten(1), known=known.flatten(1),
        )  # fmt: skip
        assert torch.equal(nuwa._draw(request, Sampling(), range(2)).flatten(1), expected)


@pytest.mark.parametrize("frames", range(1, T))
def test_given_frames_come_back(nuwa: Nuwa, frames: int) -> None:
    made = nuwa.v2v(CLIPS[:, :frames])
    assert torch.equal(made[:, :frames], CLIPS[:, :frames])
    assert made.shape == CLIPS.shape
    other = nuwa.v2v(noise(2, frames, 3, SIDE, SIDE, seed=8))
    assert not torch.equal(made[:, frames:], other[:, frames:])  # what follows depends on them


def test_video_prediction_is_drawn_at_its_own_temperature(nuwa: Nuwa, monkeypatch: pytest.MonkeyPatch) -> None:
    cold, warm = (dataclasses.replace(nuwa.sampling, temperature=at) for at in (0.1, 1.0))
    expected = nuwa.v2v(CLIPS[:, :1], sampling=warm)
    monkeypatch.setattr(nuwa, "sampling", cold)
    assert torch.equal(nuwa.v2v(CLIPS[:, :1]), expected)
    assert not torch.equal(nuwa.v2v(CLIPS[:, :1], sampling=cold), expected)


@pytest.mark.parametrize("name", WITH_A_MASK)
def test_the_routes_differ_and_the_better_one_is_taken(nuwa: Nuwa, name: str) -> None:
    made = nuwa.generate(name, **INPUTS[name])
    assert torch.equal(made, nuwa.generate(name, **INPUTS[name], route="masked-condition"))
    zero_shot = nuwa.generate(name, **INPUTS[name], route="zero-shot")
    assert not torch.equal(made, zero_shot)
    base = make(tasks=(TASKS[name].zero_shot_from or "",))
    assert torch.equal(base.generate(name, **INPUTS[name]), zero_shot)  # all that this checkpoint can do
    with pytest.raises(
        ValueError, match=f"{name} by the route masked-condition: expected a checkpoint trained on {name}"
    ):
        base.generate(name, **INPUTS[name], route="masked-condition")
    with pytest.raises(ValueError, match=f"{name}: expected the route masked-condition or zero-shot, got 'direct'"):
        nuwa.generate(name, **INPUTS[name], route="direct")


def test_what_lies_below_a_hole_matters_on_one_route_alone(nuwa: Nuwa) -> None:
    """The decoder alone goes in raster order."""
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[:8] = True
    other = PICTURES.clone()
    other[..., 8:, :] = noise(2, 3, 8, SIDE, seed=6)

    def made(pictures: Tensor, route: str) -> Tensor:
        request = Request.of("i2i", nuwa.limits, given=pictures, mask=mask, route=route)
        return nuwa._draw(request, Sampling(), range(2))[:, :, :2]

    assert torch.equal(made(PICTURES, "zero-shot"), made(other, "zero-shot"))
    assert not torch.equal(made(PICTURES, "masked-condition"), made(other, "masked-condition"))


@pytest.mark.parametrize("name", ["s2i", "s2v"])
def test_words_beside_a_sketch(nuwa: Nuwa, name: str) -> None:
    inputs, sampling = INPUTS[name], Sampling(guidance=2.0)
    silent = nuwa.generate(name, **inputs, sampling=sampling)
    spoken = nuwa.generate(name, **inputs, captions=CAPTIONS, sampling=sampling)
    assert not torch.equal(silent, spoken)
    assert not torch.equal(spoken, nuwa.generate(name, **inputs, captions=CAPTIONS[::-1], sampling=sampling))
    turned = nuwa.generate(name, sketches=inputs["sketches"].flip(-1), captions=CAPTIONS, sampling=sampling)
    assert not torch.equal(spoken, turned)


@pytest.mark.parametrize("name", ["i2i", "v2v"])
def test_guidance_is_no_matter_where_nothing_is_asked_for(nuwa: Nuwa, name: str) -> None:
    made = [nuwa.generate(name, **INPUTS[name], sampling=Sampling(guidance=scale)) for scale in (1.0, 4.0)]
    assert torch.equal(*made)


def test_a_ninth_task_is_one_description(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prediction along a sketch: nothing else is written for it to be asked for."""
    ninth = Task(
        name="sv2v", title="", target="clip", text="optional", sketch=True, given="first frames", scores=("FVD",)
    )
    monkeypatch.setitem(TASKS._parts, ninth.name, ninth)
    system = make(tasks=("sv2v",))
    how = {"given": CLIPS[:, :1], "sampling": Sampling(guidance=6.0)}
    made = system.generate("sv2v", sketches=CLIP_MAPS, **how)
    assert torch.equal(made[:, :1], CLIPS[:, :1])
    assert not torch.equal(made, system.generate("sv2v", sketches=torch.zeros_like(CLIP_MAPS), **how))
    with pytest.raises(ValueError, match="sv2v: expected as many sketches as frames, got 2 and 3"):
        system.generate("sv2v", sketches=CLIP_MAPS[:, :2], given=CLIPS[:, :1])


def test_fewer_frames_than_the_grid_has(nuwa: Nuwa) -> None:
    assert nuwa.s2v(CLIP_MAPS[:, :2]).shape == (2, 2, 3, SIDE, SIDE)
    assert nuwa.tv2v(CLIPS[:, :2], MASK, CAPTIONS).shape == (2, 2, 3, SIDE, SIDE)


@pytest.mark.parametrize(
    "mask",
    [MASK, MASK.expand(2, -1, -1), MASK.expand(2, T, -1, -1)],
    ids=["one for all", "one a sample", "one a frame"],
)
def test_masks_of_clips(nuwa: Nuwa, mask: Tensor) -> None:
    expected = nuwa.tv2v(CLIPS, MASK, CAPTIONS)
    assert torch.equal(nuwa.tv2v(CLIPS, mask, CAPTIONS), expected)
    if mask.ndim != 3:
        part = mask[0] if mask.ndim == 4 else mask
        assert torch.equal(nuwa.tv2v(CLIPS[0], part, CAPTIONS[0]), expected[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: n.s2i(MAPS + 3), "sketch: expected classes 0…3, got 3…6; the map has classes"),
        (lambda n: n.s2i(MAPS.float()), r"s2i: expected sketches uint8 or int64 \(b, 16, 16\), got torch.float32"),
        (lambda n: n.s2i(MAPS[..., :8]), r"s2i: expected sketches .* got torch.uint8 \(2, 16, 8\)"),
        (lambda n: n.s2v(noise(1, T + 1, SIDE, SIDE, high=4)), "s2v: expected 1 to 3 frames of sketches, got 4"),
        (lambda n: n.s2v(CLIP_MAPS[:, :0]), "s2v: expected 1 to 3 frames of sketches, got 0"),
        (lambda n: n.s2v(CLIP_MAPS + 3), "sketch: expected classes 0…3, got 3…6; the map has classes"),
        (
            lambda n: n.tv2v(noise(1, T + 1, 3, SIDE, SIDE), MASK, CAPTIONS[:1]),
            "tv2v: expected 1 to 3 frames that are given, got 4; the checkpoint's grid has 3",
        ),
        (
            lambda n: n.tv2v(CLIPS, MASK[None, None], CAPTIONS),
            r"tv2v: expected a mask bool \(16, 16\) or \(2, 16, 16\) or",
        ),
        (lambda n: n.i2i(PICTURES, MASK[:8]), r"i2i: expected a mask bool \(16, 16\) or \(2, 16, 16\), True where"),
        (lambda n: n.i2i(PICTURES, MASK.to(torch.uint8)), "i2i: expected a mask bool .* got torch.uint8"),
        (lambda n: n.i2i(PICTURES, MASK & False), "i2i: expected a mask with something to draw, got one that is False"),
        (lambda n: n.i2i(PICTURES, MASK | True), "i2i: expected a mask that leaves something as it is, .* use t2i to"),
        (
            lambda n: n.ti2i(PICTURES, torch.stack([MASK, MASK & False]), CAPTIONS),
            "ti2i: expected a mask with something",
        ),
        (lambda n: n.tv2v(CLIPS, torch.stack([MASK, MASK | True]), CAPTIONS), "tv2v: .* use t2v to draw all of it"),
        (lambda n: n.i2i(PICTURES.float(), MASK), r"i2i: expected pictures uint8 \(b, 3, 16, 16\), got torch.float32"),
        (lambda n: n.v2v(CLIPS[:, :0]), "v2v: expected 1 to 3 frames that are given, got 0"),
        (lambda n: n.v2v(CLIPS), "v2v: expected 1 to 2 given frames of 3, got all of them"),
        (
            lambda n: n.v2v(noise(1, 4, 3, SIDE, SIDE)),
            "v2v: expected 1 to 3 frames that are given, got 4; the checkpoint",
        ),
        (lambda n: n.v2v(PICTURES[0]), r"v2v: expected clips uint8 \(b, t, 3, 16, 16\), got torch.uint8 \(3, 16, 16\)"),
        (
            lambda n: n.generate("v2v", given=CLIPS[:, :1], captions="a"),
            "v2v: takes no text, got captions; t2v or tv2v is",
        ),
        (
            lambda n: n.generate("i2i", given=PICTURES, mask=MASK, captions="a"),
            "i2i: takes no text, .* ti2i is done by",
        ),
        (
            lambda n: n.ti2i(PICTURES, MASK, CAPTIONS[:1]),
            "ti2i: expected as many of each .* got 1 captions and 2 given",
        ),
        (lambda n: n.s2i(MAPS, CAPTIONS * 2), "s2i: expected as many of each .* got 4 captions and 2 sketches"),
        (
            lambda n: n.generate("t2w", captions="a"),
            r"unknown task 't2w'; did you mean 't2v'\?|unknown task 't2w'; did",
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_wrong_input(nuwa: Nuwa, call: Callable[[Nuwa], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call(nuwa)
    assert "\n" not in str(caught.value)


def test_saved_and_read_again_it_does_the_same(nuwa: Nuwa, tmp_path: Path) -> None:
    nuwa.save_pretrained(tmp_path)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted([CONFIG_FILE, MODEL_FILE, SKETCH_FILE, TOKENIZER_FILE])
    again = Nuwa.from_pretrained(tmp_path)
    assert again.tasks == nuwa.tasks
    for name in TASKS:
        assert torch.equal(again.generate(name, **INPUTS[name]), nuwa.generate(name, **INPUTS[name]))
    (tmp_path / SKETCH_FILE).unlink()
    with pytest.raises(ValueError, match=f"expected {SKETCH_FILE}, found none"):
        Nuwa.from_pretrained(tmp_path)


def test_a_checkpoint_without_sketches_has_a_file_less(tmp_path: Path) -> None:
    part = make(tasks=("t2i", "i2i"), conditions=("text", "partial"))
    part.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE])
    assert Nuwa.from_pretrained(tmp_path).tasks == ("t2i", "i2i")


def test_untrained_keeps_the_tasks(nuwa: Nuwa) -> None:
    random = untrained(nuwa)
    assert random.tasks == nuwa.tasks
    assert random.s2v(CLIP_MAPS).shape == CLIPS.shape


def test_a_sketch_tokenizer_of_another_checkpoint_does_not_fit(nuwa: Nuwa) -> None:
    assert nuwa.sketch_tokenizer is not None
    other = VQGANSeg(dataclasses.replace(nuwa.sketch_tokenizer.config, num_codes=5))
    for wrong, got in ((other, "9, 5 and"), (None, "9, no and")):
        with pytest.raises(ValueError, match=f"expected tokenizers with 9 codes, 6 sketch codes and .*, got {got}"):
            Nuwa(nuwa.tokenizer, nuwa.text, nuwa.model, sketch_tokenizer=wrong, tasks=nuwa.tasks)
