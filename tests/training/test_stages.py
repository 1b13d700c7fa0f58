"""Both stages: they learn, and a training that was stopped ends with the weights of one that was not."""

from __future__ import annotations

import copy
import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from nuwa.tasks import TASKS
from nuwa.tokenizers.quantize import Usage
from nuwa.training import checkpoint
from nuwa.training.codebook import CodebookCollapse
from nuwa.training.loop import LOG

from .stages import (
    STAGES,
    STEPS,
    OneBatch,
    Stopping,
    last_step,
    outcome,
    sketch_stage,
    tasks_stage,
    tokenizer_stage,
    train,
    transformer_stage,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Sums over several threads may come out in another order."""
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", STAGES)
def test_stopped_and_gone_on_is_never_stopped(name: str, tmp_path: Path) -> None:
    """Stopped before the codes are set and in the middle: weights and log are equal to the bit."""
    make, steps = STAGES[name], STEPS[name]
    train(make(), tmp_path / "whole", steps)
    for before in (1, steps - 5):
        with pytest.raises(KeyboardInterrupt):
            train(Stopping(make(), before), tmp_path / "parts", steps)
    assert last_step(tmp_path / "parts") == steps - 5
    train(make(), tmp_path / "parts", steps)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_any_moment(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Twenty times, half of them while it writes or trains, the others also while it starts: nothing is lost or damaged."""
    steps, folder, moments = 500, tmp_path / "killed", random.Random(0)
    train(transformer_stage(steps=steps), tmp_path / "whole", steps)
    command = [sys.executable, str(ROOT / "tests" / "training" / "stages.py"), str(folder), str(steps)]
    reached = []
    for kill in range(20):
        begun = last_step(folder)
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        while process.poll() is None and kill % 2 and last_step(folder) == begun:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.5 if kill % 2 else 6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        log = folder / LOG
        logged = len(log.read_text().splitlines()) if log.exists() else 0
        reached.append(last_step(folder))
        assert logged - reached[-1] <= 2, "more is lost than one step between checkpoints, and the line that was cut"
    assert reached == sorted(reached)
    assert 10 < reached[-1] < steps
    train(transformer_stage(steps=steps), folder, steps)
    assert outcome(folder) == outcome(tmp_path / "whole")
    assert "damaged" not in capfd.readouterr().err


@pytest.mark.parametrize("accumulate", [2, 3])
@pytest.mark.parametrize("name", STAGES)
def test_parts_of_a_batch_train_as_the_whole_does(name: str, accumulate: int) -> None:
    """Eight samples as 4 + 4 and as 2 + 3 + 3: every step, from the same state, has the same gradient to rounding."""
    more: dict[str, Any] = {"dropout": 0.0} if name == "transformer" else {}
    whole, parts = STAGES[name](**more), STAGES[name](accumulate=accumulate, **more)
    assert parts.config == whole.config
    for index in range(STEPS[name]):
        for kind in ("modules", "optimizers"):
            for key, value in getattr(whole, kind).items():
                getattr(parts, kind)[key].load_state_dict(copy.deepcopy(value.state_dict()))
        found = []
        for stage in (whole, parts):
            torch.manual_seed(index)
            found.append({key: value.item() for key, value in stage.step(index).items()})
        assert found[1] == pytest.approx(found[0], rel=1e-3), index
        for module, other in zip(whole.modules.values(), parts.modules.values(), strict=True):
            for (key, one), two in zip(module.named_parameters(), other.parameters(), strict=True):
                if one.grad is not None:
                    torch.testing.assert_close(two.grad, one.grad, rtol=1e-3, atol=1e-5, msg=f"{index} {key}")
            for (key, one), two in zip(module.named_buffers(), other.buffers(), strict=True):
                torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-4, msg=f"{index} {key}")


@pytest.mark.parametrize("name", STAGES)
def test_parts_go_on_where_the_whole_stopped(name: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Stopping(STAGES[name](), 3), tmp_path, STEPS[name])
    stage = Stopping(STAGES[name](accumulate=3), -1)
    train(stage, tmp_path, STEPS[name])
    assert [line["step"] for line in outcome(tmp_path)[1]] == list(range(1, STEPS[name] + 1))


@pytest.mark.parametrize("name", STAGES)
def test_a_step_is_a_function_of_its_index_and_the_state(name: str) -> None:
    one, other = STAGES[name](), STAGES[name]()
    torch.randn(100)  # the construction is seeded too
    for stage in (one, other):
        torch.manual_seed(11)
        stage.step(0)
    for key, value in one.modules["model"].state_dict().items():
        assert torch.equal(value, other.modules["model"].state_dict()[key]), key


@pytest.mark.parametrize("name", STAGES)
def test_the_config_is_plain_json_and_names_everything(name: str) -> None:
    config = STAGES[name]().config
    json.dumps(config, allow_nan=False)
    assert config["data"] == "sprites"
    assert config["precision"] == "float32"
    assert STAGES[name](lr=0.5).config != config != STAGES[name](seed=1).config


