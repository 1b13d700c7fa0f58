"""Plans as text: one preset in full, and all presets side by side as docs/presets.md has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nuwa.training.gpus import GPUS
from nuwa.training.memory import GIB, RESERVED_GIB
from nuwa.training.plan import Load, Machine, Plan, plan, with_steps

DAYS_ON = (1, 8, 64)
"""Numbers of GPUs for which the page of all presets says how long a training takes."""

_TRAINING = (
    "preset", "tasks", "steps", "samples a step", "tokens a step", "FLOPs a step", "states", "plain", "checkpointed",
    *(f"{count} GPU{'s' if count > 1 else ''}" for count in DAYS_ON),
)  # fmt: skip


def page_of_one(found: Plan) -> str:
    """Markdown that reads as plain text too."""
    machine, preset = found.machine, found.preset
    spread = "FSDP" if machine.sharded and machine.gpus > 1 else "DDP" if machine.gpus > 1 else "one process"
    lines = [
        f"# {preset.name} on {machine.gpus} x {machine.gpu}, {machine.mfu:.0%} MFU, {spread}",
        f"{preset.transformer.steps:,} steps of {number(found.tokens)} target tokens and {operations(found.step_flops)}: "
        f"**{duration(found.days)}**",
        table(["part", "parameters"], _parts(found)),
        table(
            [
                "task",
                "share",
                "target",
                "tokens read",
                "samples a step",
                "FLOPs a sample",
                "of attention",
                "FLOPs a step",
            ],
            [_row(load) for load in found.loads],
        ),
        table(["memory of a GPU", "GiB"], _memory(found)),
        _room(found),
    ]
    if found.idle:
        fewest = min(found.loads, key=lambda load: load.samples)
        lines.append(
            f"**{fewest.task.name} has {fewest.samples} samples a step, so {found.idle} of {machine.gpus} GPUs would have "
            f"none: take at most {fewest.samples} GPUs, or a larger batch.**"
        )
    return "\n\n".join(lines) + "\n"


def page_of_all(plans: Sequence[Plan], command: str) -> str:
    """The table of presets, and what the paper's number of steps can mean."""
    machine = plans[0].machine
    many = ", ".join(f"{count}" for count in DAYS_ON[:-1]) + f" or {DAYS_ON[-1]}"
    fits = f"{GPUS[machine.gpu].memory_gib:.0f} GiB"
    lines = [
        "# Presets",
        f"Made by `{command}`; a test keeps it so. `nox -s train -- plan --preset NAME --gpus N` tells more of one preset.",
        "Parameters and FLOPs are counted from the model, and agree with PyTorch's counter to the last operation. Memory is "
        "estimated, and agrees with what autograd keeps to 3%. Days follow from the assumed MFU, which paper-336 has reached "
        "on one H200 (docs/training.md); the small presets come nowhere near it, so theirs are lower bounds.",
        "## Sizes",
        table(
            ["preset", "pixels", "tokens", "encoder blocks", "decoder blocks", "both", "all but words", "tokenizers"],
            [_sizes(found) for found in plans],
        ),
        f"## Training on {machine.gpu}, {machine.mfu:.0%} MFU",
        f"Memory in GiB is that of one of {machine.gpus} GPUs with FSDP, each of which has {fits}: weights, gradients and the "
        "optimizer's state, then all of it where the GPU takes its share of a step at once, without and with activation "
        f"checkpointing. The last columns are the training's length on {many} GPUs.",
        table(_TRAINING, [_training(found) for found in plans]),
    ]
    paper = next((found for found in plans if found.preset.name == "paper-336"), None)
    if paper is not None:
        lines += ["## The paper's 50M steps", _readings(paper)]
    return "\n\n".join(lines) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with columns of even width, numbers to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    first, *others = widths

    def line(cells: Sequence[str]) -> str:
        right = [cell.rjust(width) for cell, width in zip(cells[1:], others, strict=True)]
        return "| " + " | ".join([cells[0].ljust(first), *right]) + " |"

    rule = "| " + " | ".join(["-" * first, *("-" * (width - 1) + ":" for width in others)]) + " |"
    return "\n".join([line(header), rule, *map(line, rows)])


