"""From cells on disk to the record: what is averaged, what is paired, what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import made_ablations as made
import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from evaluation.ablations.cells import Cell
from evaluation.ablations.gather import Gathered, bounds, read_seed
from evaluation.ablations.record import AblationRecord, Curve, read_ablation, write_ablation
from evaluation.ablations.statistics import difference, mean_over
from evaluation.records import GitState, read_record, write_record
from evaluation.replicates import REPLICATES, read_replicates, write_replicates


@pytest.fixture
def record(tmp_path: Path) -> AblationRecord:
    return made.ablation(tmp_path)


def test_rows_are_means_over_seeds_with_paired_differences(tmp_path: Path) -> None:
    configs = made.configs()
    done = made.write_cells(tmp_path, configs)
    rows = Gathered(configs, done, {}).rows({})
    assert [row.name for row in rows] == ["NÜWA-FF", "NÜWA-FN", "NÜWA-NN"]
    seeds = {config.name: [read_seed(done[cell]) for cell in config.cells] for config in configs}
    for metric in (made.FID, made.PA):
        values = {name: np.array([seed.numbers[metric][0].value for seed in found]) for name, found in seeds.items()}
        drawn = {name: np.stack([seed.numbers[metric][1] for seed in found]) for name, found in seeds.items()}
        p_values = []
        for row in rows:
            score = next(each for each in row.scores if (each.name, each.protocol) == metric)
            assert score.values == tuple(values[row.name])
            assert (
                score.ci95
                == mean_over(values[row.name], drawn[row.name], 0.0, 1.0 if metric == made.PA else math.inf).ci95
            )
            if row is rows[0]:
                assert score.versus is None
                continue
            expected = difference(values[row.name], drawn[row.name], values["NÜWA-FF"], drawn["NÜWA-FF"])
            assert score.versus is not None
            assert (score.versus.value, score.versus.ci95) == (expected.value, expected.ci95)
            assert score.versus.seeds == 3
            p_values.append((expected.p_value, score.versus.p_holm))
        plain, corrected = zip(*p_values, strict=True)
        assert corrected == pytest.approx(multipletests(plain, method="holm")[1].tolist())


def test_pairing_sees_what_seeds_hide(record: AblationRecord) -> None:
    """The seeds move all rows by 0.2 together; the gap of FN is 1 and that of NN 0.1."""
    scores = {row.name: row.scores[0] for row in record.rows}
    assert scores["NÜWA-FN"].versus is not None
    assert scores["NÜWA-NN"].versus is not None
    assert scores["NÜWA-FN"].versus.is_significant
    assert scores["NÜWA-FF"].ci95[0] < scores["NÜWA-NN"].mean < scores["NÜWA-FF"].ci95[1]
    assert scores["NÜWA-FN"].versus.ci95[1] - scores["NÜWA-FN"].versus.ci95[0] < 0.3


def test_a_cell_without_a_result_is_named_and_pairs_are_those_of_both(tmp_path: Path) -> None:
    configs = made.configs()
    done = made.write_cells(tmp_path, configs)
    lost = configs[1].cells[2]
    del done[lost]
    gathered = Gathered(configs, done, {lost: "out of memory"})
    rows = gathered.rows({})
    assert [(each.id, each.reason) for each in gathered.missing] == [("NÜWA-FN, seed 2", "out of memory")]
    assert rows[1].seeds == (0, 1)
    assert rows[1].scores[0].versus is not None
    assert rows[1].scores[0].versus.seeds == 2


def test_without_the_first_row_there_are_means_and_no_differences(tmp_path: Path) -> None:
    configs = made.configs()
    done = {cell: place for cell, place in made.write_cells(tmp_path, configs).items() if cell.label != "NÜWA-FF"}
    gathered = Gathered(configs, done, dict.fromkeys(configs[0].cells, "failed"))
    rows = gathered.rows({})
    assert [row.name for row in rows] == ["NÜWA-FN", "NÜWA-NN"]
    assert all(score.versus is None for row in rows for score in row.scores)
    assert gathered.missing[-1].id == "differences"


def test_no_cell_no_table(tmp_path: Path) -> None:
    configs = made.configs(seeds=(0,))
    with pytest.raises(ValueError, match="no cell came to its end, so there is no table: NÜWA-FF, seed 0: bad luck"):
        Gathered(configs, {}, {configs[0].cells[0]: "bad luck"}).check_any()


def test_other_data_is_never_averaged(tmp_path: Path) -> None:
    configs = made.configs()
    done = made.write_cells(tmp_path, configs)
    made.write_cell(
        configs[1].cells[0], tmp_path, made.numbers_of(configs[1], 0), replace(made.DATA, fingerprint="0" * 64)
    )
    with pytest.raises(ValueError, match="NÜWA-FN, seed 0: expected scores on"):
        Gathered(configs, done, {})


def test_another_number_of_samples_is_never_averaged(tmp_path: Path) -> None:
    configs = made.configs()
    done = made.write_cells(tmp_path, configs)
    made.write_cell(configs[2].cells[1], tmp_path, made.numbers_of(configs[2], 1, n=65))
    with pytest.raises(ValueError, match="of 65 samples cannot be averaged with one of 64"):
        Gathered(configs, done, {})


def test_a_metric_that_a_seed_lacks_is_left_out_and_named(tmp_path: Path) -> None:
    configs = made.configs()
    done = made.write_cells(tmp_path, configs)
    made.write_cell(configs[1].cells[0], tmp_path, made.numbers_of(configs[1], 0)[:1])
    gathered = Gathered(configs, done, {})
    rows = gathered.rows({})
    assert [score.name for score in rows[1].scores] == ["FID-vid"]
    assert [each.id for each in gathered.missing] == ["Detected PA of NÜWA-FN"]
    assert rows[2].scores[1].versus is not None


@pytest.mark.parametrize(
    ("metric", "better", "expected"),
    [
        ("FID-vid", False, (0.0, math.inf)),
        ("CLIPSIM", True, (-math.inf, 1.0)),
        ("IS", True, (-math.inf, math.inf)),
    ],
)
def test_bounds(metric: str, better: bool, expected: tuple[float, float]) -> None:
    value = replace(made.number(made.FID, 0.5), name=metric, higher_is_better=better)
    assert bounds(value) == expected


def test_the_record_reads_back_and_an_edited_one_is_refused(record: AblationRecord, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_ablation(path, record)
    assert read_ablation(path) == record
    content = json.loads(path.read_text())
    content["rows"][0]["scores"][0]["mean"] += 0.01
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="changed after the run"):
        read_ablation(path)


def test_losses_are_those_of_the_training_that_was_scored(tmp_path: Path) -> None:
    config = replace(
        made.configs(seeds=(4,))[0],
        cells=(Cell(function="none:none", label="NÜWA-FF", config={"trained": "ff-4-abc"}, seed=4),),
    )
    log = tmp_path / "ff-4-abc" / "training" / "transformer" / "log.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(
        '{"step": 25, "time_s": 1.0, "loss": 3.25, "val_loss": 3.5}\n'
        '{"step": 50, "time_s": 2.0, "loss": 2.5, "val_loss": 2.6, "val_loss_s2v": 2.25, "val_loss_t2v": 2.75}\n'
    )
    (row,) = Gathered([config], made.write_cells(tmp_path, [config]), {}).rows({})
    assert row.curves == (Curve(seed=4, steps=(25, 50), loss=(3.25, 2.5), held_out=((25, 3.5), (50, 2.25))),)


def test_the_commit_is_that_of_the_scores(tmp_path: Path) -> None:
    """What gathers them may be elsewhere; cells of several commits are of none that can be checked out."""
    config = made.configs(seeds=(0, 1))[0]
    done = made.write_cells(tmp_path, [config])
    assert Gathered([config], done, {}).git == made.cell_record("a", ()).git
    last = done[config.cells[-1]] / "record.json"
    for state in (GitState(commit="77aa" * 10, dirty=False), GitState(commit="5d0c9e7f" * 5, dirty=True)):
        write_record(last, replace(read_record(last), git=state))
        assert Gathered([config], done, {}).git == GitState(commit="5d0c9e7f" * 5, dirty=True)


def test_a_curve_without_a_loss_for_each_step_is_refused() -> None:
    with pytest.raises(ValueError, match="a loss for each of 2 steps, got 1"):
        Curve(seed=0, steps=(1, 2), loss=(3.0,))


def test_what_is_no_number_is_refused(record: AblationRecord) -> None:
    with pytest.raises(ValueError, match="expected finite numbers"):
        replace(record.rows[0].scores[0], mean=math.nan)


def test_a_row_twice_is_refused(record: AblationRecord) -> None:
    with pytest.raises(ValueError, match="row 'NÜWA-FF' stands twice"):
        replace(record, rows=(record.rows[0], *record.rows))


def test_replicates_read_back(tmp_path: Path) -> None:
    found = {("NÜWA, K = 1", "FID-0", "fid@sprites-1"): np.arange(5.0), ("a", "b", "c"): np.ones(2)}
    write_replicates(tmp_path / REPLICATES, found)
    again = read_replicates(tmp_path / REPLICATES)
    assert list(again) == list(found)
    assert all(np.array_equal(again[key], values) for key, values in found.items())


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip"])
def test_damaged_replicates_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / REPLICATES).write_bytes(content)
    with pytest.raises(ValueError, match="expected bootstrap replicates"):
        read_replicates(tmp_path / REPLICATES)


def test_a_name_with_a_tab_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without tabs"):
        write_replicates(tmp_path / REPLICATES, {("a\tb", "c", "d"): np.ones(2)})
