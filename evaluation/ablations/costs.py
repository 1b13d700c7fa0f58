"""What a model takes: operations, tokens a second, time to draw a sample, memory. A cell of its own, so that it runs alone."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evaluation import strict
from evaluation.ablations.cells import read_cell
from evaluation.ablations.record import Costs
from evaluation.ablations.trained import OfTrained, Trained, share
from evaluation.provenance import environment, peak_memory
from nuwa import files
from nuwa.attention import cost
from nuwa.data.sources import Source
from nuwa.grid import Grid
from nuwa.model.stem import Stem
from nuwa.sampling import plan
from nuwa.system import Nuwa
from nuwa.tasks import TASKS, Task, of_target
from nuwa.training.precision import pick_device
from nuwa.training.prepare import prepare
from nuwa.training.transformer import TransformerStage, TransformerTraining

FILE = "costs.json"
WARM_UP, STEPS, DRAWS = 2, 7, 3


def costs(config: Mapping[str, Any], seed: int, folder: Path, device: str) -> None:
    """Measure a model such as that of a trained cell and write ``costs.json``.

    What a model takes does not depend on its weights, so this one has learnt for one step: costs can be measured on another
    machine than the one that trained, without its checkpoints.
    """
    given = strict.decode(OfTrained, config)
    chosen = pick_device(device)
    data, preset = given.setting.data_for(given.setting.resolve(seed))
    trained = strict.decode(Trained, read_cell(folder.parent / given.trained).config)
    share(folder.parent / trained.tokenizers / "training", folder / "training")
    once, read = replace(preset, transformer=replace(preset.transformer, steps=1, lead=0)), data()
    system = prepare(once, read, folder / "training", chosen, workers=0)
    task = TASKS[given.setting.task]
    found = measure(system, preset.transformer, read.sources(preset)[task.target], task)
    shutil.rmtree(folder / "training")
    files.write_json(folder / FILE, strict.plain(found))


def read_costs(folder: Path) -> Costs:
    """The costs that a cell left in ``folder``."""
    return strict.decode(Costs, json.loads((folder / FILE).read_text(encoding="utf-8")))


def measure(system: Nuwa, training: TransformerTraining, source: Source, task: Task) -> Costs:
    """Costs of a system of ``task``, trained as ``training`` says on ``source``."""
    grid = of_target(system.model.config.grid, task.target)
    alone = replace(training, tasks={task.name: 1.0}, lead=0, steps=WARM_UP + STEPS)
    stage = TransformerStage(
        system.model.config,
        alone,
        {task.target: source},
        system.tokenizer,
        system.text,
        sketch=system.sketch_tokenizer,
        origin={},
        device=system.device,
    )
    steps = [timed(partial(stage.step, index), system.device) for index in range(WARM_UP + STEPS)]
    one = inputs(source, task)
    draws = [
        timed(lambda: system.generate(task.name, sample_indices=[0], **one), system.device)
        for _ in range(1 + DRAWS)  # the first one makes the plan
    ]
    memory = peak_memory(system.device)
    whole, attention = flops(system, task, one)
    return Costs(
        flops=whole,
        attention_flops=attention,
        train_tokens_per_s=round(alone.size(grid) * grid.size / statistics.median(steps[WARM_UP:]), 1),
        decode_s=round(statistics.median(draws[1:]), 5),
        decode_steps=len(plan(system.model.decoder, grid=grid).cells),
        peak_memory_gib=round(memory.host if memory.cuda is None else memory.cuda, 3),
        environment=environment(system.device),
    )


def inputs(source: Source, task: Task) -> dict[str, Any]:
    """What the first held-out sample gives to the task, as :meth:`nuwa.system.Nuwa.generate` takes it."""
    given: dict[str, Any] = {"captions": [source.validation.captions[0]]}
    return given | {"sketches": source.sketches()[1][:1]} if task.sketch else given


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of ``run``, the device's work included."""
    began = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


@torch.no_grad()
def flops(system: Nuwa, task: Task, one: Mapping[str, Any]) -> tuple[int, int]:
    """Operations of a forward pass of one sample: all of them, and those between queries and keys.

    Linear maps are counted as they run; attention is counted by :func:`nuwa.attention.cost` from the pairs that meet, since
    backends compute more than they need in ways of their own. Norms, activations and embeddings are left out.
    """
    model, config = system.model, system.model.config
    grid, dense = of_target(config.grid, task.target), 0

    def linear(module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        nonlocal dense
        assert isinstance(module, nn.Linear)
        dense += 2 * output.numel() * module.in_features

    def stem(module: nn.Module, _inputs: Any, _output: torch.Tensor) -> None:
        nonlocal dense
        assert isinstance(module, Stem)
        existing = int(module.sources(grid, "cpu")[1].sum())
        dense += 2 * existing * module.maps.shape[1] * module.maps.shape[2]

    hooks = [
        module.register_forward_hook(stem if isinstance(module, Stem) else linear)
        for module in model.modules()
        if isinstance(module, nn.Linear | Stem)
    ]
    try:
        text = system.text.encode(one["captions"])
        sketch = None
        if "sketches" in one:
            assert system.sketch_tokenizer is not None
            sketch = system.sketch_tokenizer.encode(one["sketches"].to(system.device))
        conditions = model.conditions(text.ids.to(system.device), text.valid.to(system.device), sketch=sketch)
        tokens = torch.zeros(1, grid.size, dtype=torch.int64, device=system.device)
        model.decoder(tokens, conditions, grid)
    finally:
        for hook in hooks:
            hook.remove()
    words, drawn = conditions[0].grid, None if sketch is None else Grid(*sketch.shape[1:])
    attention = attention_flops(system, grid, words, drawn)
    return dense + attention, attention


def attention_flops(system: Nuwa, grid: Grid, text: Grid, sketch: Grid | None) -> int:
    """Operations between queries and keys of one sample: encoder, decoder, and from the decoder to its conditions."""
    config = system.model.config
    of = partial(cost, num_heads=config.num_heads, head_width=config.d // config.num_heads)
    total = config.encoder_layers * of(config.text_attention, text).flops
    if sketch is not None:
        total += sum(of(spec, sketch).flops for spec in config.encoder_specs)
    for spec in config.decoder_specs:
        total += of(spec, grid, causal=True).flops + of(config.text_attention, grid, text).flops
        if sketch is not None:
            total += of(spec, grid, sketch).flops
    return total
