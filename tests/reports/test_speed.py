"""Tables and plots of a benchmark's record: numbers are those of the record, and what is absent says why."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.records import Environment, GitState, Record, write_record
from evaluation.speed import Direction, Measurement, SpeedRecord, Times, TrainingFigures, write_speed
from nuwa.attention import ATTENTION
from reports import render, speed
from reports.__main__ import main
from reports.collect import collect
from reports.figures import sheet
from reports.speed_figures import cost_panels, decoding_panels
from reports.style import DARK, LIGHT, Theme, png
from reports.tables import Table

GRIDS = [(1, 21, 21), (4, 32, 32), (10, 21, 21), (10, 32, 32), (32, 32, 32)]
PACE = {("full", "sdpa"): (0.3, 2.0), ("nearby3d", "gather"): (0.015, 1.0), ("nearby3d", "sdpa"): (0.6, 2.0)}


def tokens(grid: tuple[int, int, int]) -> int:
    return grid[0] * grid[1] * grid[2]


def timed(seconds: float) -> Times:
    return Times(median=seconds, min=0.9 * seconds, max=1.5 * seconds, rounds=5, first=2 * seconds)


def measurement(**changes: Any) -> Measurement:
    settings = {
        "group": "attention",
        "name": "nearby3d",
        "peer": False,
        "backend": "gather",
        "direction": "forward",
        "grid": (10, 21, 21),
        "setting": "20 heads of 64, batch 1",
        "dtype": "float32",
        "times": None,
        "agreement": None,
        "peak_extra_bytes": None,
        "query_bytes": 1000,
        "flops": None,
        "steps": None,
        "not_run": None,
    }
    return Measurement(**{**settings, **changes})


def attention(direction: Direction, factor: float) -> list[Measurement]:
    rows = []
    for (name, backend), (seconds, power) in PACE.items():
        for grid in GRIDS:
            found = factor * seconds * (tokens(grid) / 4410) ** power
            run = (
                {"times": timed(found), "peak_extra_bytes": 1250}
                if found < 20
                else {"not_run": f"about {found:.0f} s a pass"}
            )
            rows.append(measurement(name=name, backend=backend, direction=direction, grid=grid, **run))
    theirs = {"name": "nuwa-pytorch", "peer": True, "backend": "Sparse3DNA", "direction": direction}
    return [
        *rows,
        measurement(**theirs, times=timed(2.1 * factor)),
        measurement(**{**theirs, "name": "NATTEN", "backend": "na3d"}, not_run="not installed"),
    ]


def decoding(grid: tuple[int, int, int], **steps: int) -> list[Measurement]:
    return [
        measurement(
            group="decoding",
            name=name,
            backend=backend,
            direction="sampling",
            grid=grid,
            setting="12 layers",
            query_bytes=None,
            times=timed(0.01 * count),
            steps=count,
        )
        for name, diagonal in steps.items()
        for backend, count in (("diagonal", diagonal), ("one by one", tokens(grid)))
    ]


def make(*rows: Measurement, name: str = "bench", threads: int = 2) -> SpeedRecord:
    generate = measurement(
        group="decoding",
        name="nuwa-pytorch",
        peer=True,
        backend="generate",
        direction="sampling",
        grid=(10, 21, 21),
        setting="12 layers",
        times=timed(970.0),
        steps=4410,
    )
    every = [
        *attention("forward", 1.0),
        *attention("forward+backward", 4.0),
        *decoding((10, 21, 21), full=4410, nearby3d=97),
    ]
    return SpeedRecord(
        name=name,
        date="2026-11-25",
        quick=False,
        environment=Environment(python="3.11", torch="2.14", device="cpu (chip)", threads=threads, precision="float32"),
        packages={"nuwa-pytorch": "0.7.8", "natten": None},
        git=GitState(commit="a" * 40, dirty=False),
        command="python -m benchmarks",
        rows=rows or (*every, generate),
    )


def cells(table: Table, row: str, group: str) -> dict[str, str]:
    """Printed cells of a row by their column's heading, "–" where there is none."""
    (found,) = (r for g in table.groups if g.title == group for r in g.rows if r.name == row)
    return {c.heading: cell.text if cell else "–" for c, cell in zip(table.columns, found.cells, strict=True)}


