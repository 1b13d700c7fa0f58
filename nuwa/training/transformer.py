"""Training of the model: cross-entropy of every cell's token, over a mixture of tasks (paper, equations 12 and 13)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor, nn

from nuwa import noise
from nuwa.data.sources import Source
from nuwa.grid import Grid
from nuwa.model.config import ConditionName, ModelConfig
from nuwa.model.nuwa import NuwaModel
from nuwa.model.tables import begin_from_codes
from nuwa.sampling.decode import Sampling
from nuwa.tasks import TASKS, Target, Task, of_target
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.tokenizers.vqgan_seg import VQGANSeg
from nuwa.training.ahead import Ahead
from nuwa.training.distributed import parts, rank, summed, world
from nuwa.training.examples import Batch, Examples, Samples
from nuwa.training.flops import sample_flops
from nuwa.training.learner import Learner
from nuwa.training.mixture import Mixture
from nuwa.training.optim import adamw, clipped_step, muon, set_lr, warmup_cosine
from nuwa.training.parallel import Parallel, alone, check_parallel, spread, whole
from nuwa.training.precision import Precision, resolve
from nuwa.training.shared import check_shared, described


@dataclass(frozen=True, kw_only=True)
class TransformerTraining:
    """How the model is trained."""

    tasks: Mapping[str, float] = field(default_factory=lambda: {"t2i": 1.0})  # names and weights
    lead: int = 0  # steps at the beginning in which the first task is learnt alone
    steps: int = 2000
    batch: int = 64  # pictures; as many clips as have about the same number of frames
    optimizer: Literal["muon", "adam"] = "muon"  # of the matrices of the layers; everything else has Adam in any case
    lr: float = 4e-3
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    clip: float = 1.0
    caption_dropout: float = 0.1  # share of samples that learn without their caption and sketch, for guidance
    wordless: float = 0.5  # share of the samples of a task with optional text that learn without
    next_frame: float = 0.0  # share of the steps with given frames that learn the second frame alone, of more clips
    precision: Precision = "auto"
    seed: int = 0
    tables: Literal["codes", "random"] = "codes"  # how what stands for the tokens begins (nuwa.model.tables)
    ema: float | None = None  # decay of a moving average of the weights, which is what the training then leaves
    accumulate: int = 1  # parts in which a process computes its share of a batch, to save memory; changes no result
    checkpoint_activations: bool = False  # keep each layer's input alone and compute the rest anew; changes no result
    compile: bool = False  # fuse what lies between matrix products and attention; changes results by rounding

    def __post_init__(self) -> None:
        Mixture(self.tasks, 1, lead=self.lead)
        if self.tables not in ("codes", "random"):
            raise ValueError(f"tables: expected 'codes' or 'random', got {self.tables!r}")
        if not 0 <= self.next_frame <= 1:
            raise ValueError(f"next_frame: expected a share in [0, 1], got {self.next_frame}")
        check_shared(self.ema, self.accumulate)

    def size(self, grid: Grid) -> int:
        """Samples of a step whose targets have this grid."""
        return max(1, round(self.batch / grid.t))


class TransformerStage:
    """Satisfies :class:`nuwa.training.loop.Stage`."""

    name = "train transformer"

    def __init__(
        self, model: ModelConfig, config: TransformerTraining, sources: Mapping[Target, Source], tokenizer: VQGAN,
        text: TextTokenizer, *, sketch: VQGANSeg | None = None, origin: dict[str, Any], device: torch.device,
        parallel: Parallel = "ddp", sampling: Sampling | None = None, workers: int | None = None,
    ) -> None:  # fmt: skip
        """``origin`` names data and tokenizers, for the config of the checkpoint; ``parallel`` is for several processes.

        ``sampling`` is how samples are drawn while the training goes on; ``workers`` read ahead (:mod:`nuwa.training.ahead`).
        """
        self.sampling = sampling
        self.settings, self.text, self.device, self.origin = config, text, device, origin
        for name in config.tasks:
            check_learnable(TASKS[name], model, sources)
        torch.manual_seed(config.seed)
        tokenizer = tokenizer.to(device).eval()
        self.model = NuwaModel(model)
        if config.tables == "codes":
            begin_from_codes(self.model, tokenizer.codebook.codes, None if sketch is None else sketch.codebook.codes)
        self.model.to(device)
        self.precision = resolve(config.precision, device)
        layers = [*self.model.encoder.layers, *self.model.decoder.layers]
        check_parallel(parallel)
        if parallel == "fsdp" and config.optimizer == "muon" and world() > 1:
            raise ValueError("parallel: expected ddp with the optimizer muon, which needs whole matrices, got fsdp")
        learner = Learner(self.model, self.precision, device)
        for layer in layers:
            layer.recompute = config.checkpoint_activations
        if config.compile:
            learner.fuse()
        unused = len(model.conditions) > 1  # tasks differ in what they read
        self.learner = spread(learner, device, parallel, layers=layers, unused=unused)
        self._optimizers: dict[str, torch.optim.Optimizer] = {}
        hidden: set[int] = set()
        if config.optimizer == "muon":
            self._optimizers["matrices"] = muon(layers, lr=config.lr, decay=config.weight_decay)
            hidden = {id(p) for group in self._optimizers["matrices"].param_groups for p in group["params"]}
        others = [p for p in self.model.parameters() if id(p) not in hidden]
        self._optimizers["others"] = adamw(others, lr=config.lr, betas=config.betas, decay=config.weight_decay)
        if sketch is not None:
            sketch = sketch.to(device).eval()
        self.examples = Examples(sources, tokenizer, text, sketch, seed=config.seed, device=device)
        self.mixture = Mixture(config.tasks, config.steps, lead=config.lead)
        self._reads: Mapping[ConditionName, Grid] = {}
        self._counted: dict[tuple[Grid, tuple[tuple[ConditionName, Grid], ...]], int] = {}
        for name in config.tasks:
            parts(self._size(TASKS[name]), config.accumulate)  # says now what would not be possible later
        self._ahead = Ahead(self.read, config.steps, workers=workers, device=device)

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        """The model alone; the tokenizers stay as they are."""
        return {"model": self.model}

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Muon for the matrices of the layers and AdamW for embeddings, head, norms and biases; or AdamW for all."""
        return self._optimizers

    @property
    def config(self) -> dict[str, Any]:
        """Everything that shapes the result."""
        return {
            "model": self.model.config.to_dict(),
            "training": described(self.settings),
            "text": self.text.to_dict(),
            "precision": self.precision,
            **self.origin,
        }

    @property
    def ema(self) -> float | None:
        """Decay of the average."""
        return self.settings.ema

    def tokens(self, index: int) -> int:
        """Tokens of the step's targets."""
        grid = self._grid_at(index)
        return self.settings.size(grid) * grid.size

    measure = "val_loss"

    def flops(self, index: int) -> int:
        """Model FLOPs of the step, as long as the texts of this process's first part were."""
        grid = self._grid_at(index)
        key = (grid, tuple(self._reads.items()))
        if key not in self._counted:
            self._counted[key] = sample_flops(self.model, key[0], self._reads).training
        return self.settings.size(grid) * self._counted[key]

    def read(self, index: int) -> list[Samples]:
        """The parts of step ``index`` that this process computes."""
        settings, turn, grid = self.settings, self.mixture[index], self._grid_at(index)
        size = settings.size(grid)
        return [
            self.examples.read(
                turn.task, index, turn.number, size, dropout=settings.caption_dropout, wordless=settings.wordless,
                rows=rows, frames=grid.t,
            )
            for rows in parts(size, settings.accumulate)
        ]  # fmt: skip

    def step(self, index: int) -> dict[str, Tensor]:
        """One optimizer step, of the task whose turn it is."""
        settings, turn, model = self.settings, self.mixture[index], self.model.train()
        grid = self._grid_at(index)
        size = settings.size(grid)
        split = parts(size, settings.accumulate)
        drawn = None if len(split[0]) == size else self.examples.drawn(turn.task, index, size, grid)
        loss = torch.zeros((), device=self.device)
        model.zero_grad()
        for rows, samples in zip(split, self._ahead[index], strict=True):
            if rows.start:  # what is dropped differs from part to part
                torch.manual_seed(noise.key("part", settings.seed, index, rows.start) >> 1)
            batch = self.examples.batch(samples)
            self._reads = batch.reads
            with contextlib.nullcontext() if rows is split[-1] else alone(self.learner):
                part = self.loss(batch) * (1 if drawn is None else batch.drawn / drawn)
                (part * world()).backward()  # the mean over the processes is then the gradient of the sum
            loss += part.detach()
        loss = summed(loss).to("cpu", non_blocking=True)  # it is there when the gradient's norm is
        for optimizer in self.optimizers.values():
            set_lr(optimizer, settings.lr * warmup_cosine(index, settings.steps))
        norm = clipped_step(model.parameters(), self.optimizers.values(), settings.clip)
        scalars = {"loss": loss, "gradient_norm": norm}
        return scalars if len(self.mixture.shares) == 1 else scalars | {f"loss_{turn.task.name}": loss}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Cross-entropy in nats a drawn token on held-out data: the weighted sum over the tasks, and that of each of several.

        Of text to image also without the captions: what is left to gain from reading them.
        """
        self.model.eval()
        found = {name: self._held_out(TASKS[name]) for name in self.mixture.shares}
        losses = {"val_loss": sum(share * found[name] for name, share in self.mixture.shares.items())}
        if len(found) > 1:
            losses |= {f"val_loss_{name}": loss for name, loss in found.items()}
        if "t2i" in found:
            losses["val_loss_without_caption"] = self._held_out(TASKS["t2i"], dropped=True)
        return losses

    @torch.no_grad()
    def sheet(self) -> Image.Image | None:
        """Samples of every task on held-out data (:mod:`nuwa.training.task_sheet`)."""
        from nuwa.system import Nuwa  # which knows of trainings
        from nuwa.training.task_sheet import task_sheet

        weights = {name: whole(value) for name, value in self.model.state_dict().items()}
        if rank():
            return None
        model = NuwaModel(self.model.config).to(self.device)
        model.load_state_dict(weights)
        tokenizer, sketch = self.examples.tokenizer, self.examples.sketch
        tasks = tuple(self.settings.tasks)
        system = Nuwa(tokenizer, self.text, model, self.sampling, sketch_tokenizer=sketch, tasks=tasks)
        return task_sheet(system, tasks, self.examples.sources)

    def _held_out(self, task: Task, *, dropped: bool = False) -> float:
        total, count = 0.0, 0
        batches = self.examples.held_out(task, self._size(task), dropped=dropped)
        for first in range(0, len(batches), world()):  # every process computes as many, since all are needed for each
            place = first + rank()
            batch = batches[min(place, len(batches) - 1)]
            loss = float(self.loss(batch)) * batch.drawn
            if place < len(batches):
                total, count = total + loss, count + batch.drawn
        sums = summed(torch.tensor([total, count], dtype=torch.float64))
        return float(sums[0] / sums[1])

    def _size(self, task: Task) -> int:
        return self.settings.size(self._grid(task))

    def _grid(self, task: Task) -> Grid:
        return of_target(self.model.config.grid, task.target)

    def _grid_at(self, index: int) -> Grid:
        """The grid of the targets of step ``index``: that of its task, or two frames (``next_frame``)."""
        task, settings = self.mixture[index].task, self.settings
        grid = self._grid(task)
        if task.given != "first frames":
            return grid
        short = noise.uniform(noise.key("next frame", settings.seed), index) < settings.next_frame
        return Grid(min(2, grid.t), grid.h, grid.w) if short else grid

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross-entropy () of the cells that are drawn; given cells are not learnt."""
        loss: Tensor = self.learner(batch)
        return loss


def check_learnable(task: Task, model: ModelConfig, sources: Mapping[Target, Source]) -> None:
    """ValueError where the model or the data lacks what the task needs."""
    missing = [name for name in task.conditions if name not in model.conditions]
    if missing:
        raise ValueError(
            f"{task.name}: expected a model with the conditions {', '.join(task.conditions)}, got "
            f"{', '.join(model.conditions)}"
        )
    if task.target not in sources:
        raise ValueError(f"{task.name}: expected data with {task.target}s, got {', '.join(sources)}")
    if task.target == "clip" and model.grid.t == 1:
        raise ValueError(f"{task.name}: expected a model of clips, got one for the grid {model.grid}")
    if task.sketch:
        sources[task.target].sketches()
        if sources[task.target].shards is not None:
            raise ValueError(f"{task.name}: shards hold no sketches; leave out this task, or train without shards")
