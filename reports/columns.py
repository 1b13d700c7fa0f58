"""What each table of the paper has in its columns, and how a metric is printed."""

from __future__ import annotations

from dataclasses import dataclass

FID_RADII = (0, 1, 2, 4, 8)
FID_K = tuple(f"FID-{k}" for k in FID_RADII)
_FIDELITY = (*FID_K, "FID", "IS", "CLIPSIM", "caption accuracy")
_REGIONS = (
    "edit accuracy",
    "SSIM inside the hole",
    "SSIM outside the hole",
    "SSIM outside the mask",
    "known region unchanged",
)
_DETECTED = ("Detected PA", "Detected FWIoU", "Detected mIoU")
_VIDEO = ("acc", "FID-img", "FID-vid", "FVD", "CLIPSIM", "caption accuracy")


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """One table of arXiv 2111.12417: its number, its title, the task of its records, its leading columns in order."""

    number: str
    title: str
    task: str
    columns: tuple[str, ...]


PAPER_TABLES = (
    PaperTable(number="1", title="Text to image", task="t2i", columns=_FIDELITY),
    PaperTable(number="2", title="Text to video", task="t2v", columns=_VIDEO),
    PaperTable(number="3", title="Video prediction", task="v2v", columns=("FVD", "FID-vid", "SSIM")),
    PaperTable(number="4", title="Tokenizers", task="ablate-tokenizer", columns=("SSIM", "FID", "PA", "FWIoU")),
    PaperTable(number="5", title="Multi-task pre-training", task="ablate-tasks", columns=("FID-vid", "CLIPSIM")),
    PaperTable(number="6", title="Attention", task="ablate-attention", columns=("FID-vid", "Detected PA", *_FIDELITY)),
    PaperTable(number="7", title="Cost of attention", task="cost", columns=("cost",)),
)
TASKS = {
    **{table.task: table.title for table in PAPER_TABLES},
    "s2i": "Sketch to image",
    "i2i": "Image completion",
    "ti2i": "Text-guided image manipulation",
    "s2v": "Sketch to video",
    "tv2v": "Text-guided video manipulation",
    "ablate-design": "Extent and stem",
    "study": "Human comparison",
}


def paper_table(task: str) -> PaperTable | None:
    """The paper's table for ``task``, or ``None`` where the paper prints none."""
    return next((table for table in PAPER_TABLES if table.task == task), None)


def title_of(task: str) -> str:
    """``task`` in words; an unknown task keeps its own name."""
    return TASKS.get(task, task)


def leading_columns(task: str) -> tuple[str, ...]:
    """Metrics of the first table of ``task`` in order; all other metrics go to the second one."""
    if table := paper_table(task):
        return table.columns
    if task == "study":
        return ("win", "tie", "loss")
    if task.startswith("ablate-"):
        return leading_columns("ablate-attention")
    if task.endswith("2v"):
        return tuple(dict.fromkeys(("FID-vid", "FVD", *_REGIONS, *_DETECTED, *_VIDEO)))
    return (*_FIDELITY, *_REGIONS, *_DETECTED, "SSIM")


UNDIRECTED = frozenset({"tie"})
"""Metrics of which neither more nor less is better: no arrow, no mark."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a metric is printed: ``scale`` times the recorded value, with ``decimals`` places, under ``unit``."""

    decimals: int = 2
    scale: float = 1.0
    unit: str = ""

    def text(self, value: float) -> str:
        """``value`` as printed.

        >>> look("caption accuracy").text(0.6328)
        '63.3'
        """
        text = f"{value * self.scale:.{self.decimals}f}"
        return text.removeprefix("-") if float(text) == 0 else text

    def interval(self, low: float, high: float) -> str:
        """An interval as printed, ``1.93–2.52``."""
        joint = " to " if min(low, high) < 0 else "–"  # a minus sign beside a dash would be misread
        return f"{self.text(low)}{joint}{self.text(high)}"


def look(metric: str) -> Look:
    """How ``metric`` is printed, as in the paper: shares in percent, CLIPSIM as the raw cosine, scores of 0…1 with four places.

    The paper prints PA and FWIoU of a tokenizer in percent (Table 4), Detected PA as a share (Table 6).
    """
    if metric in ("acc", "codebook usage", "known region unchanged") or "accuracy" in metric:
        return Look(decimals=1, scale=100.0, unit="%")
    if metric in ("win", "tie", "loss"):
        return Look(decimals=0, scale=100.0, unit="%")
    if metric in ("PA", "FWIoU", "mIoU"):
        return Look(decimals=2, scale=100.0, unit="%")
    if metric == "CLIPSIM" or metric.startswith(("SSIM", "Detected")):
        return Look(decimals=4)
    if metric == "codebook perplexity":
        return Look(decimals=1)
    return Look()


def look_of_column(metric: str, values: list[float]) -> Look:
    """The look of a whole column: its metric's, with up to six places where small distances would lose their digits.

    >>> look_of_column("FID-0", [0.0123, 8.5]).text(0.0123)
    '0.012'
    """
    base = look(metric)
    sizes = [abs(value) for value in values if value != 0]
    decimals = base.decimals
    while base.unit != "%" and decimals < 6 and sizes and min(sizes) < 10.0 ** (1 - decimals):
        decimals += 1
    return Look(decimals=decimals, scale=base.scale, unit=base.unit)