def test_cost_against_tokens() -> None:
    table = speed.cost_table(make(), "forward")
    assert table is not None
    nearby = cells(table, "gather", "nearby3d")
    assert nearby["10×21×21 (ms) ↓"] == "15.0"
    assert nearby["32×32×32 (ms) ↓"] == "111"
    assert nearby["exponent ↓"] == "1.00"
    assert nearby["peak memory at 10×21×21 (size of Q) ↓"] == "1.2"
    assert cells(table, "sdpa (dense causal SDPA)", "full")["exponent ↓"] == "2.00"
    masked = cells(table, "sdpa", "nearby3d")
    assert masked["32×32×32 (ms) ↓"] == "too long"
    assert [c.metric for c in table.columns[:5]] == ["1×21×21", "4×32×32", "10×21×21", "10×32×32", "32×32×32"]


def test_what_was_not_run_is_named_with_its_reason() -> None:
    table = speed.cost_table(make(), "forward")
    assert table is not None
    notes = [text for _, text in table.notes]
    assert "Not run: nearby3d by sdpa on 32×32×32: about 33 s a pass." in notes
    assert "Not run: NATTEN by na3d on 10×21×21: not installed." in notes


def test_a_grid_where_nothing_ran_is_one_note() -> None:
    absent = [measurement(backend=backend, not_run="too many cells") for backend in ("gather", "sdpa")]
    table = speed.cost_table(make(*absent, measurement(grid=(1, 21, 21), times=timed(1.0))), "forward")
    assert table is not None
    assert table.notes[-1] == ("", "Not run: everything on 10×21×21: too many cells.")


@pytest.mark.parametrize(
    ("reason", "word"),
    [("out of memory: about 80 GiB", "OOM"), ("about 99 s a pass, more than 30 s", "too long"), ("no compiler", "–")],
)
def test_a_word_in_place_of_a_number(reason: str, word: str) -> None:
    table = speed.cost_table(make(measurement(not_run=reason)), "forward")
    assert table is not None
    assert cells(table, "gather", "nearby3d")["10×21×21 (ms) ↓"] == word


def test_beside_the_peers() -> None:
    table = speed.peers_table(make())
    assert table is not None
    found = cells(table, "gather", "nearby3d")
    assert found["times as fast as dense SDPA ↑"] == "20.0"
    assert found["times as fast as nuwa-pytorch ↑"] == "140.0"
    assert not any("NATTEN" in column.metric for column in table.columns)  # it did not run
    assert "NATTEN" not in [group.title for group in table.groups]
    assert "Not run: NATTEN by na3d: not installed." in [text for _, text in table.notes]


def test_steps_and_wall_clock() -> None:
    table = speed.decoding_table(make())
    assert table is not None
    group = "10×21×21, 4,410 tokens, 12 layers"
    assert list(cells(table, "nearby3d", group).values()) == ["4,410", "97", "45.5", "44.1", "0.970", "45.5"]
    assert list(cells(table, "full", group).values())[:3] == ["4,410", "4,410", "1.0"]


def test_training_steps() -> None:
    """MFU in per cent, and no number where the device's peak is not known."""
    figures = TrainingFigures(samples=80, parameters=9, tokens_per_s=1.17e5, mfu=0.412, peak_bytes=70 * 2**30)
    common = {"group": "training", "direction": "training step", "setting": "paper-336", "grid": (1, 21, 21)}
    rows = [
        measurement(**common, name="NN", backend="compiled", times=timed(0.3), training=figures),
        measurement(**common, name="FF", backend="eager", times=timed(0.5), training=replace(figures, mfu=None)),
        measurement(**common, name="AA", backend="eager", not_run="out of memory"),
    ]
    table = speed.training_table(make(*rows))
    assert table is not None
    text = {row.name: [cell and cell.text for cell in row.cells] for group in table.groups for row in group.rows}
    assert text == {
        "NN, compiled": ["0.300", "41.2", "117,000", "80", "70.0"],
        "FF, eager": ["0.500", None, "117,000", "80", "70.0"],
        "AA, eager": ["OOM", None, None, None, None],
    }
    assert speed.training_table(make()) is None
    assert list(speed.tidy(make(*rows), "training")["mfu"].dropna()) == [0.412]


@pytest.mark.parametrize(
    ("grids", "expected"),
    [(GRIDS, 1.5), (GRIDS[:3], None), ([GRIDS[1], GRIDS[2], GRIDS[4]], 1.5)],
    ids=["all", "two of 1,000 tokens and more", "three"],
)
def test_exponent(grids: list[tuple[int, int, int]], expected: float | None) -> None:
    """Exact for a power law; the small grid, whose fixed price is large, does not count."""
    rows = [measurement(grid=grid, times=timed(1.0 if grid == (1, 21, 21) else tokens(grid) ** 1.5)) for grid in grids]
    assert speed.exponent(rows) == (expected and pytest.approx(expected))


