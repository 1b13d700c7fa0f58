"""Blind comparisons: the page says nothing of the models, votes come back as they were cast."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from browser import CHROMIUM, NO_CHROMIUM, Page, open_page
from PIL import Image

from evaluation import strict
from nuwa.errors import run_cli
from reports.__main__ import main
from reports.page import study_page
from reports.runs import Picture, Run, read_run
from reports.study import Study, make_study, read_key
from reports.study_sources import of_generated, of_sheet
from reports.write import write_study


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Run:
    return read_run(make_run(tmp_path_factory.mktemp("run") / "run"))


@pytest.fixture(scope="module")
def study(run: Run) -> Study:
    return make_study(of_sheet(run, "K = 1"), of_sheet(run, "K = 8"))


def pixels(picture: Picture) -> list[bytes]:
    return [frame.tobytes() for frame in picture.frames()]


def test_pairs_are_the_pictures_of_both_models_under_their_caption(study: Study, run: Run) -> None:
    samples = {sample.id: sample for sample in run.samples}
    assert len(study.pairs) == len(samples) == 12
    for pair, assigned in zip(study.pairs, study.key.pairs, strict=True):
        sample = samples[assigned.sample]
        a, b = (pair.x, pair.y) if assigned.x == "a" else (pair.y, pair.x)
        assert pair.id == assigned.pair
        assert pair.caption == sample.caption
        assert pixels(a) == pixels(sample.pictures["K = 1"])
        assert pixels(b) == pixels(sample.pictures["K = 8"])


def test_neither_order_nor_name_of_a_picture_tells_whose_it_is(study: Study) -> None:
    assert sorted(assigned.x for assigned in study.key.pairs) == ["a"] * 6 + ["b"] * 6
    assert [assigned.x for assigned in study.key.pairs] != ["a", "b"] * 6
    assert [assigned.sample for assigned in study.key.pairs] != sorted(assigned.sample for assigned in study.key.pairs)
    assert {picture.mime for pair in study.pairs for picture in (pair.x, pair.y)} == {"image/png"}


def test_the_page_says_nothing_of_the_models(study: Study, run: Run) -> None:
    html = study_page(study)
    text = re.sub(r'src="data:[^"]*"|<style>.*?</style>', "", html, flags=re.DOTALL)
    for word in ("K = 1", "K = 8", run.record.name, run.record.content_sha256, run.samples[0].id, "NÜWA", "model"):
        assert word not in text
    assert study.key.study in text


def test_pictures_are_encoded_alike_whatever_their_files_were(run: Run, tmp_path: Path) -> None:
    """A JPEG with a comment against a PNG: both come as PNG without it."""
    path = tmp_path / "a.jpg"
    run.samples[0].pictures["K = 1"].image().save(path, comment=b"by model one")  # type: ignore[union-attr]
    jpeg = Picture(data=path.read_bytes(), mime="image/jpeg", width_px=32, height_px=32)
    sample = dataclasses.replace(run.samples[0], pictures={**run.samples[0].pictures, "K = 1": jpeg})
    made = make_study(of_sheet(dataclasses.replace(run, samples=(sample,)), "K = 1"), of_sheet(run, "K = 8"))
    assert {made.pairs[0].x.mime, made.pairs[0].y.mime} == {"image/png"}
    assert b"by model one" not in made.pairs[0].x.data + made.pairs[0].y.data


def test_equal_arguments_give_equal_studies(run: Run, study: Study) -> None:
    assert make_study(of_sheet(run, "K = 1"), of_sheet(run, "K = 8")) == study
    other = make_study(of_sheet(run, "K = 1"), of_sheet(run, "K = 8"), seed=1)
    assert [each.sample for each in other.key.pairs] != [each.sample for each in study.key.pairs]


def test_the_first_model_is_meant_by_default(run: Run) -> None:
    other = dataclasses.replace(run, record=dataclasses.replace(run.record, name="other"))
    made = make_study(of_sheet(run), of_sheet(other), num=3)
    assert (made.key.a.name, made.key.b.name, len(made.pairs)) == ("eval-t2i: K = 1", "other: K = 1", 3)


def resized(run: Run, size_px: int) -> Run:
    def large(picture: Picture | None) -> Picture:
        assert picture is not None
        buffer = io.BytesIO()
        picture.image().resize((size_px, size_px)).save(buffer, "PNG")
        return Picture(data=buffer.getvalue(), mime="image/png", width_px=size_px, height_px=size_px)

    samples = (
        dataclasses.replace(sample, pictures={label: large(picture) for label, picture in sample.pictures.items()})
        for sample in run.samples
    )
    return dataclasses.replace(run, samples=tuple(samples))


def test_a_size_that_would_tell_the_models_apart_is_refused_or_made_alike(run: Run) -> None:
    large = resized(run, 64)
    with pytest.raises(
        ValueError, match=r"expected pictures of one size, got \(32, 32\) and \(64, 64\).*give --size-px"
    ):
        make_study(of_sheet(run, "K = 1"), of_sheet(large, "K = 8"))
    made = make_study(of_sheet(run, "K = 1"), of_sheet(large, "K = 8"), size_px=48)
    assert {picture.width_px for pair in made.pairs for picture in (pair.x, pair.y)} == {48}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("K = 1", "K = 1"), "expected two models, got eval-t2i: K = 1 twice"),
        (("K = 9", "K = 8"), "expected one of real, reconstruction, K = 1, K = 8, got 'K = 9'"),
    ],
)
def test_labels_have_to_be_two_that_there_are(run: Run, labels: tuple[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_study(*(of_sheet(run, label) for label in labels))


@pytest.mark.parametrize("frames", [1, 3])
def test_everything_that_was_generated_can_be_compared(make_record, tmp_path: Path, frames: int) -> None:
    """Pictures ``<id>.png`` or folders of frames, of ids with a caption; an id that leads out of the folder is none."""
    captions = {"a": "first", "b": "second", "c": "not drawn", "../secret": "attack", "": "attack"}
    sides = []
    for colour in (10, 200):
        folder = tmp_path / str(colour)
        for name in ("generated/a", "generated/b", "secret"):
            for k in range(frames):
                path = folder / (f"{name}/{k:04d}.png" if frames > 1 else f"{name}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 8), (colour, k, 0)).save(path)
        sides.append(of_generated(folder, make_record(name=str(colour)), captions))
    made = make_study(*sides)
    assert sorted((pair.sample, made.pairs[i].caption) for i, pair in enumerate(made.key.pairs)) == [
        *(("a", "first"), ("b", "second"))
    ]
    for pair, assigned in zip(made.pairs, made.key.pairs, strict=True):
        of_a = pair.x if assigned.x == "a" else pair.y
        assert [frame.getpixel((0, 0)) for frame in of_a.frames()] == [(10, k, 0) for k in range(frames)]
    assert made.key.a.name == "10: generated"
    with pytest.raises(ValueError, match="expected pictures named by the ids of the captions under generated/"):
        of_generated(tmp_path / "10", make_record(), {"z": "nothing"})


def test_runs_without_a_common_caption_cannot_be_compared(run: Run) -> None:
    other = tuple(dataclasses.replace(sample, caption="another") for sample in run.samples)
    with pytest.raises(ValueError, match="expected samples with captions that both runs have"):
        make_study(of_sheet(run, "K = 1"), of_sheet(dataclasses.replace(run, samples=other), "K = 8"))


def test_the_key_is_signed(study: Study, tmp_path: Path) -> None:
    _, path = write_study(study, tmp_path)
    assert read_key(path) == study.key
    path.write_text(path.read_text(encoding="utf-8").replace('"x": "a"', '"x": "b"', 1), encoding="utf-8")
    with pytest.raises(ValueError, match="the file was changed"):
        read_key(path)


@pytest.fixture
def voting(study: Study, tmp_path: Path):
    write_study(study, tmp_path)
    with open_page(tmp_path / "index.html", tmp_path) as page:
        yield page
        assert page.errors == []


def exported(folder: Path, page: Page) -> Path:
    page.wait("document.getElementById('exported').textContent.includes('votes are in')")
    for _ in range(500):
        if found := [path for path in folder.glob("votes-*.json") if path.stat().st_size]:
            return found[0]
        page.js("new Promise(done => setTimeout(done, 20))")
    raise AssertionError("no file was exported")


def shown(page: Page) -> list[str]:
    return page.js("[...document.querySelectorAll('#duel img')].map(image => image.src)")


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_votes_by_keyboard_come_back_as_they_were_cast(voting: Page, study: Study, tmp_path: Path, capsys) -> None:
    """Left eight times, so pictures x and y both, then right and no difference; the third vote is taken back and cast again."""
    whose = {}
    for pair, assigned in zip(study.pairs, study.key.pairs, strict=True):
        whose[pair.x.uri] = ("win" if assigned.x == "a" else "loss", pair.id)
        whose[pair.y.uri] = ("loss" if assigned.x == "a" else "win", pair.id)
    expected = {}
    for number, key in enumerate(["ArrowLeft"] * 8 + ["ArrowRight"] * 2 + ["ArrowDown"] * 2):
        (left, pair), (right, _) = (whose[uri] for uri in shown(voting))
        assert {left, right} == {"win", "loss"}
        expected[pair] = {"ArrowLeft": left, "ArrowRight": right, "ArrowDown": "tie"}[key]
        if number == 2:
            voting.key("ArrowDown")
            voting.key("Backspace")
            assert whose[shown(voting)[0]][1] == pair
        voting.key(key)
    assert sorted(expected) == [pair.id for pair in study.pairs]
    assert voting.js("document.getElementById('voting').hidden")
    voting.js("document.getElementById('rater').focus()")
    for letter in "Ann":
        voting.key(letter)
    voting.key("Enter")
    ballot = exported(tmp_path, voting)
    assert json.loads(ballot.read_text(encoding="utf-8"))["rater"] == "Ann"
    main(["study", "--votes", str(ballot), "--out", str(tmp_path)])
    assert "Which of the two fits the caption better" in capsys.readouterr().out
    cast = pd.read_csv(tmp_path / "votes.csv")
    assert dict(zip(cast["pair"], cast["outcome"], strict=True)) == expected
    assert set(cast["rater"]) == {"Ann"}
    assert cast["side"].tolist() == ["left"] * 8 + ["right"] * 2 + ["none"] * 2
    assert "| *NÜWA (against CogView)* | 62 | 15 | 23 |" in (tmp_path / "votes.md").read_text(encoding="utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_every_rater_has_an_order_and_sides_of_their_own_and_keeps_them(voting: Page, study: Study) -> None:
    state = f"JSON.parse(localStorage.getItem('study-{study.key.study}'))"
    first = voting.js(state)
    assert sorted(first["order"]) == [pair.id for pair in study.pairs]
    assert sorted(first["left"].values()) == ["x"] * 6 + ["y"] * 6
    voting.key("ArrowLeft")
    voting.reload()
    assert voting.js("document.getElementById('count').textContent") == "1 of 12"
    assert voting.js(state)["order"] == first["order"]
    voting.js("localStorage.clear()")
    voting.reload()
    assert voting.js("document.getElementById('count').textContent") == "0 of 12"
    other = voting.js(state)
    assert (other["order"], other["left"]) != (first["order"], first["left"])


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_buttons_vote_too_and_have_names(voting: Page) -> None:
    assert {"← Left", "↓ No difference", "Right →"} <= set(voting.names("button"))
    voting.click("[data-vote=tie]")
    voting.click("[data-vote=left]")
    assert voting.js("document.getElementById('count').textContent") == "2 of 12"
    assert voting.names("image") == ["Left", "Right"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected --a RUN and --b RUN to make a page, or --votes FILE"),
        (
            ["--a", "x", "--b", "y", "--votes", "z"],
            "expected --a and --b to make a page, or --votes to count, got both",
        ),
        (["--votes", "z", "--out", "nowhere"], "expected the key of the study, got none"),
        (["--a", "nowhere", "--b", "nowhere"], "expected a run's folder with record.json"),
    ],
)
def test_wrong_use_is_one_sentence(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(main, ["study", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_command_compares_what_was_generated(make_run: Callable[..., Path], tmp_path: Path, capsys) -> None:
    runs = [make_run(tmp_path / name, name=name) for name in ("one", "two")]
    (tmp_path / "captions.csv").write_text("id,caption\na,first\n", encoding="utf-8")
    for run in runs:
        (run / "generated").mkdir()
        Image.new("RGB", (8, 8)).save(run / "generated" / "a.png")
    sides = ["--a", str(runs[0]), "--b", str(runs[1]), "--captions", str(tmp_path / "captions.csv")]
    main(["study", *sides, "--out", str(tmp_path / "study")])
    assert "1 pairs of one: generated and two: generated" in capsys.readouterr().out
    assert run_cli(main, ["study", *sides, "--label-a", "K = 1"]) == 2


def test_the_command_makes_the_page(make_run: Callable[..., Path], tmp_path: Path, capsys) -> None:
    run = make_run(tmp_path / "run")
    labels = ["--label-a", "K = 1", "--label-b", "K = 8"]
    main(["study", "--a", str(run), "--b", str(run / "record.json"), *labels, "--out", str(tmp_path / "study")])
    assert "12 pairs of eval-t2i: K = 1 and eval-t2i: K = 8" in capsys.readouterr().out
    assert strict.schema_of(tmp_path / "study" / "key.json") == "nuwa-study-1"
