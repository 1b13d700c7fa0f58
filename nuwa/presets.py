"""Complete set-ups by name. A preset is a function that returns one; an ablation is ``dataclasses.replace`` on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nuwa.attention import Full, Nearby3D
from nuwa.model.config import ConditionName, ModelConfig, ModelSizes
from nuwa.registry import Registry
from nuwa.sampling.inputs import Sampling
from nuwa.tasks import TASKS
from nuwa.tokenizers.vqgan import VQGANConfig
from nuwa.tokenizers.vqgan_seg import VQGANSegConfig
from nuwa.training.sketch_tokenizer import SketchTraining
from nuwa.training.tokenizer import TokenizerTraining
from nuwa.training.transformer import TransformerTraining


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Everything between raw data and samples."""

    name: str
    tokenizer: TokenizerTraining  # of pictures, and of frames where there are clips
    model: ModelSizes
    transformer: TransformerTraining
    sampling: Sampling
    frames: int = 1  # of a clip; 1 where only pictures are learnt
    sketch: SketchTraining | None = None  # the tokenizer of sketches, where they are learnt
    alone: TransformerTraining | None = None  # how one or a few of the tasks are trained alone, where not as all are
    sketched: TransformerTraining | None = None  # the same where sketches are read, which say most of the result

    def __post_init__(self) -> None:
        if (self.sketch is None) == ("sketch" in self.model.conditions):
            raise ValueError(
                f"preset {self.name}: expected a sketch tokenizer where 'sketch' is a condition of the model"
            )

    def config(self, *, vocab_size: int) -> ModelConfig:
        """The model's sizes, with the text tokenizer's vocabulary."""
        pixels, sketch = self.tokenizer.model, None if self.sketch is None else self.sketch.model
        return self.model.on(
            pixels.grid(self.frames),
            num_codes=pixels.num_codes,
            vocab_size=vocab_size,
            sketch_grid=None if sketch is None else sketch.grid(self.frames),
            num_sketch_codes=None if sketch is None else sketch.num_codes,
        )

    def sketching(self, num_classes: int) -> Preset:
        """The same set-up for sketches of so many classes; a preset without sketches as it is."""
        if self.sketch is None:
            return self
        return replace(self, sketch=replace(self.sketch, model=replace(self.sketch.model, num_classes=num_classes)))

    def reading(self, tokenizer: VQGANConfig) -> Preset:
        """The same set-up on the tokens of a tokenizer that is trained already, such as an imported one."""
        return replace(self, name=f"{self.name}+given-tokenizer", tokenizer=replace(self.tokenizer, model=tokenizer))

    def only(self, *tasks: str) -> Preset:
        """The same set-up for some of its tasks: what they need is trained, as ``alone`` says, and nothing else.

        ValueError for a task that is not among them.
        """
        weights = self.transformer.tasks
        missing = [name for name in tasks if name not in weights]
        if missing or not tasks:
            raise ValueError(f"preset {self.name}: expected some of its tasks {', '.join(weights)}, got {tasks}")
        chosen = [TASKS[name] for name in TASKS if name in tasks]
        if len(chosen) == len(weights):
            return self
        needed = {name for task in chosen for name in task.conditions}
        conditions = tuple(name for name in self.model.conditions if name in needed)
        alone = (self.sketched if "sketch" in conditions else None) or self.alone or self.transformer
        return replace(
            self,
            name=f"{self.name}:{'+'.join(task.name for task in chosen)}",
            model=replace(self.model, conditions=conditions),
            transformer=replace(alone, tasks={task.name: weights[task.name] for task in chosen}, lead=0),
            frames=self.frames if any(task.target == "clip" for task in chosen) else 1,
            sketch=self.sketch if "sketch" in conditions else None,
        )


PRESETS: Registry[Callable[[], Preset]] = Registry("preset")


EIGHT = {"t2i": 1.0, "s2i": 0.7, "i2i": 1.0, "ti2i": 0.7, "t2v": 6.0, "v2v": 8.0, "s2v": 1.2, "tv2v": 1.2}
"""Weights of the eight tasks: most are clips, and most of those what says least of how things will move."""

