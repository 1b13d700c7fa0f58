"""``run``: train a preset's tokenizers and model, in one process or in all that torchrun started."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nuwa.presets import PRESETS, Preset
from nuwa.training.distributed import on_first
from nuwa.training.group import group
from nuwa.training.open_data import open_data
from nuwa.training.parallel import Parallel
from nuwa.training.precision import pick_device
from nuwa.training.prepare import prepare
from nuwa.training.watching import Watching


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Train a preset's tokenizers and model, or go on where the last run stopped; torchrun runs it in several processes."""

    preset: str = "tiny"  # sizes and training
    tasks: tuple[str, ...] = ()  # some of the preset's tasks, such as: t2i t2v; all where not given
    data: str = "sprites"  # sprites, or a dataset of files by its reader's name
    root: Path | None = None  # folder of the dataset
    split: str = "train"  # of the dataset, to learn from
    held_out: str = "val"  # of the dataset, to measure on
    fps: float = 2.5  # frames a second that are read of clips of files
    shards: Path | None = None  # read tokens from this folder; one process makes it where it is missing
    start: Path | None = None  # checkpoint folder to fine-tune
    parallel: Parallel = "ddp"  # fsdp divides model and optimizer by the processes
    accumulate: int = 1  # parts in which each process computes its share of a batch, to save memory
    checkpoint_activations: bool = (
        False  # save more memory of the model: compute a layer's inside anew when it is needed
    )
    compile: bool = False  # fuse what lies between the model's matrix products; takes a minute, and pays on GPUs
    ema: float | None = None  # decay of a moving average of the weights, such as 0.9999; none where not given
    samples_every: int = 0  # steps between two sheets of samples, to samples/ beside the log; 0 is none
    tensorboard: bool = True  # write for TensorBoard too, where it is installed
    wandb: str | None = None  # project of Weights & Biases to write to, where it is installed
    keep: int = 2  # newest checkpoints that are kept while a training goes on
    keep_best: int = 1  # weights that were best on held-out data, which stay
    best: bool = False  # make the result of the best weights instead of the last
    workers: int | None = None  # processes that read ahead; 0 is none; as many as pay where not given
    device: str = "auto"  # auto, cpu or cuda
    out: Path = Path("runs/train")

    @property
    def watching(self) -> Watching:
        """What is shown and kept."""
        return Watching(
            samples_every=self.samples_every,
            tensorboard=self.tensorboard,
            wandb=self.wandb,
            keep=self.keep,
            keep_best=self.keep_best,
        )

    @property
    def chosen(self) -> Preset:
        """The preset with what was asked for."""
        preset = PRESETS[self.preset]()
        if self.tasks:
            preset = preset.only(*self.tasks)
        sketch = preset.sketch
        return replace(
            preset,
            tokenizer=replace(preset.tokenizer, ema=self.ema, accumulate=self.accumulate),
            sketch=None if sketch is None else replace(sketch, ema=self.ema, accumulate=self.accumulate),
            transformer=replace(
                preset.transformer,
                ema=self.ema,
                accumulate=self.accumulate,
                checkpoint_activations=self.checkpoint_activations,
                compile=self.compile,
            ),
        )


def run(options: RunOptions) -> None:
    """Train, and leave a checkpoint for ``Nuwa.from_pretrained`` in ``out/checkpoint``."""
    preset, watching, home = options.chosen, options.watching, options.out / "checkpoint"
    with group(pick_device(options.device)) as device:
        data = open_data(
            options.data, preset.tokenizer.model.size_px, preset.frames,
            root=options.root, split=options.split, held_out=options.held_out, fps=options.fps, seed=preset.transformer.seed,
        )  # fmt: skip
        system = prepare(
            preset, data, options.out / "training", device,
            start=options.start, shards=options.shards, parallel=options.parallel, watching=watching, best=options.best,
            workers=options.workers,
        )  # fmt: skip
        on_first(lambda: system.save_pretrained(home))
        on_first(lambda: print(f"{home}: trained for {', '.join(system.tasks)}"))
