"""The other grids: rows of tasks, of extents and stems, and of tokenizers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation import strict
from evaluation.__main__ import COMMANDS
from evaluation.ablations import attention, design, tasks, tokenizers
from evaluation.ablations.cells import Cell
from evaluation.ablations.design import DesignOptions
from evaluation.ablations.gather import read_seed
from evaluation.ablations.grids import GridOptions, shared_tokenizers
from evaluation.ablations.tasks import TasksOptions
from evaluation.ablations.tokenizers import Setting, TokenizerOptions
from nuwa.attention import Nearby3D
from reports.published import load_published

SMOKE = {"preset": "smoke", "seeds": (0,), "num": 12, "device": "cpu"}


@pytest.mark.parametrize("module", [attention, tasks, tokenizers, design])
def test_every_ablation_is_a_command_with_the_shared_options(module: object) -> None:
    options, _ = COMMANDS[module.NAME]  # type: ignore[attr-defined]
    assert issubclass(options, GridOptions)
    assert str(options().out) == f"runs/{module.NAME}"  # type: ignore[attr-defined]


def test_mixtures_are_the_published_rows_with_equal_steps() -> None:
    found = tasks.choices(TasksOptions(**SMOKE).settled())
    published = load_published()
    assert [choice.name for choice in found] == list(published[published["table"] == "5"]["model"].drop_duplicates())
    presets = [choice.setting.resolve() for choice in found]
    assert len({preset.transformer.steps for preset in presets}) == 1
    assert [list(preset.transformer.tasks) for preset in presets] == [
        ["t2v"], ["t2i", "t2v"], ["t2v", "v2v"], ["t2i", "t2v", "v2v"],
    ]  # fmt: skip
    steps = [choice.said["T2V steps"] for choice in found]
    assert steps[0] == presets[0].transformer.steps
    assert all(0 < taken < steps[0] for taken in steps[1:])
    assert shared_tokenizers(found).label == "tokenizers"


def test_extents_stems_and_tables() -> None:
    found = design.choices(DesignOptions(**SMOKE).settled())
    assert [choice.name for choice in found] == [
        "extent 3", "extent 5", "extent 7", "extent 3, raster stem", "extent 3, random tables"
    ]  # fmt: skip
    presets = [choice.setting.resolve() for choice in found]
    assert [p.model.decoder_attention for p in presets] == [Nearby3D(extent=(e, e, e)) for e in (3, 5, 7, 3, 3)]
    assert [preset.model.stem for preset in presets] == ["nearby", "nearby", "nearby", "raster", "nearby"]
    assert [preset.transformer.tables for preset in presets] == [*["codes"] * 4, "random"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"extents": ()}, "at least one full window width"), ({"extents": (4,)}, "odd full window width")],
)
def test_wrong_extents_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        design.choices(replace(DesignOptions(**SMOKE).settled(), **changes))  # type: ignore[arg-type]


def test_rows_of_tokenizers() -> None:
    found = tokenizers.configs(TokenizerOptions(**SMOKE).settled())
    assert [config.name for config in found] == [
        "VQ-VAE f4",
        "VQ-GAN f4",
        "VQ-GAN f8",
        "VQ-GAN f16",
        "VQ-GAN f4, 256 codes",
        "VQ-GAN f4, 1,024 codes",
        "VQ-GAN f4, 4,096 codes",
        "VQ-GAN-Seg f4",
        "VQ-GAN-Seg f8",
        "VQ-GAN-Seg f16",
    ]
    assert [config.choice["grid"] for config in found[1:4]] == ["32² → 8²", "32² → 4²", "32² → 2²"]
    settings = [strict.decode(Setting, config.cells[0].config) for config in found]
    plain, adversarial = (setting.resolve(seed=5).tokenizer for setting in settings[:2])
    assert (plain.perceptual, plain.adversarial, plain.seed) == (0.0, 0.0, 5)
    assert adversarial.adversarial > 0
    assert replace(plain, perceptual=adversarial.perceptual, adversarial=adversarial.adversarial) == adversarial
    assert settings[2].resolve().tokenizer.model.widths == (16, 32, 32)
    sketch = settings[8].resolve().sketch
    assert sketch is not None
    assert sketch.model.widths == (8, 16, 16)


@pytest.mark.parametrize("factor", [0, 1, 3, 12])
def test_a_factor_that_cannot_be(factor: int) -> None:
    with pytest.raises(ValueError, match="factor: expected a power of two"):
        tokenizers.configs(TokenizerOptions(**SMOKE, factors=(factor,)).settled())


@pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")
@pytest.mark.filterwarnings("ignore::nuwa.training.codebook.CodebookCollapse")
def test_a_tokenizer_is_trained_and_scored(tmp_path: Path) -> None:
    options = TokenizerOptions(**SMOKE, factors=(4,), codes=(), steps=4, batch=4).settled()
    configs, done = tokenizers.configs(options), dict[Cell, Path]()
    for config in configs:
        cell = config.cells[0]
        done[cell] = tmp_path / cell.name
        done[cell].mkdir()
        tokenizers.train_and_score(json.loads(json.dumps(cell.config)), cell.seed, done[cell], "cpu")
    found = {config.name: read_seed(done[config.cells[0]]) for config in configs}
    assert {name: [metric for metric, _ in seed.numbers] for name, seed in found.items()} == {
        "VQ-VAE f4": ["SSIM", "FID", "codebook usage", "codebook perplexity"],
        "VQ-GAN f4": ["SSIM", "FID", "codebook usage", "codebook perplexity"],
        "VQ-GAN-Seg f4": ["PA", "FWIoU"],
    }
    assert 0 < found["VQ-GAN f4"].numbers["SSIM", "ssim@torchmetrics-1"][0].value < 1
