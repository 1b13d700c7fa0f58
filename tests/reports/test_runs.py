import json

import pytest
from PIL import Image

from evaluation.records import write_record
from reports.runs import read_run


def test_reads_a_whole_run(make_run, tmp_path):
    run = read_run(make_run(tmp_path / "run"))
    assert run.notes == ()
    assert run.labels == ("real", "reconstruction", "K = 1", "K = 8")
    assert len(run.samples) == 12
    assert (run.samples[0].pictures["real"].width_px, run.samples[0].pictures["real"].height_px) == (32, 32)
    assert list(run.logs) == ["tokenizer", "transformer"]
    assert len(run.logs["tokenizer"]) == 200


def test_a_folder_without_a_record_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a run's folder with record\.json"):
        read_run(tmp_path)


def test_missing_pieces_become_notes(make_run, make_record, tmp_path):
    write_record(tmp_path / "record.json", make_record())
    run = read_run(tmp_path)
    assert run.samples == ()
    assert run.logs == {}
    assert [note.split(":")[0] for note in run.notes] == ["No samples", "No training curves"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"items": 3}',
        '{"items": [{"id": 1}]}',
        '{"items": [{"id": "a", "caption": 3, "images": {}}]}',
        '{"items": [{"id": "a", "caption": "b", "images": {"real": 3}}]}',
        "[" * 100_000,
    ],
)
def test_damaged_samples_become_a_note(make_run, tmp_path, content):
    folder = make_run(tmp_path / "run")
    (folder / "samples" / "samples.json").write_text(content, encoding="utf-8")
    run = read_run(folder)
    assert run.samples == ()
    assert len(run.notes) == 1
    assert run.notes[0].startswith("No samples: samples/samples.json is not as expected")


def replace_picture(folder, file):
    path = folder / "samples" / "samples.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["items"][0]["images"]["real"] = file
    path.write_text(json.dumps(content), encoding="utf-8")
    return read_run(folder)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("absent.png", "No such file"),
        ("../secret.png", "leads out of the samples folder"),
        ("/etc/hostname", "leads out of the samples folder"),
        ("page.png", "cannot identify image file"),
        ("cut.png", "truncated"),
        ("nul\0.png", "null byte"),
        ("huge.png", "more than 16,000,000 px"),
        ("long.webp", "300 frames are more than 256"),
    ],
)
def test_an_unreadable_picture_becomes_a_note(make_run, tmp_path, file, reason):
    folder = make_run(tmp_path / "run")
    Image.new("RGB", (4, 4)).save(folder / "secret.png")
    (folder / "samples" / "page.png").write_text("<svg onload=alert(1)>", encoding="utf-8")
    (folder / "samples" / "cut.png").write_bytes((folder / "samples" / "0000_real.png").read_bytes()[:60])
    Image.new("1", (4001, 4000)).save(folder / "samples" / "huge.png")
    frames = [Image.new("L", (1, 1), number % 2 * 255).convert("RGB") for number in range(300)]
    frames[0].save(folder / "samples" / "long.webp", save_all=True, append_images=frames[1:], lossless=True)
    run = replace_picture(folder, file)
    assert run.samples[0].pictures["real"] is None
    assert run.samples[0].pictures["K = 8"] is not None
    assert len(run.notes) == 1
    assert reason in run.notes[0]
    assert str(tmp_path) not in run.notes[0]


def test_a_link_out_of_the_folder_is_not_followed(make_run, tmp_path):
    folder = make_run(tmp_path / "run")
    Image.new("RGB", (4, 4)).save(folder / "secret.png")
    (folder / "samples" / "link.png").symlink_to(folder / "secret.png")
    assert replace_picture(folder, "link.png").samples[0].pictures["real"] is None


def test_the_type_comes_from_the_content_not_the_name(make_run, tmp_path):
    folder = make_run(tmp_path / "run")
    Image.new("RGB", (4, 4)).save(folder / "samples" / "photo.png", format="JPEG")
    picture = replace_picture(folder, "photo.png").samples[0].pictures["real"]
    assert picture.uri.startswith("data:image/jpeg;base64,")


def log_of(folder, *lines):
    path = folder / "training" / "tokenizer" / "log.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    run = read_run(folder)
    return run.logs.get("tokenizer"), run.notes


def test_a_resumed_log_keeps_the_later_line(make_run, tmp_path):
    log, notes = log_of(
        make_run(tmp_path / "run"),
        *(
            '{"step": 1, "loss": 3.0}',
            '{"step": 2, "loss": 9.0}',
            '{"step": 2, "loss": 2.0}',
            '{"step": 0, "loss": 4.0}',
        ),
    )
    assert log["step"].tolist() == [0, 1, 2]
    assert log["loss"].tolist() == [4.0, 3.0, 2.0]
    assert notes == ()


def test_lines_that_are_no_entries_are_counted(make_run, tmp_path):
    log, notes = log_of(
        make_run(tmp_path / "run"),
        *('{"step": 1, "loss": 3.0, "name": "a", "flag": true}', "", "oops", "[1]", '{"loss": 1}', '{"step": "2"}'),
        *('{"step": NaN}', '{"step": 1' + "0" * 400 + "}", '{"step": 2, "lo'),
    )
    assert log.columns.tolist() == ["step", "loss"]
    assert len(log) == 1
    assert notes == (
        "training/tokenizer/log.jsonl: 7 line(s) left out that are no log entries (line 3, 4, 5, 6, 7, …).",
    )


def test_losses_that_are_no_numbers_are_told(make_run, tmp_path):
    _, notes = log_of(make_run(tmp_path / "run"), '{"step": 1, "loss": NaN}', '{"step": 2, "loss": 1.0}')
    assert notes == ("training/tokenizer/log.jsonl: loss is not a finite number at 1 step(s).",)


def test_an_empty_log_is_told(make_run, tmp_path):
    log, notes = log_of(make_run(tmp_path / "run"), "")
    assert log is None
    assert notes == ("training/tokenizer/log.jsonl: no entries.",)
