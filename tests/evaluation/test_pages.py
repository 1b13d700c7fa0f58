"""The pages of docs/metrics say what the registry says, and what they tell people to type can be typed."""

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

from evaluation import pages
from evaluation.metrics import METRICS
from evaluation.protocols import PROTOCOLS
from evaluation.scoring.asks import parse

ROOT = Path(__file__).parents[2]
PAGES = sorted(pages.FOLDER.glob("*.md"))
SECTIONS = ["Use", "Protocols", "What moves the number", "When not to use it", "Cite"]


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_one_page(metric):
    holders = [path.name for path in PAGES if metric in pages.blocks(path.read_text(encoding="utf-8"))]
    assert len(holders) == 1
    found = {f"{metric}.md", "segmentation.md"} & set(holders)
    assert found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
class TestPage:
    def test_its_constants_are_those_of_the_registry(self, path):
        """``python -m evaluation.pages`` writes them."""
        text = path.read_text(encoding="utf-8")
        assert pages.updated(text) == text

    def test_it_has_all_parts(self, path):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
        assert len(text.split("## Cite")[1].strip()) > 10

    def test_what_it_imports_is_there(self, path):
        for module, names in re.findall(r"^from (evaluation\S*) import (.*)$", path.read_text(encoding="utf-8"), re.M):
            for name in names.split(", "):
                assert hasattr(importlib.import_module(module), name)

    def test_what_it_asks_for_can_be_asked_for(self, path):
        for line in re.findall(r"^python -m evaluation score .*$", path.read_text(encoding="utf-8"), re.M):
            metrics, family = (re.search(rf"--{name} (\S+)", line) for name in ("metrics", "protocol"))
            for asked in parse(metrics[1], family and family[1]):
                assert ("--captions" in line) == ("captions" in asked.ask.needs)
                assert ("--weights" in line) == (asked.protocol.network != "none")
                assert "--real" in line or "real" not in asked.ask.needs

    def test_its_links_lead_somewhere(self, path):
        for link in re.findall(r"\]\((?!http)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).is_file()


@pytest.mark.parametrize("change", [{"ddof": 0}, {"source": "elsewhere"}, {"resize": "torch-bilinear"}], ids=str)
def test_a_constant_that_changes_is_noticed(monkeypatch, change):
    text = (pages.FOLDER / "fid.md").read_text(encoding="utf-8")
    monkeypatch.setitem(PROTOCOLS._parts, "fid@ttur-1", dataclasses.replace(PROTOCOLS["fid@ttur-1"], **change))
    assert pages.updated(text) != text


def test_a_protocol_that_is_added_is_noticed(monkeypatch):
    text = (pages.FOLDER / "fid.md").read_text(encoding="utf-8")
    new = dataclasses.replace(PROTOCOLS["fid@ttur-1"], family="new-1")
    monkeypatch.setitem(PROTOCOLS._parts, new.id, new)
    assert "`fid@new-1`" in pages.updated(text)


def test_a_block_of_nothing_is_refused():
    with pytest.raises(ValueError, match="'fad' has no protocol"):
        pages.updated("<!-- protocols of fad -->\n<!-- end -->")


def test_pages_are_written_in_place(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pages, "FOLDER", tmp_path / "docs" / "metrics")
    (tmp_path / "docs" / "metrics").mkdir(parents=True)
    page = tmp_path / "docs" / "metrics" / "is.md"
    page.write_text("# IS\n\n<!-- protocols of is -->\nold\n<!-- end -->\nrest\n")
    pages.main([])
    assert capsys.readouterr().out == "docs/metrics/is.md\n"
    assert "\n| shuffle | no | " in page.read_text(encoding="utf-8")  # the first is that of adm
    assert page.read_text(encoding="utf-8").endswith("<!-- end -->\nrest\n")
    pages.main([])
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="expected no arguments, got --check"):
        pages.main(["--check"])
