"""The command line: encode, verify, show, each with its sentence where something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from made_shards import tokenizer
from small_datasets import BUILD

from nuwa.data.readers import READERS
from nuwa.data.shards import Shards
from nuwa.data.shards.__main__ import main
from nuwa.errors import run_cli
from nuwa.training import checkpoint


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    weights = tmp_path / "weights.safetensors"
    checkpoint.save_weights(weights, tokenizer(), {"model": asdict(tokenizer().config)})
    return ["--tokenizer", str(weights), "--out", str(tmp_path / "out"), "--device", "cpu"]


def test_write_verify_show(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*options, "--num", "20", "--samples-per-shard", "8", "--read-px", "20", "--views", "centre", "top-left"])
    out = tmp_path / "out"
    assert capsys.readouterr().out == f"{out}: 3 shards made, 0 kept\n"
    main(["verify", "--folder", str(out)])
    assert capsys.readouterr().out == f"{out}: 3 shards are whole\n"
    main(["show", "--folder", str(out)])
    shown = capsys.readouterr().out
    for part in (
        "20 in 3 shards, 0 left out",
        "1x4x4 of 32 codes, uint16",
        "centre, top-left",
        Shards(out).fingerprint,
    ):
        assert part in shown


@pytest.mark.parametrize("data", ["sprites", "sprites-clips"])
def test_every_dataset(options: list[str], tmp_path: Path, data: str) -> None:
    main(["write", *options, "--data", data, "--num", "4", "--frames", "2", "--split", "val"])
    shards = Shards(tmp_path / "out", tokenizer())
    assert (shards.plan.dataset, shards.plan.split, len(shards)) == (data, "val", 4)
    assert shards.grid.t == (2 if data == "sprites-clips" else 1)


def test_coco(options: list[str], tmp_path: Path, make_coco: Callable[..., Path]) -> None:
    main(["write", *options, "--data", "coco", "--root", str(make_coco()), "--split", "val"])
    shards = Shards(tmp_path / "out")
    assert (shards.plan.dataset, shards.plan.version, shards.plan.split) == ("coco", "2017", "val")
    assert [line.id for line in shards.lines(np.arange(5))] == ["12", "14", "25", "31", "40"]


@pytest.mark.parametrize("name", [name for name in READERS if name != "coco"])
def test_every_reader(options: list[str], tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    BUILD[name](tmp_path / "data")
    split = READERS[name](tmp_path / "data").split
    main([*options, "--data", name, "--root", str(tmp_path / "data"), "--split", split, "--frames", "3", "--fps", "10"])
    shards = Shards(tmp_path / "out", tokenizer())
    captions = {"msr-vtt": 6, "vatex": 6, "folder": 6}.get(name, 3)  # of three samples
    assert (shards.plan.dataset, shards.plan.split, len(shards)) == (name, split, captions)
    kind = READERS[name](tmp_path / "data").samples[0].kind
    assert shards.grid.t == (3 if kind == "clip" else 1)
    assert len({line.id for line in shards.lines(np.arange(captions))}) == captions


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--data", "spirtes"], "unknown dataset 'spirtes'; did you mean 'sprites'?"),
        (["--data", "coco"], "coco: expected --root with annotations/"),
        (["--data", "kinetics"], "kinetics: expected --root with the dataset's files, got none"),
        (["--data", "coco", "--root", ".", "--split", "test"], "coco: expected the split train or val, got 'test'"),
        (["--tokenizer", "nowhere"], "tokenizer: expected a weights file"),
        (["--views", "mirror"], "unknown view 'mirror'"),
    ],
)
def test_wrong_options(options: list[str], more: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(main, [*options, "--num", "4", *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert "\n" not in error.strip()


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(main, ["verfy"]) == 2
    assert "unknown command 'verfy'; did you mean 'verify'?" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["write", "verify", "show"]
