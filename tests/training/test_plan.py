"""The planner: parameters by part, what follows from them, and the page in docs/, which has to be true."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from nuwa.model.nuwa import NuwaModel
from nuwa.presets import PRESETS
from nuwa.training.__main__ import main
from nuwa.training.gpus import GPUS
from nuwa.training.plan import Machine, parameters, plan, with_steps
from nuwa.training.plan_command import LEFT_OUT, PlanOptions, page_of
from nuwa.training.plan_pages import duration, number, operations

DOCS = Path(__file__).parents[2] / "docs"
VOCABULARY = 49_408


@pytest.mark.parametrize("name", ["paper-336", "paper-256", "paper-336-eight", "paper-image"])
def test_the_papers_870_million(name: str) -> None:
    """Encoder and decoder blocks. 12 layers of 12 d² and 24 of 16 d², d = 1280, are 865M, and biases and norms 0.7M."""
    found = plan(PRESETS[name](), Machine(), vocab_size=VOCABULARY)
    assert 860e6 < found.blocks < 880e6
    assert found.parameters["encoder blocks"] == 236_129_280
    assert found.parameters["decoder blocks"] == 629_667_840
    assert found.blocks == pytest.approx((12 * 12 + 24 * 16) * 1280**2, rel=1e-3)


def test_other_layouts_are_not_the_papers() -> None:
    """Decoder layers without maps of their own for the conditions have 787M, those of half the feed-forward 708M."""
    layers = PRESETS["paper-336"]().model
    assert (layers.encoder_layers + layers.decoder_layers) * 12 * layers.d**2 == pytest.approx(708e6, rel=0.01)
    assert not 860e6 < (12 * 12 + 24 * 14) * 1280**2 < 880e6


def test_parameters_by_part() -> None:
    """``python -m nuwa.training plan --preset paper-336-eight``: what stands beside the blocks."""
    found = plan(PRESETS["paper-336-eight"](), Machine(), vocab_size=VOCABULARY).parameters
    d, codes, sketch = 1280, 12_288, 1024
    assert found["words"] == VOCABULARY * d
    assert found["codes of sketches and given cells"] == (sketch + codes + 1) * d
    assert found["positions"] == ((77 + 1 + 1) + 3 * (10 + 21 + 21)) * d
    assert found["stem"] == (codes + 13 * d + 1) * d
    assert found["head"] == codes * (d + 1)
    assert found["last norms"] == 4 * d


@pytest.mark.parametrize("name", PRESETS)
def test_the_parts_are_the_model(name: str) -> None:
    with torch.device("meta"):
        model = NuwaModel(PRESETS[name]().config(vocab_size=300))
    assert sum(parameters(model).values()) == model.num_parameters


def test_the_papers_two_weeks() -> None:
    """64 A100s at 40% MFU need 15 to 16 days for paper-336, and as many for the paper's 50M batches of 128 pictures."""
    machine, preset = Machine(gpus=64, gpu="a100", mfu=0.4), PRESETS["paper-336"]()
    assert plan(preset, machine, vocab_size=VOCABULARY).days == pytest.approx(15.5, abs=0.3)
    literal = with_steps(preset, steps=50_000_000, batch=128, tasks=["t2i"])
    assert plan(literal, machine, vocab_size=VOCABULARY).days == pytest.approx(15.5, abs=0.3)


def test_days_are_work_by_speed() -> None:
    found = plan(PRESETS["small"](), Machine(gpus=2, gpu="a100", mfu=0.25), vocab_size=100)
    training = PRESETS["small"]().transformer
    steps, lead = training.steps, training.lead
    total = steps * found.step_flops
    assert found.days == pytest.approx(total / (2 * 312e12 * 0.25) / 86_400)
    shares = [load.share for load in found.loads]
    mixed = sum(share * load.step_flops for share, load in zip(shares, found.loads, strict=True))
    assert found.step_flops == pytest.approx((lead * found.loads[0].step_flops + (steps - lead) * mixed) / steps)


