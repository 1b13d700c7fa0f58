"""The rows other people published: Tables 1 to 7 of arXiv 2111.12417, as data.

They stand below our rows, marked as published, and are never ranked against them: the protocol behind them (network,
resize, blur, split) is not settled, so a difference of a point means nothing.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

FILE = Path(__file__).with_name("published.csv")
COLUMNS = (
    *("table", "task", "dataset", "setting", "model", "metric", "value", "plus_minus"),
    *("higher_is_better", "paper", "source_table", "note"),
)


def load_published(path: Path = FILE) -> pd.DataFrame:
    """All published figures, one a row, in the order of the paper.

    ``value`` and ``plus_minus`` keep the printed text ("24" stays "24"); ``number`` is the value as a float, NaN where
    the paper prints a formula; ``label`` is the model with its setting. ValueError where the file is not as expected.
    """
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    if tuple(frame.columns) != COLUMNS:
        raise ValueError(
            f"{path}: expected columns {', '.join(COLUMNS)}, got {', '.join(frame.columns)}; restore the file"
        )
    if unknown := set(frame["higher_is_better"]) - {"true", "false"}:
        raise ValueError(f"{path}: expected true or false in higher_is_better, got {sorted(unknown)}; correct the row")
    key = ["table", "task", "dataset", "setting", "model", "metric"]
    if (twice := frame.duplicated(key)).any():
        raise ValueError(f"{path}: {frame.loc[twice, key].iloc[0].to_dict()} stands twice; keep one row")
    frame["higher_is_better"] = frame["higher_is_better"] == "true"
    frame["number"] = pd.to_numeric(frame["value"], errors="coerce")
    frame["label"] = frame["model"] + frame["setting"].map(lambda setting: f" ({setting})" if setting else "")
    return frame
