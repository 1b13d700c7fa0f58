"""Choices that nobody has published, under equal budgets: how far a window reaches, what stands at the decoder's input, and how
what stands for the tokens begins.

``nox -s ablate-design``. The stem "nearby" puts the query on the cell it predicts and "raster" is the usual shift; the tokens
of the second cannot be drawn along diagonals.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluation.ablations.attention import DEFAULT_WAY, check_task
from evaluation.ablations.ending import finish
from evaluation.ablations.grids import Choice, GridOptions, run_grid
from evaluation.ablations.record import AblationRecord

NAME = "ablate-design"


@dataclass(frozen=True, kw_only=True)
class DesignOptions(GridOptions):
    """Nearby attention with windows of 3, 5 and 7 tokens, the stems nearby and raster, and tables from codes or random."""

    task: str = "s2v"  # what the models do: s2v, t2v, t2i or s2i
    extents: tuple[int, ...] = (
        3,
        5,
        7,
    )  # full widths of the window, the same along every axis; the first is compared with
    out: Path = Path("runs/ablate-design")  # folder for everything that is made


def run(options: DesignOptions) -> AblationRecord:
    """Run the ablation; SystemExit where a cell failed, after the record of the others is written."""
    settled = options.settled()
    return finish(run_grid(NAME, settled, choices(settled)), settled.out)


def choices(options: DesignOptions) -> list[Choice]:
    """The extents, and the first of them with the stem raster and with random tables. ValueError for none or an even one."""
    if not options.extents:
        raise ValueError("extents: expected at least one full window width such as 3, got none")
    task = check_task(options.task)
    first = options.extents[0]
    wanted = [
        *((extent, "nearby", "codes") for extent in options.extents),
        (first, "raster", "codes"),
        (first, "nearby", "random"),
    ]
    found = []
    for extent, stem, tables in wanted:
        half = f"N{extent}"
        setting = options.setting(task, attention=half + half, stem=stem, tables=tables, way=DEFAULT_WAY.get(task))
        setting.resolve()  # says what is wrong before anything runs
        name = f"extent {extent}" + ", raster stem" * (stem == "raster") + ", random tables" * (tables == "random")
        found.append(Choice(name=name, said={"extent": extent, "stem": stem, "tables": tables}, setting=setting))
    return found