def test_samples_of_a_step() -> None:
    found = plan(PRESETS["paper-336"](), Machine(gpus=60), vocab_size=VOCABULARY)
    pictures, clips, _ = found.loads
    assert (pictures.samples, clips.samples) == (1280, 128)
    assert (found.at_once(pictures), found.at_once(clips)) == (math.ceil(1280 / 60), 3)
    assert pictures.tokens == clips.tokens == 564_480
    assert found.idle == 0
    assert plan(PRESETS["paper-336"](), Machine(gpus=200), vocab_size=100).idle == 72


def test_what_fits_fits() -> None:
    """As many samples as there is room for, and not one more."""
    found = plan(PRESETS["paper-336"](), Machine(gpus=8), vocab_size=VOCABULARY)
    for checkpointing in (False, True):
        room = found.room(found.heaviest, checkpointing=checkpointing)
        step = found.at_once(found.heaviest)
        gib = found.memory_gib(checkpointing=checkpointing)
        assert (room >= step) == (gib <= GPUS["h100"].memory_gib)
    assert (
        plan(PRESETS["paper-336"](), Machine(gpus=1, gpu="rtx4090"), vocab_size=100).room(
            found.heaviest, checkpointing=True
        )
        <= 6
    )


def test_sharding_makes_room() -> None:
    preset = PRESETS["paper-336"]()
    one, other = (
        plan(preset, Machine(gpus=8, sharded=sharded), vocab_size=100).memory_gib(checkpointing=True)
        for sharded in (True, False)
    )
    assert one < 0.7 * other


def test_the_page_of_all_presets_is_true() -> None:
    """``python -m nuwa.training plan --out docs/presets.md`` makes it again."""
    assert (DOCS / "presets.md").read_text(encoding="utf-8") == page_of(PlanOptions())


def test_every_preset_but_the_one_for_tests_is_on_the_page() -> None:
    page = (DOCS / "presets.md").read_text(encoding="utf-8")
    assert all((f"| {name} " in page) == (name != LEFT_OUT) for name in PRESETS)


def test_one_preset(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main(["plan", "--preset", "paper-336", "--gpus", "64", "--tasks", "t2i", "t2v", "--out", str(tmp_path / "page.md")])
    said = capsys.readouterr().out
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == said
    assert said.startswith("# paper-336:t2i+t2v on 64 x h100, 40% MFU, FSDP\n")
    assert "| both                       |     865.8M |" in said
    assert "v2v" not in said


def test_too_many_gpus_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "--preset", "paper-336", "--gpus", "200"])
    assert "v2v has 128 samples a step, so 72 of 200 GPUs would have none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "paper-33"], "unknown preset 'paper-33'; did you mean 'paper-336'"),
        (["--gpu", "h10"], "unknown GPU 'h10'; did you mean 'h100'"),
        (["--gpus", "0"], r"machine: expected gpus >= 1 and mfu in \(0, 1\], got 0 and 0.4"),
        (["--mfu", "1.2"], r"machine: expected gpus >= 1 and mfu in \(0, 1\], got 8 and 1.2"),
        (["--tasks", "t2i"], "tasks: expected --preset beside --tasks t2i, got none"),
        (["--preset", "paper-336", "--tasks", "s2i"], "preset paper-336: expected some of its tasks t2i, v2v, t2v"),
    ],
)
def test_bad_options(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        main(["plan", *arguments])


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "  plan       What a preset takes: parameters by part" in capsys.readouterr().out


def test_how_numbers_are_written() -> None:
    assert [number(each) for each in (77, 7_240, 865_797_120, 2.82e12)] == ["77", "7.2k", "865.8M", "2.8T"]
    assert [operations(each) for each in (5e9, 2.07e15, 1.07e22)] == ["5 GFLOP", "2.07 PFLOP", "10.7 ZFLOP"]
    assert [duration(each) for each in (0.0001, 0.01, 0.5, 4.7, 302)] == [
        "< 1 min", "14 min", "12 hours", "4.7 days", "302 days",
    ]  # fmt: skip
