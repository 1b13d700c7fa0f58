"""Tokenizers by their reconstructions (paper, Table 4): ``nox -s ablate-tokenizer``.

A VQ-VAE is a VQ-GAN without the perceptual and the adversarial term. Factor and number of codes are varied one at a time; the
tokenizer of sketches has rows of its own, whose numbers are PA and FWIoU.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torch import nn

from evaluation import judges, strict
from evaluation.ablations.cells import Cell
from evaluation.ablations.ending import finish
from evaluation.ablations.gather import Config
from evaluation.ablations.grids import HERE, GridOptions, GridRun
from evaluation.ablations.record import AblationRecord
from evaluation.ablations.sizes import SIZES
from evaluation.metrics import FID, SSIM
from evaluation.metrics.base import Estimate
from evaluation.metrics.codebook import codebook_usage
from evaluation.provenance import peak_memory, provenance
from evaluation.records import DatasetInfo, ModelInfo, Record, Row, write_record
from evaluation.replicates import REPLICATES, write_replicates
from evaluation.sessions import sketches
from evaluation.sessions.drawing import rebuild
from evaluation.sessions.measures import Measures, beside, two_sets
from evaluation.sessions.splits import SPLITS, Split, SplitsOptions
from nuwa.presets import Preset
from nuwa.system import Nuwa
from nuwa.training.precision import pick_device
from nuwa.training.prepare import prepare

NAME = "ablate-tokenizer"

Kind = Literal["VQ-VAE", "VQ-GAN", "VQ-GAN-Seg"]


@dataclass(frozen=True, kw_only=True)
class TokenizerOptions(GridOptions):
    """VQ-VAE against VQ-GAN, factors 4, 8 and 16, numbers of codes, and the tokenizer of sketches (Table 4)."""

    factors: tuple[int, ...] = (4, 8, 16)  # pixels that a token is wide; the first is that of the other comparisons
    codes: tuple[int, ...] = (256, 1024, 4096)  # sizes of the codebook; the others have the preset's
    costs: bool = False  # not measured for tokenizers
    out: Path = Path("runs/ablate-tokenizer")  # folder for everything that is made


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What tokenizer is trained on what; the config of a cell. ``sha256`` is that of all that its preset says of it."""

    kind: Kind
    factor: int
    codes: int | None  # the preset's where None
    preset: str
    steps: int | None
    batch: int | None
    num: int | None
    data: str
    root: str | None
    sha256: str = ""

    def resolve(self, seed: int = 0) -> Preset:
        """The preset that trains it, with one step of a model behind it. ValueError for what cannot be."""
        of_sketches = self.kind == "VQ-GAN-Seg"
        chosen = SIZES[self.preset]().only("s2i" if of_sketches else "t2i")
        more: dict[str, Any] = {
            name: value for name in ("steps", "batch") if (value := getattr(self, name)) is not None
        }
        picture, sketch = chosen.tokenizer, chosen.sketch
        if of_sketches:
            assert sketch is not None
            picture = replace(picture, steps=1)
            sketch = replace(sketch, model=replace(sketch.model, **self._sizes(sketch.model.widths)), seed=seed, **more)
        else:
            plain: dict[str, Any] = {"perceptual": 0.0, "adversarial": 0.0} if self.kind == "VQ-VAE" else {}
            model = replace(picture.model, **self._sizes(picture.model.widths))
            picture = replace(picture, model=model, seed=seed, **plain, **more)
        once = replace(chosen.transformer, steps=1, lead=0)
        return replace(chosen, tokenizer=picture, sketch=sketch, transformer=once)

    def _sizes(self, widths: tuple[int, ...]) -> dict[str, Any]:
        halvings = self.factor.bit_length() - 1
        if self.factor < 2 or self.factor != 2**halvings:
            raise ValueError(f"factor: expected a power of two such as 4, 8 or 16, got {self.factor}")
        longer = (*widths, *[widths[-1]] * max(0, halvings - len(widths)))[:halvings]
        return {"widths": longer} | ({} if self.codes is None else {"num_codes": self.codes})

    @property
    def fingerprint(self) -> str:
        """Digest of everything the preset holds."""
        return hashlib.sha256(repr(self.resolve()).encode()).hexdigest()[:16]


def run(options: TokenizerOptions) -> AblationRecord:
    """Run the ablation; SystemExit where a cell failed, after the record of the others is written."""
    settled = options.settled()
    grid, made = GridRun(NAME, settled), configs(settled)
    gathered = grid.gather(made)
    some = SIZES[settled.preset]()
    budget = {"steps": settled.steps or some.tokenizer.steps, "batch": settled.batch or some.tokenizer.batch}
    return finish(grid.write(gathered, scored="reconstruction", budget=budget), settled.out)


