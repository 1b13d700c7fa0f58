"""Every task from one checkpoint: it is trained where none is given, and each task's own session scores it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from evaluation.provenance import provenance
from evaluation.records import Record
from evaluation.sessions import SESSIONS, SessionOptions
from evaluation.sessions.training import train
from nuwa.presets import PRESETS
from nuwa.system import Nuwa
from nuwa.tasks import TASKS, needed_for
from nuwa.training.on_sprites import sprites_data
from nuwa.training.precision import pick_device


@dataclass(frozen=True, kw_only=True)
class AllOptions(SessionOptions):
    """All tasks on sprites from one checkpoint, each scored by its own session; a folder for each, and one report."""

    preset: str = "tiny"  # sizes and training of the model: tiny, or smoke (seconds, for trying things out)
    num: int | None = None  # samples to score of each split of each task; each session's own number where not given
    out: Path = Path("runs/eval-all")  # folder for everything that is made


def run(options: AllOptions) -> list[Record]:
    """Train once and run every session; ``<out>/<task>/`` holds what each leaves, ``<out>/checkpoint/`` the model.

    Tasks that the checkpoint was not trained for are left out, and a line says so.
    """
    options.check()
    folder = options.checkpoint or _trained(options)
    known = set(Nuwa.from_pretrained(folder).tasks)
    tasks = [task for task in TASKS if set(needed_for(task)) & known]
    if left := [task for task in TASKS if task not in tasks]:
        print(f"left out: {', '.join(left)}, which the checkpoint was not trained for")
    common = {each.name: getattr(options, each.name) for each in fields(SessionOptions)}
    records = []
    for task in tasks:
        print(f"eval-{task}")
        own = common | {"checkpoint": folder, "tokenizer": None, "out": options.out / task}
        record = SESSIONS[task].run(SESSIONS[task].options(**own))
        assert record is not None  # only a list of captions, which is not asked for here, leaves none
        records.append(record)
    return records


def _trained(options: AllOptions) -> Path:
    """The checkpoint folder of the preset, trained on sprites where that is not done yet."""
    preset, device = options.fit(PRESETS[options.preset]()), pick_device(options.device)
    data = sprites_data(preset.tokenizer.model.size_px, preset.frames)
    environment = provenance(device, {"training": preset.transformer.seed}).environment
    train(preset, data, options.out, device, environment, shards=options.shards, tokenizer=options.tokenizer)
    return options.out / "checkpoint"