EVERYTHING: tuple[ConditionName, ...] = ("text", "sketch", "partial")
"""What the encoder of a model of all eight tasks reads."""

WHOLE = (Nearby3D(), Full())
"""Attention of a small encoder: two layers nearby see two cells far, so with a whole one what is known on the other side of a
picture can fill a hole."""


@PRESETS.register("tiny")
def tiny() -> Preset:
    """All eight tasks from one checkpoint: 32 px, 5 frames, 5×8×8 tokens, 2.4M parameters, 45 minutes on two CPU cores.

    :meth:`Preset.only` trains one task, such as text to image, in about ten minutes.
    """
    return Preset(
        name="tiny",
        tokenizer=TokenizerTraining(model=VQGANConfig(size_px=32, widths=(64, 128), num_codes=256), steps=1600),
        sketch=SketchTraining(model=VQGANSegConfig(size_px=32, widths=(32, 64), num_codes=512), steps=1000),
        frames=5,
        model=ModelSizes(
            d=128, num_heads=4, encoder_layers=2, decoder_layers=6, encoder_attention=WHOLE, conditions=EVERYTHING
        ),
        transformer=TransformerTraining(steps=6800, batch=64, lr=4e-3, lead=800, next_frame=0.6, tasks=EIGHT),
        alone=TransformerTraining(steps=1000, batch=64),
        sketched=TransformerTraining(steps=800, batch=64),
        sampling=Sampling(guidance=2.0, temperature=0.7),  # the best of a few on the split val
    )


@PRESETS.register("small")
def small() -> Preset:
    """All eight tasks at 64 px with 10 frames, 10×8×8 tokens, 27M parameters: ten minutes of one H200."""
    return Preset(
        name="small",
        tokenizer=TokenizerTraining(
            model=VQGANConfig(size_px=64, widths=(64, 128, 256), num_codes=512), steps=2200, batch=64
        ),
        sketch=SketchTraining(model=VQGANSegConfig(size_px=64, widths=(32, 64, 128), num_codes=512), steps=1200),
        frames=10,
        model=ModelSizes(
            d=384, num_heads=6, encoder_layers=3, decoder_layers=8, encoder_attention=WHOLE, conditions=EVERYTHING
        ),
        transformer=TransformerTraining(
            steps=4500, batch=192, lr=3e-3, lead=500, next_frame=0.5, tasks=EIGHT | {"t2i": 2.5, "t2v": 8.0, "v2v": 3.5}
        ),
        alone=TransformerTraining(steps=3000, batch=256, lr=2e-3),
        sampling=Sampling(guidance=2.0, temperature=0.7),
    )


@PRESETS.register("smoke")
def smoke() -> Preset:
    """All eight tasks in seconds, for tests and for trying a dataset; the samples mean nothing."""
    return Preset(
        name="smoke",
        tokenizer=TokenizerTraining(
            model=VQGANConfig(size_px=32, widths=(16, 32), num_codes=32), steps=20, batch=8, precision="float32"
        ),
        sketch=SketchTraining(
            model=VQGANSegConfig(size_px=32, widths=(8, 16), num_codes=32), steps=20, batch=8, precision="float32"
        ),
        frames=5,
        model=ModelSizes(
            d=32, num_heads=2, encoder_layers=1, decoder_layers=2, encoder_attention=WHOLE, conditions=EVERYTHING
        ),
        transformer=TransformerTraining(steps=16, batch=8, precision="float32", tasks=EIGHT),
        alone=TransformerTraining(steps=10, batch=8, precision="float32"),
        sampling=Sampling(guidance=2.0),
    )