@pytest.mark.parametrize("write", [render.markdown, render.latex], ids=["markdown", "latex"])
def test_tables_are_written_down(write: Callable[[Any], str]) -> None:
    made = speed.tables(make())
    assert list(made) == ["cost", "decoding"]
    text = write(made["cost"])
    assert "15.0" in text
    assert text == write(speed.tables(make())["cost"])


def test_csv_is_the_record_unrounded() -> None:
    lines = list(csv.DictReader(speed.csv(make(), "attention").splitlines()))
    assert len(lines) == 2 * (len(PACE) * len(GRIDS) + 2)
    (line,) = (
        x
        for x in lines
        if (x["name"], x["backend"], x["grid"], x["direction"]) == ("nearby3d", "gather", "4x32x32", "forward")
    )
    assert float(line["median_s"]) == 0.015 * (4096 / 4410)
    assert line["peak_extra_bytes"] == "1250"
    assert line["steps"] == ""


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_plots_have_the_same_bytes_each_time(theme: Theme) -> None:
    parts = [*cost_panels(make()), *decoding_panels(make())]
    assert [part.title for part in parts] == [
        "Attention, forward",
        "Attention, forward and backward",
        "Decoding steps, 10×21×21",
        "Decoding time, 10×21×21",
    ]
    assert png(sheet(parts, theme), 60) == png(sheet(parts, theme), 60)


def test_the_fastest_backend_is_drawn_on_logarithmic_axes() -> None:
    axes = sheet(list(cost_panels(make()))[:1], LIGHT).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    (nearby,) = (line for line in axes.lines if line.get_color() == LIGHT.series[0])
    assert list(nearby.get_xdata()) == sorted(map(tokens, GRIDS))
    assert list(nearby.get_ydata()) == pytest.approx([1000 * 0.015 * tokens(grid) / 4410 for grid in GRIDS])
    names = {text.get_text() for text in axes.texts}
    assert {"nearby3d (1.00)", "dense SDPA (2.00)", "nuwa-pytorch"} <= names


def test_words_for_those_who_cannot_see_the_plots() -> None:
    forward, _, steps, _ = [*cost_panels(make()), *decoding_panels(make())]
    assert "nearby3d: 441 tokens 1.5 ms" in forward.alt
    assert "nearby3d by diagonal: 97" in steps.alt


def test_nothing_is_drawn_of_nothing() -> None:
    record = make(measurement(not_run="no compiler"))
    assert not [*cost_panels(record), *decoding_panels(record)]
    assert list(speed.tables(record)) == ["cost"]


@pytest.fixture
def runs(tmp_path: Path, make_record: Callable[..., Record]) -> Path:
    write_record(tmp_path / "runs" / "eval" / "record.json", make_record())
    write_speed(tmp_path / "runs" / "bench" / "record.json", make())
    return tmp_path / "runs"


def test_both_kinds_of_records_are_told_apart(runs: Path, tmp_path: Path) -> None:
    write_speed(tmp_path / "records" / "bench-cpu.json", make(threads=8))
    found = collect(tmp_path / "records", runs)
    assert list(found.records) == ["eval-t2i"]
    assert list(found.benchmarks) == ["bench-cpu", "bench"]


def test_build_adds_speed_and_patterns(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    main(["build", "--records", str(tmp_path / "none"), "--runs", str(runs), "--out", str(out)])
    assert "benchmarks: bench\n" in capsys.readouterr().out
    for name in ("bench-cost.png", "bench-decoding.tex", *(f"attention-{name}.png" for name in ATTENTION)):
        assert (out / name).stat().st_size > 500
    page = (out / "index.html").read_text(encoding="utf-8")
    texts = ("Cost of causal attention against tokens, forward", "Attention patterns", "natten not installed")
    for text in texts:
        assert text in page


def test_speed_writes_into_the_runs_folder(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["speed", str(runs / "bench")])
    assert "Decoding: steps and wall clock" in capsys.readouterr().out
    assert {path.name for path in (runs / "bench").iterdir()} == {
        "record.json",
        *(f"{name}.{suffix}" for name in ("cost", "decoding") for suffix in ("md", "csv", "tex", "html", "png")),
    }


def test_a_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a benchmark's folder with record\.json, got none"):
        main(["speed", str(tmp_path)])