def test_the_transformer_learns_one_batch_by_heart() -> None:
    stage = transformer_stage(OneBatch(), steps=60, caption_dropout=0.0)
    losses = [stage.step(index)["loss"].item() for index in range(60)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_tokenizer_learns_one_batch_by_heart() -> None:
    stage = tokenizer_stage(OneBatch(), steps=40, adversarial=0.0)
    pixels = []
    for index in range(40):
        torch.manual_seed(index)
        pixels.append(stage.step(index)["pixels"].item())
    assert pixels[-1] < 0.75 * pixels[0]
    assert stage.validate()["usage"] > 0.3


def test_the_sketch_tokenizer_learns_one_batch_by_heart() -> None:
    stage = sketch_stage(OneBatch(), steps=40, lr=6e-3)
    losses, before = [], stage.validate()
    for index in range(40):
        torch.manual_seed(index)
        losses.append(stage.step(index)["cross_entropy"].item())
    assert losses[-1] < 0.5 * losses[0]
    after = stage.validate()
    assert before["val_fwiou"] < after["val_fwiou"] < after["val_pa"] < 1


def test_the_moments_of_the_tokenizers_training() -> None:
    """An autoencoder, then codes from k-means, then a critic that learns, then one that is listened to."""
    stage = tokenizer_stage(restart_every=1000)
    codes, critic = stage.model.codebook.codes, stage.critic.get_parameter("layers.0.bias")
    reported, moved = [], []
    for index in range(8):
        torch.manual_seed(index)
        before = codes.clone(), critic.detach().clone()
        reported.append(set(stage.step(index)) - {"loss", "gradient_norm", "pixels", "perceptual"})
        moved.append((not torch.equal(codes, before[0]), not torch.equal(critic, before[1])))
    listened = {"commitment", "critic", "adversarial", "adaptive_weight"}
    assert reported == [set(), *[{"commitment"}] * 4, {"commitment", "critic"}, listened, listened]
    assert moved == [(False, False), *[(True, False)] * 4, *[(True, True)] * 3]


def test_the_codes_start_in_use() -> None:
    stage = tokenizer_stage()
    torch.manual_seed(0)
    stage.step(0)
    before = Usage.of(stage.model.eval().encode(stage.validation), 32)
    stage.step(1)
    after = Usage.of(stage.model.eval().encode(stage.validation), 32)
    assert after.perplexity > before.perplexity
    assert after.share > 0.5


@pytest.mark.parametrize("off", ["adversarial", "perceptual"])
def test_a_weight_of_zero_leaves_a_term_out(off: str) -> None:
    stage = tokenizer_stage(**{off: 0.0}, quantise_from=0.0, critic_from=0.0, adversarial_from=0.0)
    scalars = stage.step(0)
    if off == "adversarial":
        assert not {"adversarial", "adaptive_weight", "critic"} & scalars.keys()
    else:
        assert scalars["perceptual"] == 0
        assert stage.config["perceptual_net"] is None


@pytest.mark.parametrize("make", [tokenizer_stage, sketch_stage])
@pytest.mark.parametrize("steps", [1, 3, 5])
def test_trainings_of_a_few_steps_run_through(steps: int, make: Any, tmp_path: Path) -> None:
    """Every share of the steps may round to nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CodebookCollapse)
        train(make(steps=steps), tmp_path, steps)
    assert (tmp_path / checkpoint.WEIGHTS).exists()


@pytest.mark.parametrize("make", [tokenizer_stage, sketch_stage])
def test_collapse_is_said_aloud(make: Any) -> None:
    stage = make()
    stage.model.codebook.codes.copy_(stage.model.codebook.codes[:1].clone())
    with pytest.warns(CodebookCollapse, match=r"codebook collapse: 3% of 32 codes in use; lower the learning rate"):
        found = stage.validate()
    assert found["usage"] == 1 / 32
    assert found["perplexity"] == pytest.approx(1)


@pytest.mark.parametrize("make", [tokenizer_stage, sketch_stage])
def test_validation_changes_nothing(make: Any) -> None:
    stage = make()
    stage.step(0)
    before = {key: value.clone() for key, value in stage.model.state_dict().items()}
    first = stage.validate()
    assert stage.validate() == first
    assert all(torch.equal(value, before[key]) for key, value in stage.model.state_dict().items())


@pytest.mark.parametrize("make", [transformer_stage, tasks_stage])
def test_every_parameter_has_one_optimizer(make: Any) -> None:
    stage = make()
    groups = [group for optimizer in stage.optimizers.values() for group in optimizer.param_groups]
    taken = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(taken) == sorted(id(parameter) for parameter in stage.model.parameters())


def test_adam_alone_takes_everything() -> None:
    stage = transformer_stage(optimizer="adam")
    (optimizer,) = stage.optimizers.values()
    assert isinstance(optimizer, torch.optim.AdamW)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(stage.model.parameters()))
    before = {key: value.clone() for key, value in stage.model.state_dict().items()}
    stage.step(0)
    assert any(not torch.equal(value, before[key]) for key, value in stage.model.state_dict().items())


@pytest.mark.parametrize(("dropout", "same"), [(1.0, True), (0.0, False)])
def test_dropped_captions_are_not_read(dropout: float, same: bool) -> None:
    class Renamed(OneBatch):
        def batch(self, step: int, size: int) -> tuple[torch.Tensor, list[str]]:
            pictures, captions = super().batch(step, size)
            return pictures, captions[1:] + captions[:1]

    losses = []
    for stream in (OneBatch(), Renamed()):
        stage = transformer_stage(stream, caption_dropout=dropout)
        torch.manual_seed(0)
        losses.append(stage.step(0)["loss"].item())
    assert (losses[0] == losses[1]) is same


def test_validation_is_the_mean_over_all_tokens() -> None:
    """In batches or at once, also where the last batch is a smaller one."""
    whole, parts = transformer_stage(batch=16), transformer_stage(batch=7)
    assert [len(batch.tokens) for batch in parts.examples.held_out(TASKS["t2i"], 7)] == [7, 7, 2]
    assert parts.validate() == pytest.approx(whole.validate(), abs=1e-6)
    assert whole.validate()["val_loss"] != whole.validate()["val_loss_without_caption"]
