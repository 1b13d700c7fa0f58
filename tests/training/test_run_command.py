"""``python -m nuwa.training run``: from a preset's name to a checkpoint that samples."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nuwa.presets import PRESETS
from nuwa.system import Nuwa
from nuwa.training import checkpoint
from nuwa.training.__main__ import main
from nuwa.training.run_command import RunOptions

OPTIONS = ["run", "--preset", "smoke", "--tasks", "t2i", "--device", "cpu"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    main([*OPTIONS, "--ema", "0.9", "--accumulate", "2", "--out", str(out)])
    return out


def test_it_leaves_a_checkpoint(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = Nuwa.from_pretrained(out / "checkpoint").t2i("a large red ring in the upper left on a navy background")
    assert picture.shape == (3, 32, 32)
    main([*OPTIONS, "--ema", "0.9", "--out", str(out)])  # nothing is trained again, in other parts too
    assert capsys.readouterr().out == f"{out / 'checkpoint'}: trained for t2i\n"


def test_the_average_is_part_of_the_settings(out: Path) -> None:
    for part in ("tokenizer", "transformer"):
        config = checkpoint.read_config(out / "training" / part / checkpoint.WEIGHTS)
        settings = config.get("training", config)
        assert settings["ema"] == 0.9
        assert "accumulate" not in settings
    with pytest.raises(ValueError, match=r"holds a training with other settings \(ema\)"):
        main([*OPTIONS, "--ema", "0.5", "--out", str(out)])


def test_another_preset_in_the_folder_is_told_by_its_fields(out: Path) -> None:
    with pytest.raises(ValueError, match=r"holds a training with other settings \(batch, model.num_codes, .*steps\)"):
        main(["run", "--preset", "tiny", "--tasks", "t2i", "--device", "cpu", "--ema", "0.9", "--out", str(out)])


def test_options_shape_the_preset() -> None:
    preset = RunOptions(preset="smoke", ema=0.99, accumulate=3).chosen
    assert preset.sketch is not None
    for part in (preset.tokenizer, preset.sketch, preset.transformer):
        assert (part.ema, part.accumulate) == (0.99, 3)
    assert RunOptions(preset="smoke").chosen == PRESETS["smoke"]()
    assert RunOptions(preset="smoke", tasks=("t2i",)).chosen == PRESETS["smoke"]().only("t2i")


def test_help_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "run        Train a preset's tokenizers and model" in capsys.readouterr().out
