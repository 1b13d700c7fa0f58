"""Where the time of a training step goes: the preset ``tiny`` on all its tasks, as ``nox -s train -- run`` trains it on a CPU.

The tokenizers are untrained, which takes the same time. Shares stand in ``step.json`` beside the bar that forward and backward
pass of the model have to keep: ``nox -s bench -- --only test_step``. A quick run leaves it out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.beside import Results
from benchmarks.ledger import Ledger, clocked
from nuwa import noise
from nuwa.presets import PRESETS
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.tokenizers.vqgan_seg import VQGANSeg
from nuwa.training import transformer
from nuwa.training.on_sprites import sprites_data
from nuwa.training.transformer import TransformerStage

FIRST, WARM_UP, STEPS, BAR = 1000, 8, 60, 0.85
"""Steps behind the lead of text to image, so that all tasks have their turns."""

SPANS = ("forward", "backward", "data", "tokens and sketches", "clipping and optimizer")


def made_stage(device: torch.device) -> TransformerStage:
    """The preset's training, on sprites."""
    preset = PRESETS["tiny"]()
    data = sprites_data(preset.tokenizer.model.size_px, preset.frames, num_held_out=16, num_captions=2000)
    assert preset.sketch is not None
    torch.manual_seed(0)
    text = TextTokenizer.from_captions(data.vocabulary)
    tokenizer, sketch = VQGAN(preset.tokenizer.model), VQGANSeg(preset.sketch.model)
    for each in (tokenizer, sketch):
        each.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TransformerStage(
        preset.config(vocab_size=text.vocab_size), preset.transformer, data.sources(preset), tokenizer, text,
        sketch=sketch, origin={}, device=device,
    )  # fmt: skip


def test_step(benchmark: BenchmarkFixture, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds by what they were spent on; what is left over is the loop's own."""
    if ledger.options.quick:
        pytest.skip("left out of a quick run: it trains for half a minute")
    stage, spent = made_stage(ledger.device), defaultdict[str, float](float)

    def around(owner: Any, name: str, span: str) -> None:
        """Adds to ``span`` what every call takes."""
        function = getattr(owner, name)  # asked now: it is about to be replaced

        def timed(*arguments: Any, **named: Any) -> Any:
            result, seconds = clocked(ledger.synchronised(lambda: function(*arguments, **named)))
            spent[span] += seconds
            return result

        monkeypatch.setattr(owner, name, timed)

    steps = stepping(stage)
    for _ in range(WARM_UP):
        next(steps)
    around(stage, "loss", "forward")
    around(torch.Tensor, "backward", "backward")
    around(stage.examples, "read", "data")
    around(stage.examples, "batch", "tokens and sketches")
    around(transformer, "clipped_step", "clipping and optimizer")
    benchmark.pedantic(ledger.synchronised(partial(next, steps)), rounds=STEPS)
    total = cast(Any, benchmark.stats).stats.total
    shares = {span: spent[span] / total for span in SPANS}
    model = shares["forward"] + shares["backward"]
    Results(ledger, "step", steps=STEPS).add(
        "tiny", step_s=total / STEPS, **shares, rest=1 - sum(shares.values()), model=model, bar=BAR
    )


def stepping(stage: TransformerStage) -> Iterator[float]:
    """One step after the other, as the loop takes them; their losses."""
    for index in range(FIRST, stage.settings.steps):
        torch.manual_seed(noise.key("step", stage.settings.seed, stage.name, index) >> 1)
        yield float(stage.step(index)["loss"])
