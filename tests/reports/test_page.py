import base64
import dataclasses
import hashlib
import itertools
import re
from html.parser import HTMLParser

import pytest

from evaluation import records
from reports.columns import title_of
from reports.page import Section, build_page, run_page
from reports.runs import read_run
from reports.tables import build_tables

ATTACK = """</p><script>document.title="owned"</script><img src=x onerror="alert(1)">'"{{ 7*7 }}\u202e\x00\ud800"""


class Page(HTMLParser):
    """The elements of a page as (tag, attributes), its text, and a check that all that opens closes."""

    VOID = ("meta", "link", "img", "input", "br", "line", "circle", "path")

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_run):
    return read_run(make_run(tmp_path_factory.mktemp("run") / "run"))


@pytest.fixture(scope="module")
def html(run, published):
    return run_page(run, published)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture(scope="module")
def bare_page(run, published):
    """The page of the run with the given changes, without the figures, which take time to draw."""

    def of(**changes):
        rows = tuple(
            dataclasses.replace(row, metrics=tuple(m for m in row.metrics if m.name == "IS")) for row in run.record.rows
        )
        record = changes.pop("record", run.record)
        record = dataclasses.replace(record, rows=rows if record.rows == run.record.rows else record.rows)
        changed = dataclasses.replace(run, **{"samples": (), "logs": {}, "record": record, **changes})
        return run_page(changed, published.iloc[:0])

    return of


def test_the_page_is_one_file(page):
    targets = [value for _, attrs in page.elements for key, value in attrs.items() if key in ("src", "href", "action")]
    assert len(targets) > 50
    assert all(target.startswith(("data:", "#")) for target in targets)
    assert "url(" not in page.text


def test_only_the_page_s_own_script_and_style_may_run(html, page):
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not [key for _, attrs in page.elements for key in attrs if key.startswith("on") or key == "style"]


def test_every_number_of_the_record_is_there(page, run):
    values = {attrs["data-value"] for attrs in page.all("td") if "data-value" in attrs}
    assert {str(metric.value) for row in run.record.rows for metric in row.metrics} <= values


def test_every_number_of_ours_has_interval_n_and_protocol(page):
    titles = [attrs["title"] for attrs in page.all("td") if "title" in attrs]
    assert len(titles) == 5 * 8 + 5 * 6 + 10 + 2
    assert all(
        re.fullmatch(r"95% interval \S+( to |–)\S+, n = [\d,]+, \S+@(sprites|nuwa)-1", title) for title in titles
    )


def test_how_it_was_made_is_told(page, run):
    record = run.record
    for fact in (
        *(record.command, record.git.commit, record.dataset.fingerprint, record.model.checkpoint_sha256),
        *(record.content_sha256, record.environment.device, record.environment.precision, "1,318,400"),
        *("7 min 1 s", "1.84 GiB", "fid@sprites-1", "temperature = 1.0", "caption names four objects"),
    ):
        assert fact in page.text


def test_pictures_and_captions_are_there(page, run):
    pictures = [image for image in page.all("img") if image["src"].startswith("data:image/png")]
    assert len(pictures) == 12 * 4
    assert all(image["class"] == "pixels" for image in pictures)
    assert all(sample.caption in page.text for sample in run.samples)


def test_large_pictures_are_smoothed(run, bare_page):
    sample = run.samples[0]
    large = {
        label: dataclasses.replace(picture, width_px=336, height_px=336) for label, picture in sample.pictures.items()
    }
    page = Page(bare_page(samples=(dataclasses.replace(sample, pictures=large),)))
    assert {image.get("class") for image in page.all("img") if "png" in image["src"]} == {None}


def test_the_page_can_be_used_without_seeing_it(page):
    assert all(image.get("alt") for image in page.all("img"))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.all("svg"))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    refers = ("aria-labelledby", "aria-controls", "for")
    assert {attrs[key] for _, attrs in page.elements for key in refers if key in attrs} <= set(ids)
    assert {link["href"][1:] for link in page.all("a")} <= set(ids)
    assert page.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_same_run_gives_the_same_page(bare_page):
    assert bare_page() == bare_page()


def test_a_caption_is_text_and_nothing_else(run, bare_page):
    sample = dataclasses.replace(run.samples[0], caption=ATTACK, id=ATTACK)
    html = bare_page(samples=(sample,), notes=(ATTACK,))
    page = Page(html)
    html.encode("utf-8")
    assert len(page.all("script")) == 1
    assert not [image for image in page.all("img") if "onerror" in image or not image["src"].startswith("data:")]
    shown = """</p><script>document.title="owned"</script><img src=x onerror="alert(1)">'"{{ 7*7 }}"""
    assert f"{shown}[U+202E][U+0000][U+D800]" in page.text
    assert "49" not in re.findall(r"\{\{.*?\}\}", page.text)


def test_a_record_is_text_and_nothing_else(run, published, make_record):
    attack = ATTACK.replace("\ud800", "")
    row = dataclasses.replace(run.record.rows[0], name=attack, sampling={attack: attack})
    hostile = make_record(
        **{"name": attack, "task": attack, "command": attack, "rows": (row,), "timings_s": {attack: 1.0}},
        **{"seeds": {attack: 1}, "skipped": (records.Skipped(id=attack, reason=attack),)},
        dataset=records.DatasetInfo(name=attack, version=attack, split=attack, fingerprint=attack),
        environment=records.Environment(python=attack, torch=attack, device=attack, threads=1, precision=attack),
    )
    page = Page(run_page(dataclasses.replace(run, samples=(), logs={}, record=hostile), published))
    assert len(page.all("script")) == 1
    assert not [image for image in page.all("img") if "onerror" in image]


def test_what_is_missing_is_said(bare_page):
    notes = ("No samples: the run has no samples/samples.json.", "No training curves: none.")
    page = Page(bare_page(notes=notes))
    assert "This run has no samples to show" in page.text
    assert "2 notes" in page.text
    assert all(note in page.text for note in notes)


def test_a_missing_picture_is_said(run, bare_page):
    sample = dataclasses.replace(run.samples[0], pictures={"real": None})
    page = Page(bare_page(samples=(sample,)))
    assert {"class": "absent"} in page.all("span")


def test_uncommitted_changes_are_said(bare_page, make_record):
    dirty = make_record(git=records.GitState(commit="a" * 40, dirty=True))
    assert "uncommitted changes" in Page(bare_page(record=dirty)).text
    unknown = make_record(git=records.GitState(commit=None, dirty=None))
    assert "not a git checkout" in Page(bare_page(record=unknown)).text


def test_a_record_without_rows_is_a_page(bare_page, make_record):
    page = Page(bare_page(record=make_record(rows=(), skipped=())))
    assert "Nothing was skipped." in page.text
    assert "no curves to show" in page.text


def test_all_tables_on_one_page(published, make_record):
    tables = {task: build_tables({}, task, published) for task in ("t2v", "v2v")}
    sections = [Section(title=title_of(task), task=task, tables=tables[task]) for task in tables]
    page = Page(build_page({"eval-t2i": make_record()}, sections, ["A note."]))
    assert len(page.all("table")) == 2 + 2
    assert "Text to video" in page.text
    assert "1 record" in page.text
    assert "A note." in page.text
    assert "No record was found" in Page(build_page({}, sections, [])).text
