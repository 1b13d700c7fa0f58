from __future__ import annotations

import io
import sys

import pytest

from nuwa.progress import LINE_INTERVAL_S, progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


def test_items_pass_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter("abc"), "read", total=3)) == ["a", "b", "c"]


def test_a_short_loop_is_silent_off_a_terminal(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    for _ in progress(range(10), "read"):
        clock[0] += LINE_INTERVAL_S / 11
    assert capsys.readouterr().err == ""


def test_a_long_loop_writes_a_line_each_interval(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    for _ in progress(range(100), "train", unit="steps"):
        clock[0] += 1.0
    error = capsys.readouterr().err
    lines = error.splitlines()
    assert lines[0] == "train: 30/100 steps (30%), 00:30 so far, 01:10 left"
    assert [line.split()[1] for line in lines] == ["30/100", "60/100", "90/100", "100/100"]
    assert "\r" not in error


def test_without_a_total_no_share_is_claimed(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    for _ in progress(iter(range(31)), "scan", unit="files"):
        clock[0] += 1.0
    assert capsys.readouterr().err.splitlines()[0] == "scan: 30 files, 00:30 so far"


def test_a_bar_moved_by_hand(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    with progress(None, "sample", total=64, unit="pictures") as bar:
        for _ in range(2):
            clock[0] += 40.0
            bar.update(32)
    assert capsys.readouterr().err.splitlines() == [
        "sample: 32/64 pictures (50%), 00:40 so far, 00:40 left",
        "sample: 64/64 pictures (100%), 01:20 so far, 00:00 left",
    ]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    list(progress(range(3), "read", unit="pictures"))
    assert "\rread: 100%" in stream.getvalue()


def test_other_ranks_are_silent(
    capsys: pytest.CaptureFixture[str], clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    for _ in progress(range(100), "train"):
        clock[0] += 1.0
    assert capsys.readouterr().err == ""
