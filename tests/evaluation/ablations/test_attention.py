"""The attention ablation: which cells it makes, equal budgets, what it measures, and a whole run killed and continued."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from evaluation import strict
from evaluation.ablations import attention
from evaluation.ablations.attention import AttentionOptions, choices
from evaluation.ablations.cells import Cell, prepare
from evaluation.ablations.costs import costs, flops, inputs, measure, read_costs
from evaluation.ablations.executors import ROOT
from evaluation.ablations.grids import GridOptions, _costs, _scored, _trained, shared_tokenizers
from evaluation.ablations.record import read_ablation
from evaluation.ablations.runner import Outcome
from evaluation.ablations.sizes import SIZES
from evaluation.ablations.trained import Setting, share, tokenizers, tokenizers_sha256
from nuwa.attention import Block3D, Full, Nearby3D, cost
from nuwa.grid import Grid
from nuwa.model.nuwa import NuwaModel
from nuwa.system import Nuwa
from nuwa.tasks import TASKS
from nuwa.training.on_sprites import sprites_data

SMOKE = AttentionOptions(preset="smoke", seeds=(0, 1), num=8, device="cpu")


def test_the_six_pairs_of_table_6_are_the_rows() -> None:
    found = choices(SMOKE.settled())
    assert [choice.name for choice in found] == ["NÜWA-FF", "NÜWA-NF", "NÜWA-FN", "NÜWA-AA", "NÜWA-BB", "NÜWA-NN"]
    assert found[2].said == {"encoder": "full", "decoder": "nearby3d 3×3×3"}
    assert {choice.setting.way for choice in found} == {"sketch alone"}
    preset = found[4].setting.resolve()
    assert preset.model.encoder_attention == Block3D(block=(None, 4, 4))
    assert list(preset.transformer.tasks) == ["s2v"]


def test_without_a_sketch_each_decoder_comes_once() -> None:
    found = choices(replace(SMOKE, task="t2v").settled())
    assert [choice.name for choice in found] == ["NÜWA-FF", "NÜWA-AA", "NÜWA-BB", "NÜWA-NN"]
    assert {choice.setting.way for choice in found} == {None}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pairs": ("FF", "NN", "FF")}, "FF and FF are the same model; ask for one"),
        ({"pairs": ("NN", "N3x3x3N")}, "NN and N3x3x3N are the same model"),
        ({"task": "t2v", "pairs": ("FF", "NF")}, "since the encoder of t2v reads text alone"),
        ({"task": "v2v"}, "expected one of t2i, s2i, t2v, s2v"),
        ({"task": "s2w"}, "unknown task 's2w'; did you mean"),
        ({"pairs": ("FX",)}, "letters of one variant"),
        ({"preset": "tinny"}, "did you mean 'tiny'"),
        ({"seeds": (1, 1)}, "seeds: expected each once"),
        ({"num": 1}, "expected num >= 2"),
        ({"jobs": 0}, "at least 1 cell at once"),
        ({"steps": 0}, "steps: expected at least 1"),
        ({"cluster": ("timeout_min",), "executor": "slurm"}, "expected NAME=VALUE"),
    ],
)
def test_wrong_options_are_one_sentence(changes: dict[str, object], says: str) -> None:
    def begin() -> None:
        options = replace(SMOKE, **changes).settled()  # type: ignore[arg-type]
        choices(options)
        options.run_on()

    with pytest.raises(ValueError, match=says):
        begin()


def test_a_quick_run_has_two_seeds_and_a_small_model() -> None:
    options = AttentionOptions(quick=True).settled()
    assert (options.seeds, options.preset, options.num) == ((0, 1), "quick", 256)
    assert AttentionOptions().settled().seeds == (0, 1, 2)
    assert SIZES["quick"]().name == "quick"


def test_all_rows_share_tokenizers_steps_data_and_initial_weights() -> None:
    found = choices(SMOKE.settled())
    presets = [choice.setting.resolve(seed=3) for choice in found]
    assert len({tokenizers_sha256(preset) for preset in presets}) == 1
    assert len({repr(preset.transformer) for preset in presets}) == 1  # steps, batch, order of the data
    assert presets[0].transformer.seed == 3
    weights = []
    for preset in presets:
        torch.manual_seed(preset.transformer.seed)  # as the training does
        weights.append(NuwaModel(preset.config(vocab_size=50)).state_dict())
    for state in weights[1:]:
        assert state.keys() == weights[0].keys()
        assert all(torch.equal(value, weights[0][name]) for name, value in state.items())


def test_what_shapes_a_result_is_in_the_fingerprint() -> None:
    base = SMOKE.settled().setting("s2v", attention="FN")
    others = [
        replace(base, attention="NN"),
        replace(base, steps=3),
        replace(base, batch=4),
        replace(base, stem="raster"),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert base.fingerprint == replace(base, num=99).fingerprint  # how it is scored is in the config itself


def test_settings_pass_through_json() -> None:
    setting = SMOKE.settled().setting("s2v", attention="FN", way="sketch alone")
    assert strict.decode(Setting, json.loads(json.dumps(strict.plain(setting)))) == setting


def test_rows_with_other_tokenizers_are_refused() -> None:
    one, other = choices(replace(SMOKE, pairs=("FF", "NN")).settled())
    with pytest.raises(ValueError, match="NÜWA-NN: expected the tokenizers of the other rows"):
        shared_tokenizers([one, replace(other, setting=replace(other.setting, preset="tiny"))])


def test_tokenizers_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected the shared tokenizers, found none"):
        share(tmp_path / "nowhere", tmp_path / "here")


def test_tokenizers_are_copied_whole(tmp_path: Path) -> None:
    (tmp_path / "from" / "tokenizer").mkdir(parents=True)
    (tmp_path / "from" / "tokenizer" / "weights.safetensors").write_text("weights")
    (tmp_path / "to" / ".tokenizer.part").mkdir(parents=True)  # left by a copy that was killed
    (tmp_path / "to" / ".tokenizer.part" / "half").touch()
    for _ in range(2):
        share(tmp_path / "from", tmp_path / "to")
        assert [path.name for path in (tmp_path / "to" / "tokenizer").iterdir()] == ["weights.safetensors"]
        assert [path.name for path in (tmp_path / "to").iterdir()] == ["tokenizer"]


def test_failed_tokenizers_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(cells: list[Cell], *_: object, **__: object) -> Outcome:
        return Outcome(failed={cells[0]: "no data"})

    monkeypatch.setattr("evaluation.ablations.grids.run_cells", failing)
    with pytest.raises(ValueError, match="the tokenizers that all models share failed: no data"):
        attention.run(replace(SMOKE, out=tmp_path))


@pytest.fixture(scope="module", params=[Full(), Nearby3D()], ids=["full", "nearby3d"])
def system(request: pytest.FixtureRequest, checkpoint: Path) -> Nuwa:
    """A system of the preset smoke with this attention and random weights."""
    trained = Nuwa.from_pretrained(checkpoint)
    config = replace(trained.model.config, encoder_attention=request.param, decoder_attention=request.param)
    return Nuwa(
        trained.tokenizer,
        trained.text,
        NuwaModel(config),
        trained.sampling,
        sketch_tokenizer=trained.sketch_tokenizer,
        tasks=trained.tasks,
    )


def test_operations_are_those_of_torchs_counter(system: Nuwa) -> None:
    """The counter sees every product of the linear maps; attention is counted apart, from the pairs that meet."""
    source = sprites_data(32, 5, num_held_out=8, num_captions=200).clips
    assert source is not None
    config, one = system.model.config, inputs(source, TASKS["s2v"])
    whole, attention_part = flops(system, TASKS["s2v"], one)
    text, assert_sketch = system.text.encode(one["captions"]), system.sketch_tokenizer
    assert assert_sketch is not None
    sketch = assert_sketch.encode(one["sketches"])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        conditions = system.model.conditions(text.ids, text.valid, sketch=sketch)
        system.model.decoder(torch.zeros(1, config.grid.size, dtype=torch.int64), conditions)
    counted = counter.get_flop_counts()["Global"]
    products = sum(number for op, number in counted.items() if str(op).startswith(("aten.mm", "aten.addmm")))
    borders = 13 * config.grid.size - int(system.model.decoder.stem.sources(config.grid, "cpu")[1].sum())
    assert whole - attention_part == products - 2 * borders * config.d**2  # what the stem computes and then hides
    of = partial(cost, num_heads=config.num_heads, head_width=config.d // config.num_heads)
    words, spec = conditions[0].grid, config.decoder_specs[0]
    a_layer = [of(spec, config.grid, causal=True), of(Full(), config.grid, words)]
    a_layer.append(of(spec, config.grid, Grid(*sketch.shape[1:])))
    encoder = of(Full(), words).flops + of(spec, config.grid).flops
    expected = config.decoder_layers * sum(each.flops for each in a_layer) + config.encoder_layers * encoder
    assert attention_part == expected


def test_costs_are_measured(checkpoint: Path) -> None:
    system = Nuwa.from_pretrained(checkpoint)
    source = sprites_data(32, 5, num_held_out=8, num_captions=200).clips
    assert source is not None
    preset = SIZES["smoke"]()
    found = measure(system, preset.transformer, source, TASKS["s2v"])
    assert found.train_tokens_per_s > 0
    assert found.decode_s > 0
    assert found.decode_steps == 38  # 22 of a frame of 8×8 tokens, and four more for each of the others
    assert 0.1 < found.peak_memory_gib < 16
    assert found.flops > found.attention_flops > 0


def test_costs_need_no_trained_weights(tmp_path: Path) -> None:
    """They are measured where nothing but the tokenizers is left of the run, and leave nothing but their numbers."""
    choice = choices(replace(SMOKE, pairs=("FN",)).settled())[0]
    shared = shared_tokenizers([choice])
    trained = _trained(choice, 0, shared)
    cell = _costs(choice, _scored(choice, trained))
    tokenizers(shared.config, shared.seed, prepare(shared, tmp_path), "cpu")
    prepare(trained, tmp_path)
    folder = prepare(cell, tmp_path)
    costs(cell.config, cell.seed, folder, "cpu")
    assert read_costs(folder).decode_steps == 38
    assert {path.name for path in folder.iterdir()} == {"cell.json", "costs.json"}


def test_grid_options_are_shared() -> None:
    assert issubclass(AttentionOptions, GridOptions)


COMMAND = "ablate-attention --preset smoke --pairs FF NN --seeds 0 1 --num 12 --device cpu --jobs 2"


def start(out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "evaluation", *COMMAND.split(), "--out", str(out)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_five_times_the_table_is_the_same(tmp_path: Path) -> None:
    began = time.monotonic()
    assert start(tmp_path / "whole").wait(timeout=900) == 0
    took_s = time.monotonic() - began
    whole = read_ablation(tmp_path / "whole" / "record.json")
    for moment in np.random.default_rng(0).uniform(0.1, 0.9, size=5) * took_s:
        process = start(tmp_path / "killed")
        time.sleep(moment)
        process.kill()
        process.wait()
    assert start(tmp_path / "killed").wait(timeout=900) == 0
    killed = read_ablation(tmp_path / "killed" / "record.json")
    assert [(row.name, row.seeds, row.scores) for row in killed.rows] == [
        (row.name, row.seeds, row.scores) for row in whole.rows
    ]
    assert killed.references == whole.references
    assert not killed.missing
