import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import records, strict
from evaluation.records import MetricValue, Record, read_record, write_record


def metric(**changes) -> MetricValue:
    settings = {"name": "FID-0", "protocol": "fid@sprites-1", "value": 12.5, "ci95": (11.0, 14.0), "n": 1024}
    return MetricValue(**{**settings, "higher_is_better": False, **changes})


def record(**changes) -> Record:
    row = records.Row(name="NÜWA", role="model", sampling={"top_k": 100, "guidance": 1.5}, metrics=(metric(),))
    settings = {
        "name": "t2i-tiny",
        "task": "t2i",
        "dataset": records.DatasetInfo(name="sprites", version="1", split="test-seen", fingerprint="0f" * 32),
        "model": records.ModelInfo(
            preset="tiny", encoder_attention="nearby3d", decoder_attention="nearby3d", params=7, checkpoint_sha256=None
        ),
        "rows": (row,),
        "timings_s": {"sampling": 3.5},
        "peak_memory_gib": records.PeakMemory(host=0.5, cuda=None),
        "skipped": (records.Skipped(id="picture 3", reason="empty caption"),),
        "environment": records.Environment(python="3.11", torch="2.14", device="cpu", threads=2, precision="float32"),
        "seeds": {"sampling": 1},
        "git": records.GitState(commit="a" * 40, dirty=False),
        "command": "python -m evaluation t2i",
    }
    return Record(**{**settings, **changes})


def write_with(path: Path, edit, resign: bool = True) -> Path:
    """A written record after ``edit`` of its JSON, with a digest that fits the edit unless told otherwise."""
    write_record(path, record())
    content = json.loads(path.read_text(encoding="utf-8"))
    claimed = content.pop("content_sha256")
    edit(content)
    content["content_sha256"] = strict.digest(content) if resign else claimed
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_reads_what_was_written(tmp_path):
    path = tmp_path / "run" / "record.json"
    write_record(path, record())
    assert read_record(path) == record()
    assert [p.name for p in path.parent.iterdir()] == ["record.json"]


def test_file_is_the_same_bytes_each_time(tmp_path):
    write_record(tmp_path / "a.json", record())
    write_record(tmp_path / "b.json", read_record(tmp_path / "a.json"))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_keys_are_those_of_the_schema(tmp_path):
    write_record(tmp_path / "a.json", record())
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert list(content) == [
        *("schema", "name", "task", "dataset", "model", "rows", "timings_s", "peak_memory_gib", "skipped"),
        *("environment", "seeds", "git", "command", "content_sha256"),
    ]
    assert list(content["rows"][0]["metrics"][0]) == ["name", "protocol", "value", "ci95", "n", "higher_is_better"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.update(extra=1), "unknown key 'extra'"),
        (lambda c: c.update(tasks=c.pop("task")), "unknown key 'tasks'; did you mean 'task'"),
        (lambda c: c.pop("seeds"), "missing key 'seeds'"),
        (lambda c: c["git"].pop("dirty"), r"record\.git: missing key 'dirty'"),
        (lambda c: c.update(schema="nuwa-record-0"), "expected schema 'nuwa-record-1', got 'nuwa-record-0'"),
        (lambda c: c.update(name=3), r"record\.name: expected str, got int"),
        (lambda c: c["seeds"].update(sampling=True), r"record\.seeds\.sampling: expected int, got bool"),
        (lambda c: c["seeds"].update(sampling=1.0), r"record\.seeds\.sampling: expected int, got float"),
        (lambda c: c["rows"][0].update(role="ours"), "expected one of 'model', 'real'"),
        (lambda c: c["rows"][0]["metrics"][0].update(ci95=[1.0]), r"metrics\[0\]\.ci95: expected 2 entries, got 1"),
        (lambda c: c["rows"][0]["metrics"][0].update(ci95=None), r"ci95: expected a list, got null"),
        (lambda c: c["rows"][0]["metrics"][0].update(value="12"), "value: expected float, got str"),
        (lambda c: c["rows"][0]["sampling"].update(top_k=[1]), r"sampling\.top_k: expected .*, got list"),
        (lambda c: c.update(rows={}), r"record\.rows: expected a list, got dict"),
        (lambda c: c.update(git=[]), r"record\.git: expected an object, got list"),
        (lambda c: c.update(timings_s=None), r"record\.timings_s: expected an object, got null"),
    ],
)
def test_refuses_what_is_not_the_schema(tmp_path, edit, message):
    path = write_with(tmp_path / "record.json", edit)
    with pytest.raises(ValueError, match=message) as caught:
        read_record(path)
    assert str(path) in str(caught.value)


def test_notices_an_edit_by_hand(tmp_path):
    path = write_with(tmp_path / "record.json", lambda c: c["rows"][0]["metrics"][0].update(value=12.6), resign=False)
    with pytest.raises(ValueError, match="changed after the run"):
        read_record(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")], ids=str)
def test_refuses_what_is_not_a_number(tmp_path, value):
    path = write_with(tmp_path / "record.json", lambda c: c["timings_s"].update(sampling=value), resign=False)
    with pytest.raises(ValueError, match="expected finite numbers"):
        read_record(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 1, "schema": 1}', "[" * 100_000])
def test_refuses_what_is_not_a_record(tmp_path, text):
    path = tmp_path / "record.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"record\.json: "):
        read_record(path)


def test_a_key_stands_once(tmp_path):
    path = tmp_path / "record.json"
    write_record(path, record())
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"task": "t2i"', '"task": "t2v",\n  "task": "t2i"'), encoding="utf-8")
    with pytest.raises(ValueError, match="key 'task' stands twice"):
        read_record(path)


def test_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "record.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": float("nan")}, "expected finite numbers"),
        ({"ci95": (13.0, 12.0)}, "lo <= value <= hi"),
        ({"ci95": (13.0, 14.0)}, "lo <= value <= hi"),
        ({"ci95": (0.0, float("inf"))}, "expected finite numbers"),
        ({"n": 0}, "n >= 1"),
        ({"protocol": "fid"}, "expected a protocol like"),
    ],
)
def test_a_metric_is_checked_where_it_is_made(changes, message):
    with pytest.raises(ValueError, match=message):
        metric(**changes)


def test_nothing_is_written_where_the_record_would_not_read_back(tmp_path):
    with pytest.raises(ValueError, match=r"record\.task: expected str"):
        write_record(tmp_path / "record.json", record(task=4))
    assert not list(tmp_path.iterdir())


def test_records_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        record().task = "t2v"


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)))
def test_any_finite_sampling_setting_survives(tmp_path_factory, sampling):
    path = tmp_path_factory.mktemp("record") / "record.json"
    sampling = {k: v for k, v in sampling.items() if v not in (float("inf"), float("-inf"))}
    row = records.Row(name="a", role="baseline", sampling=sampling, metrics=())
    write_record(path, record(rows=(row,)))
    assert read_record(path) == record(rows=(row,))