def number(count: float) -> str:
    """Parameters or tokens: ``865.8M``, ``7.2k``, ``2.8T``."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:,.1f}{unit}"
    return f"{count:.0f}"


def operations(flops: float) -> str:
    """FLOPs with their prefix: ``2.31 PFLOP``."""
    for prefix, size in (("Z", 1e21), ("E", 1e18), ("P", 1e15), ("T", 1e12)):
        if flops >= size:
            return f"{flops / size:,.3g} {prefix}FLOP"
    return f"{flops / 1e9:,.3g} GFLOP"


def duration(days: float) -> str:
    """Days, hours or minutes, to two or three digits."""
    for name, length in (("days", 1.0), ("hours", 1 / 24)):
        if days >= 1.95 * length:
            return f"{days / length:,.0f} {name}" if days >= 9.95 * length else f"{days / length:.1f} {name}"
    return f"{days * 1440:,.0f} min" if days * 1440 >= 1 else "< 1 min"


def _parts(found: Plan) -> list[list[str]]:
    rows = [[name, number(count)] for name, count in found.parameters.items() if count]
    rows.insert(2, ["both", number(found.blocks)])
    rows += [["all", number(found.num_parameters)]]
    return rows + [[f"{name} (trained before)", number(count)] for name, count in found.tokenizers.items()]


def _row(load: Load) -> list[str]:
    flops = load.flops
    return [
        load.task.name,
        f"{load.share:.0%}",
        str(load.grid),
        f"{load.read:,}",
        f"{load.samples:,}",
        operations(flops.training),
        f"{flops.attention / flops.forward:.1%}",
        operations(load.step_flops),
    ]


def _memory(found: Plan) -> list[list[str]]:
    states = found.states
    rows = [(name, getattr(states, name) / GIB) for name in ("weights", "gradients", "optimizer", "ema", "gathered")]
    rows.append(("reserved by the machine", RESERVED_GIB))
    for name, checkpointing in (("activations", False), ("activations, checkpointed", True)):
        active = found.memory_gib(checkpointing=checkpointing) - RESERVED_GIB - states.total / GIB
        rows.append((name, active))
    rows += [
        ("all", found.memory_gib(checkpointing=False)),
        ("all, checkpointed", found.memory_gib(checkpointing=True)),
        (f"a {found.machine.gpu} has", GPUS[found.machine.gpu].memory_gib),
    ]
    return [[name, f"{gib:,.1f}"] for name, gib in rows]


def _room(found: Plan) -> str:
    load = found.heaviest
    plain, checkpointed = (found.room(load, checkpointing=each) for each in (False, True))
    share, what = found.at_once(load), load.task.target
    return (
        f"A step of {load.task.name} has {share:,} {what}{'s' if share > 1 else ''} a GPU; {plain:,} fit at once, "
        f"{checkpointed:,} with checkpointing. What does not fit is accumulated."
    )


def _sizes(found: Plan) -> list[str]:
    preset = found.preset
    grid = max((load.grid for load in found.loads), key=lambda each: each.size)
    encoder, decoder = found.parameters["encoder blocks"], found.parameters["decoder blocks"]
    counts = [encoder, decoder, found.blocks, found.num_parameters - found.parameters["words"]]
    tokenizers = " + ".join(number(count) for count in found.tokenizers.values())
    return [preset.name, str(preset.tokenizer.model.size_px), str(grid), *map(number, counts), tokenizers]


def _training(found: Plan) -> list[str]:
    samples = {load.task.target: load.samples for load in found.loads}
    days = [replace(found, machine=replace(found.machine, gpus=count)).days for count in DAYS_ON]
    gib = [found.memory_gib(checkpointing=each) for each in (False, True)]
    return [
        found.preset.name,
        str(len(found.loads)),
        f"{found.preset.transformer.steps:,}",
        " or ".join(f"{count:,} {target}s" for target, count in samples.items()),
        number(found.tokens),
        operations(found.step_flops),
        f"{found.states.total / GIB:,.1f}",
        *(f"{each:,.0f}" for each in gib),
        *map(duration, days),
    ]


def _readings(paper: Plan) -> str:
    """The paper's machine and weeks beside the readings of its training."""
    machine = Machine(gpus=64, gpu="a100", mfu=paper.machine.mfu)
    some, literal = paper.preset, 50_000_000
    readings = {
        "50M batches of 128 pictures": with_steps(some, steps=literal, batch=128, tasks=["t2i"]),
        "50M batches of 128 clips": with_steps(some, steps=literal, batch=128 * some.frames, tasks=["t2v"]),
        f"{some.name}: {some.transformer.steps:,} steps of {128 * some.frames:,} pictures or 128 clips": some,
    }
    vocab_size = paper.parameters["words"] // some.model.d
    rows = []
    for name, preset in readings.items():
        found = plan(preset, machine, vocab_size=vocab_size)
        steps = preset.transformer.steps
        rows.append([name, number(steps * found.tokens), operations(steps * found.step_flops), duration(found.days)])
    return (
        f"The paper trains for 50M steps at a batch of 128, on 64 A100s in two weeks. What that takes at {machine.mfu:.0%} MFU:"
        "\n\n" + table(["reading", "tokens", "FLOPs", "on 64 A100s"], rows) + "\n\n"
        "Batches of 128 clips would take more than two weeks even at 100% MFU, so the paper's steps must have been smaller, as "
        "pictures are. The presets take batches of 128 clips, which 64 GPUs can share, or as many pictures as have the same "
        "number of tokens, and a tenth of the steps: as many tokens as the first reading."
    )
