"""The report page: one HTML file with everything in it, to be opened from disk, mailed or printed.

Styles, script and pictures are inside; nothing is fetched. All text that comes from data is escaped by jinja2, and a
content security policy lets no script run but the page's own, named by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import jinja2
import pandas as pd
from markupsafe import Markup
from matplotlib import figure as mpl_figure

from evaluation.ablations.record import AblationRecord
from evaluation.protocols import PROTOCOLS
from evaluation.records import Record
from evaluation.speed import SpeedRecord
from reports import escape
from reports.columns import TASKS, title_of
from reports.figures import panels, sheet
from reports.ladder import ladders
from reports.panel import Panel
from reports.protocols import reasons
from reports.render import TEMPLATES
from reports.runs import Picture, Run
from reports.study import Study
from reports.style import DARK, LIGHT, Theme, svg
from reports.tables import Table, build_tables, tidy

MAX_SAMPLES = 64  # on the page of one run
MAX_SHOWN = 16  # of each run on the page of all tables
SCRIPTS = ("theme.js", "page.js", "numbers.js", "build.js")
STUDY_SCRIPTS = ("theme.js", "study.js")
_PIXEL_ART_PX = 128  # smaller pictures are enlarged without smoothing


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A panel as two SVG data URIs."""

    title: str
    alt: str
    light: Markup
    dark: Markup


@dataclass(frozen=True, kw_only=True)
class Extra:
    """A section of the page of all tables that no record of a task makes.

    ``tasks`` are those that it is shown with when the page is filtered; ``benchmark`` says how its numbers were made and
    ``signed`` is its signature; ``wide`` figures stand below each other.
    """

    title: str
    slug: str
    text: str
    tasks: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    benchmark: SpeedRecord | None = None
    signed: str = ""
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class Section:
    """The tables of one task on the page of all tables, with figures, the samples of runs by name, and links to their pages."""

    title: str
    task: str
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...] = ()
    runs: Mapping[str, Run] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


def run_page(run: Run, published: pd.DataFrame) -> str:
    """The page of one run."""
    record = run.record
    return (
        _environment()
        .get_template("run.html.j2")
        .render(
            title=f"{title_of(record.task)} on {record.dataset.name}",
            run=run,
            record=record,
            ladders=ladders(tidy(run.named), record.task),
            tables=build_tables(run.named, record.task, published),
            figures=figures(panels(run, published)),
            samples=run.samples[:MAX_SAMPLES],
            protocols=protocols([record]),
            reasons=reasons(record),
            **_assets(),
        )
    )


def build_page(
    records: Mapping[str, Record],
    sections: Sequence[Section],
    notes: Sequence[str],
    extras: Sequence[Extra] = (),
    title: str = "All tables",
    signed: Mapping[str, str] | None = None,
) -> str:
    """The page of all tables: ``sections``, one a task, ``extras``, then how each record was made.

    ``signed`` are the signatures of records by name, where those of ``records`` are not their files'.
    """
    return (
        _environment()
        .get_template("build.html.j2")
        .render(
            title=title,
            records=records,
            sections=sections,
            extras=extras,
            notes=notes,
            protocols=protocols(records.values()),
            max_shown=MAX_SHOWN,
            signed=signed or {},
            **_assets(),
        )
    )


def signature(record: Record | SpeedRecord | AblationRecord) -> str:
    """Schema and digest of a record, as its file has them."""
    return f"{record.schema}, sha256 {record.content_sha256}"


def tables_page(tables: Sequence[Table]) -> str:
    """A page of nothing but ``tables``, to be opened or pasted from."""
    title = tables[0].title if tables else "Tables"
    return _environment().get_template("tables.html.j2").render(title=title, tables=tables, **_assets())


def study_page(study: Study) -> str:
    """The page of a blind comparison; nothing of the key but the study's name is on it."""
    return (
        _environment()
        .get_template("study.html.j2")
        .render(
            title="Comparison",
            study=study.key.study,
            question=study.key.question,
            pairs=study.pairs,
            **_assets(STUDY_SCRIPTS),
        )
    )


def figures(parts: Sequence[Panel]) -> list[Figure]:
    """Each panel drawn for the light and the dark theme."""
    return [drawn_twice(part.title, part.alt, partial(sheet, [part])) for part in parts]


def drawn_twice(title: str, alt: str, draw: Callable[[Theme], mpl_figure.Figure]) -> Figure:
    """What ``draw`` makes for the light and for the dark theme."""
    return Figure(title=title, alt=alt, light=_svg_uri(svg(draw(LIGHT))), dark=_svg_uri(svg(draw(DARK))))


def protocols(records: Iterable[Record]) -> list[dict[str, object]]:
    """Every protocol of ``records``: id, hash and constants where it is registered, and what was measured under it."""
    uses: dict[str, dict[str, None]] = {}
    for record in records:
        for row in record.rows:
            for metric in row.metrics:
                uses.setdefault(metric.protocol, {})[metric.name] = None
    known = PROTOCOLS.names()
    return [
        {"id": name, "metrics": ", ".join(metrics), "known": PROTOCOLS[name] if name in known else None}
        for name, metrics in uses.items()
    ]


def _assets(names: Sequence[str] = SCRIPTS) -> dict[str, Markup]:
    """Style, script and the policy that admits these two and pictures in data URIs, nothing else."""
    style, *scripts = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", *names))
    script = "\n".join(scripts)
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'"
    return {"style": Markup(style), "script": Markup(script), "policy": Markup(policy)}


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _svg_uri(content: bytes) -> Markup:
    return Markup("data:image/svg+xml;base64,") + base64.b64encode(content).decode()


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: escape.visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["seconds"] = _seconds
    environment.filters["uri"] = lambda picture: Markup(picture.uri)  # base64, safe by its alphabet
    environment.tests["pixel_art"] = _is_pixel_art
    environment.filters["signature"] = signature
    environment.globals["task_names"] = TASKS
    environment.globals["ablations"] = [task for task in TASKS if task.startswith("ablate-")]
    return environment


def _is_pixel_art(picture: Picture) -> bool:
    return max(picture.width_px, picture.height_px) <= _PIXEL_ART_PX


def _seconds(value: float) -> str:
    """A duration as people say it.

    >>> _seconds(184.2), _seconds(7265.0), _seconds(9.84)
    ('3 min 4 s', '2 h 1 min', '9.8 s')
    """
    if value < 60:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