def configs(options: TokenizerOptions) -> list[Config]:
    """The rows in the order of the paper's table. ValueError for a factor or a number that cannot be."""
    if not options.factors:
        raise ValueError("factors: expected at least one power of two such as 4, got none")
    first, codes = options.factors[0], SIZES[options.preset]().tokenizer.model.num_codes
    wanted: list[tuple[Kind, int, int | None]] = [("VQ-VAE", first, None)]
    wanted += [("VQ-GAN", factor, None) for factor in options.factors]
    wanted += [("VQ-GAN", first, number) for number in options.codes if number != codes]
    wanted += [("VQ-GAN-Seg", factor, None) for factor in options.factors]
    return [_config(options, *each) for each in wanted]


def _config(options: TokenizerOptions, kind: Kind, factor: int, codes: int | None) -> Config:
    setting = Setting(
        kind=kind,
        factor=factor,
        codes=codes,
        preset=options.preset,
        steps=options.steps,
        batch=options.batch,
        num=options.num,
        data=options.data,
        root=None if options.root is None else str(options.root.resolve()),
    )
    config = strict.plain(replace(setting, sha256=setting.fingerprint))
    preset = setting.resolve()
    part = preset.sketch if kind == "VQ-GAN-Seg" else preset.tokenizer
    assert part is not None
    grid = part.model.grid()
    name = f"{kind} f{factor}" + ("" if codes is None else f", {codes:,} codes")
    return Config(
        name=name,
        choice={"grid": f"{part.model.size_px}² → {grid.h}²", "codes": part.model.num_codes},
        cells=tuple(
            Cell(function=f"{HERE}.tokenizers:train_and_score", label=name, config=config, seed=seed)
            for seed in options.seeds or ()
        ),
    )


def train_and_score(config: Mapping[str, Any], seed: int, folder: Path, device: str) -> None:
    """Train a tokenizer and score its reconstructions: ``training/``, ``record.json`` and ``replicates.npz``."""
    setting, chosen = strict.decode(Setting, config), pick_device(device)
    if setting.fingerprint != setting.sha256:
        raise ValueError(f"preset {setting.preset}: the code changed since the cell was made; start the ablation again")
    about, preset = provenance(chosen, {"training": seed}), setting.resolve(seed)
    of_sketches = setting.kind == "VQ-GAN-Seg"
    data = SPLITS[setting.data](
        SplitsOptions(
            root=None if setting.root is None else Path(setting.root),
            num=setting.num,
            size_px=preset.tokenizer.model.size_px,
            frames=None,
            train_frames=1,
            seed=0,
            sketches=of_sketches,
        )
    )
    if data.classes is not None:
        preset = preset.sketching(len(data.classes))
    system, split = prepare(preset, data.training(), folder / "training", chosen), data.splits[0]
    part: nn.Module | None
    if of_sketches:
        found = sketches.rebuilt_estimates(system, split.test, class_set=data.class_set or "")
        part = system.sketch_tokenizer
    else:
        found, part = _pictures(system, split), system.tokenizer
    assert part is not None  # a preset of sketches has a tokenizer of them
    name = f"{setting.kind} f{setting.factor}"
    write_replicates(folder / REPLICATES, {(name, each.name, each.protocol): each.replicates for each in found})
    dataset = {key: str(getattr(split.dataset, key)) for key in ("name", "version", "split", "fingerprint")}
    record = Record(
        name=folder.name,
        task="reconstruction",
        dataset=DatasetInfo(**dataset),
        model=ModelInfo(
            preset=preset.name,
            encoder_attention=None,
            decoder_attention=None,
            params=sum(parameter.numel() for parameter in part.parameters()),
            checkpoint_sha256=None,
        ),
        rows=(Row(name=name, role="model", sampling={}, metrics=tuple(each.record for each in found)),),
        timings_s={},
        peak_memory_gib=peak_memory(chosen),
        skipped=(),
        **vars(about),
    )
    write_record(folder / "record.json", record)


def _pictures(system: Nuwa, split: Split) -> list[Estimate]:
    """SSIM and FID of reconstructed pictures, and the use of the codes. FID-0 is the plain FID of the paper's table."""
    image_judge, test = judges.load_image_judge(system.device), split.test
    tokens, again = rebuild(system, test.pixels)
    measures = [
        beside(SSIM, lambda samples: samples.pixels, lambda samples: samples.truth["target"]),
        two_sets(lambda: FID(), lambda samples: samples.ask(image_judge).features),
    ]
    scorer, reference = (Measures(measures, system.device) for _ in range(2))
    for part in test.split(256):
        reference.update(part.to(system.device), real=True)
    made = replace(test.showing(again), truth={"target": test.pixels})
    for part in made.split(256):
        scorer.update(part.to(system.device), real=False)
    found = [replace(each, name="FID") if each.name == "FID-0" else each for each in scorer.against(reference)]
    return [*found, *codebook_usage(tokens, system.tokenizer.config.num_codes)]