@PRESETS.register("base")
def base() -> Preset:
    """All eight tasks at 128 px with 10 frames, 10×16×16 tokens, 174M: for a machine of eight GPUs, not yet timed."""
    return Preset(
        name="base",
        tokenizer=TokenizerTraining(
            model=VQGANConfig(size_px=128, widths=(64, 128, 256), blocks=2, num_codes=4096),
            steps=50_000,
            batch=128,
            lr=5e-4,
        ),
        sketch=SketchTraining(model=VQGANSegConfig(size_px=128, widths=(32, 64, 128), num_codes=1024), steps=10_000),
        frames=10,
        model=ModelSizes(d=768, num_heads=12, encoder_layers=6, decoder_layers=12, conditions=EVERYTHING),
        transformer=TransformerTraining(steps=60_000, batch=1280, lr=1e-3, lead=5000, tasks=EIGHT),
        alone=TransformerTraining(steps=30_000, batch=1280, lr=1e-3),
        sampling=Sampling(guidance=2.0),
    )


PRE_TRAINING = {"t2i": 1.0, "v2v": 1.0, "t2v": 1.0}
"""The tasks that the paper pre-trains on; it adds up their losses."""


def _paper(
    name: str, tokenizer: VQGANConfig, *, frames: int, conditions: tuple[ConditionName, ...] = ("text", "partial")
) -> Preset:
    """What the paper's models share: 12 + 24 layers of width 1280, 12,288 codes of width 256, Adam at 1e-3 without decay.

    128 clips a step. The paper's 50M batches of 128 read as pictures: 5M steps here see as many tokens, which is what 64
    A100s do in the paper's two weeks (docs/presets.md); 50M batches of 128 clips would be half a year.
    """
    return Preset(
        name=name,
        tokenizer=TokenizerTraining(model=tokenizer, steps=500_000, lr=1e-4),
        frames=frames,
        model=ModelSizes(d=1280, num_heads=20, encoder_layers=12, decoder_layers=24, conditions=conditions),
        transformer=TransformerTraining(
            steps=5_000_000, batch=128 * frames, optimizer="adam", lr=1e-3, betas=(0.9, 0.999), weight_decay=0.0,
            tasks=PRE_TRAINING,
        ),
        sampling=Sampling(guidance=2.0),
    )  # fmt: skip


F16 = VQGANConfig(size_px=336, widths=(128, 128, 256, 512), blocks=2, num_codes=12288, code_width=256, encoder_kernel=3)
"""The paper's VQ-GAN, 336 px to 21×21 tokens, whose convolutions look around as VQGAN's do."""


@PRESETS.register("paper-336")
def paper_336() -> Preset:
    """NÜWA-336, the paper's model, as it was pre-trained: 10 frames of 21×21 tokens, T2I + V2V + T2V (about 930M).

    Encoder and decoder blocks together have 866M parameters, the paper's 870M.
    """
    return _paper("paper-336", F16, frames=10)


@PRESETS.register("paper-256")
def paper_256() -> Preset:
    """NÜWA-256, the paper's larger grid: 4 frames of 32×32 tokens, T2I + V2V + T2V (about 930M)."""
    return _paper("paper-256", replace(F16, size_px=256, widths=(128, 256, 512)), frames=4)


@PRESETS.register("paper-336-eight")
def paper_336_eight() -> Preset:
    """NÜWA-336 with all that eight tasks read: ``only("s2v")`` from a checkpoint of paper-336 fine-tunes as the paper does."""
    preset = paper_336()
    return replace(
        preset,
        name="paper-336-eight",
        sketch=SketchTraining(
            model=VQGANSegConfig(size_px=336, widths=(64, 64, 128, 256), num_codes=1024), steps=100_000, lr=5e-4
        ),
        model=replace(preset.model, conditions=EVERYTHING),
        transformer=replace(preset.transformer, tasks=EIGHT),
    )


@PRESETS.register("paper-image")
def paper_image() -> Preset:
    """NÜWA-336 for pictures alone: paper-336 with one frame and one task, in batches of 128 (about 920M)."""
    preset = _paper("paper-image", F16, frames=1, conditions=("text",))
    return replace(preset, transformer=replace(preset.transformer, steps=500_000, tasks={"t2i": 1.0}))
