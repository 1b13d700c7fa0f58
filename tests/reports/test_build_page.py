"""The page of all tables in a real browser, used with mouse and keys as people use it."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, NO_CHROMIUM, Page, open_page
from PIL import Image

from reports.columns import title_of
from reports.page import Section, build_page, run_page
from reports.runs import Run, read_run
from reports.tables import build_tables

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
TABLE = "#table-t2i-scores"


def write_clips(folder: Path, count: int = 3) -> None:
    """Clips in which a square moves, in place of the samples of a run."""
    items = []
    for i in range(count):
        images = {}
        for label, colour in (("real", 255), ("NÜWA", 160)):
            frames = [np.zeros((16, 16, 3), np.uint8) for _ in range(4)]
            for k, frame in enumerate(frames):
                frame[4:12, 3 * k : 3 * k + 6] = colour
            first, *others = map(Image.fromarray, frames)
            images[label] = f"{i}_{colour}.webp"
            first.save(folder / images[label], save_all=True, append_images=others, duration=100, loop=0, lossless=True)
        items.append({"id": str(i), "caption": f"clip {i}", "images": images})
    (folder / "samples.json").write_text(json.dumps({"items": items}), encoding="utf-8")


def renamed(run: Run, name: str, **changes: object) -> Run:
    return dataclasses.replace(run, record=dataclasses.replace(run.record, name=name, **changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, make_run) -> dict[str, Run]:
    """Two runs of pictures on the same captions, the second without two of them, and one of clips."""
    folder = tmp_path_factory.mktemp("runs")
    one = read_run(make_run(folder / "one"))
    two = renamed(dataclasses.replace(one, samples=one.samples[2:]), "second", command="nox -s second")
    clips = make_run(folder / "clips", task="t2v", name="clips")
    write_clips(clips / "samples")
    return {"first": renamed(one, "first"), "second": two, "clips": read_run(clips)}


@pytest.fixture(scope="module")
def html(runs, published) -> str:
    sections = []
    for task, names in {"t2i": ("first", "second"), "t2v": ("clips",), "v2v": ()}.items():
        records = {name: runs[name].record for name in names}
        tables = build_tables(records, task, published)
        sections.append(
            Section(title=title_of(task), task=task, tables=tables, runs={name: runs[name] for name in names})
        )
    return build_page({name: run.record for name, run in runs.items()}, sections, [])


@pytest.fixture(scope="module")
def opened(html, tmp_path_factory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("browser")
    (folder / "index.html").write_text(html, encoding="utf-8")
    with open_page(folder / "index.html", folder) as page:
        yield page
        assert page.errors == []


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    """The page as it is when it has just been opened."""
    opened.reload()
    yield opened
    opened.media()


def values(page: Page, kind: str, column: int = 1) -> list[float]:
    rows = f"document.querySelectorAll('{TABLE} tbody.{kind} tr:not(.group)')"
    return page.js(f"[...{rows}].map(row => parseFloat(row.cells[{column}].dataset.value)).filter(v => !isNaN(v))")


def test_a_click_on_a_heading_sorts_within_groups(page: Page) -> None:
    before = {kind: values(page, kind) for kind in ("model", "reference", "published")}
    page.click(f"{TABLE} th:nth-child(2) button")
    head = f"document.querySelector('{TABLE} th:nth-child(2)').getAttribute('aria-sort')"
    assert page.js(head) == "ascending"
    assert {kind: values(page, kind) for kind in before} == {kind: sorted(found) for kind, found in before.items()}
    page.key("Enter")  # the button has the focus
    assert page.js(head) == "descending"
    assert values(page, "published") == sorted(before["published"], reverse=True)
    first_rows = f"[...document.querySelectorAll('{TABLE} tbody')].map(body => body.rows[0].className)"
    assert set(page.js(first_rows)) == {"group"}


def test_enter_on_a_number_tells_where_it_comes_from(page: Page, runs: dict[str, Run]) -> None:
    page.js(f"document.querySelector('{TABLE} button.number').focus()")
    page.key("Enter")
    assert page.js("document.getElementById('origin').open")
    told = page.js("document.getElementById('origin').innerText")
    record = runs["first"].record
    metric = record.rows[0].metrics[0]
    for fact in (
        *("NÜWA tiny, K = 1", "FID-0", str(metric.value), "1,024", "fid@sprites-1", "weights_sha256"),
        *(record.environment.device, record.environment.torch, record.git.commit, record.dataset.fingerprint),
        *(record.command, record.content_sha256, "temperature = 1.0"),
    ):
        assert str(fact) in told
    assert "nox -s second" not in told
    page.key("Escape")
    assert not page.js("document.getElementById('origin').open")
    assert page.js("document.activeElement.className") == "number"


def test_a_number_of_the_other_run_tells_its_own_record(page: Page) -> None:
    page.click(f"{TABLE} tr[data-source='second'] button.number")
    assert "nox -s second" in page.js("document.getElementById('origin').innerText")


def test_a_published_number_tells_its_paper(page: Page) -> None:
    page.click(f"{TABLE} tbody.published button.number")
    told = page.js("document.getElementById('origin').innerText")
    assert "arXiv 2111.12417" in told
    assert "as published, protocol unknown" in told
    assert "fid@sprites-1" not in told


def test_a_table_is_one_stop_and_arrows_go_from_number_to_number(page: Page) -> None:
    stops = f"document.querySelectorAll('{TABLE} button.number[tabindex=\"0\"]').length"
    assert page.js(stops) == 1
    page.js(f"document.querySelector('{TABLE} button.number').focus()")
    first = page.js("document.activeElement.closest('td').dataset.value")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.key(key)
    assert page.js("document.activeElement.closest('td').dataset.value") == first
    page.key("ArrowDown")
    assert page.js("document.activeElement.closest('td').dataset.value") != first
    assert page.js(stops) == 1


def test_one_task_alone(page: Page) -> None:
    shown = "[...document.querySelectorAll('section[data-tasks]')].filter(s => !s.hidden).map(s => s.dataset.tasks)"
    assert page.js(shown) == ["t2i", "t2v", "v2v"]
    page.js("document.querySelector('.tasks [data-task=t2v]').focus()")
    page.key("Space")
    assert page.js(shown) == ["t2v"]
    assert page.js("document.querySelector('.tasks [aria-pressed=true]').textContent") == "Text to video"
    assert page.js("document.getElementById('compare-task').value") == "t2v"
    page.click(".tasks [data-task='']")
    assert page.js(shown) == ["t2i", "t2v", "v2v"]


def test_some_samples_are_shown_and_all_on_request(page: Page) -> None:
    shown = "[...document.querySelectorAll('.sample[data-run=first]')].filter(card => !card.hidden).length"
    assert page.js(shown) == 4
    page.click(".samples.some + button")
    assert page.js(shown) == 12


def test_two_models_of_two_runs_on_the_captions_that_both_have(page: Page, runs: dict[str, Run]) -> None:
    page.choose("#compare-left", '["first","K = 1"]')
    page.choose("#compare-right", '["second","K = 8"]')
    assert page.js("document.getElementById('compare-found').textContent") == "10 captions that both have"
    cards = page.js(
        "[...document.querySelectorAll('#compared .sample')].map(card => [card.querySelector('.caption').textContent, "
        "...[...card.querySelectorAll('figure')].map(f => [f.textContent.trim(), f.querySelector('img').src])])"
    )
    common = runs["first"].samples[2:]
    assert [card[0] for card in cards] == [sample.caption for sample in common]
    for sample, (_, *figures) in zip(common, cards, strict=True):
        assert figures == [
            ["real", sample.pictures["real"].uri],
            ["K = 1 · first", sample.pictures["K = 1"].uri],
            ["K = 8 · second", sample.pictures["K = 8"].uri],
        ]


def test_clips_play_until_they_are_stopped(page: Page, tmp_path: Path) -> None:
    def looks(count: int) -> set[bytes]:
        found = set()
        for number in range(count):
            page.picture(tmp_path / f"{number}.png", full=False)
            found.add((tmp_path / f"{number}.png").read_bytes())
            time.sleep(0.11)
        return found

    page.js("document.querySelector('img[data-frames]').scrollIntoView({behavior: 'instant'})")
    page.wait("document.querySelector('img[data-frames]').complete")
    assert len(looks(6)) > 1
    page.click("#clips")
    page.js("document.querySelector('img[data-frames]').scrollIntoView({behavior: 'instant'})")
    page.wait("document.querySelector('img[data-frames]').src.startsWith('data:image/png')")
    time.sleep(0.3)
    assert len(looks(4)) == 1
    page.click("#clips")
    assert page.js("document.querySelector('img[data-frames]').src.startsWith('data:image/webp')")


@pytest.mark.parametrize(("scheme", "other"), [("light", "dark"), ("dark", "light")])
def test_colours_follow_the_system_until_the_button_is_used(page: Page, scheme: str, other: str) -> None:
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).reduce((a, b) => a + +b, 0) > 380"
    page.media(scheme=scheme)
    assert page.js(brightness) == (scheme == "light")
    page.click("#theme")
    assert page.js(brightness) == (other == "light")


def test_everything_has_a_name_for_screen_readers(page: Page) -> None:
    for role in ("button", "table", "region", "link", "combobox", "image", "columnheader", "rowheader"):
        names = page.names(role)
        assert names, role
        assert all(names), role
    assert len(set(page.names("region"))) == len(page.names("region"))
    assert len(page.names("main")) == 1


def test_a_narrow_screen_needs_no_sideways_scrolling(html: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(html, encoding="utf-8")
    with open_page(tmp_path / "index.html", tmp_path, width=360, height=700) as page:
        assert page.js("document.documentElement.scrollWidth") == 360
        names = f"document.querySelector('{TABLE} tbody.published tr:last-child th').getBoundingClientRect().width"
        assert page.js(names) < 180  # names stay in place while numbers scroll, and leave them half of the screen


def test_the_page_of_one_run_tells_where_its_numbers_come_from(runs, published, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(run_page(runs["second"], published), encoding="utf-8")
    with open_page(tmp_path / "index.html", tmp_path) as page:
        page.click("button.number")
        told = page.js("document.getElementById('origin').innerText")
        assert page.errors == []
    for fact in ("NÜWA tiny, K = 1: FID-0", "fid@sprites-1", "weights_sha256", "nox -s second", "temperature = 1.0"):
        assert fact in told


def test_on_paper_controls_are_gone_and_tables_are_there(page: Page, tmp_path: Path) -> None:
    page.media("print")
    gone = "['.tasks', '#compare', '#theme', '#clips', 'nav'].map(s => getComputedStyle(document.querySelector(s)).display)"
    assert set(page.js(gone)) == {"none"}
    assert page.js(f"document.querySelector('{TABLE}').getBoundingClientRect().height") > 100
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
