"""``python -m evaluation score``: the whole way from folders to a record, with the shipped judges of sprites."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation import judges
from evaluation.__main__ import main
from evaluation.metrics import PictureScorer
from evaluation.records import Record, read_record
from nuwa.data.sprites.dataset import SpritesPictures

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.SmallSampleWarning")
ROOT = Path(__file__).parents[2]
N = 40


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    """Two takes of the same sprites as folders ``real`` and ``fake``, and ``captions.json``."""
    root = tmp_path_factory.mktemp("sets")
    for name, take in (("real", 0), ("fake", 1)):
        data = SpritesPictures("test-seen", N, 32, take=take)
        (root / name).mkdir()
        for index, each in enumerate(data.ids):
            Image.fromarray(data.image(index).permute(1, 2, 0).numpy()).save(root / name / f"{each}.png")
    (root / "captions.json").write_text(json.dumps(dict(zip(data.ids, data.captions, strict=True))))
    return root


@pytest.fixture
def score(sets, tmp_path, monkeypatch) -> Callable[..., Record]:
    """Runs the command in a folder of its own and returns the record."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, fake: object = sets / "fake", **options: object) -> Record:
        given = {"fake": fake, "protocol": "sprites", **options}
        words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
        main(["score", *map(str, arguments), *words])
        return read_record(Path(str(given.get("out", "runs/score"))) / "record.json")

    return run


def test_all_numbers_are_those_of_the_scorer(score, sets, capsys):
    record = score(real=sets / "real", metrics="fid-k,is,clipsim", captions=sets / "captions.json")
    scorers = []
    for take in (1, 0):
        data = SpritesPictures("test-seen", N, 32, take=take)
        scorers.append(PictureScorer(judges.load_image_judge(), judges.load_clip_judge()))
        scorers[-1].update(torch.stack([data.image(i) for i in range(N)]), list(data.captions))
    expected = scorers[0].against(scorers[1])
    (row,) = record.rows
    assert [(value.name, value.protocol, value.n) for value in row.metrics] == [
        (value.name, value.protocol, value.n) for value in expected
    ]
    for found, wanted in zip(row.metrics, expected, strict=True):
        assert found.value == pytest.approx(wanted.value, rel=1e-6)
        assert found.ci95 == pytest.approx(wanted.ci95, rel=1e-4, abs=1e-6)
    said = capsys.readouterr().out
    for value in expected:
        assert f"{value.name} " in said
        assert value.protocol in said
    assert "judged 80 samples at" in said
    assert "% of the time waiting for data" in said
    assert "note: is@sprites-1: 40 pictures in 10 splits for 48 classes" in said


def test_the_record_says_what_was_compared(score, sets):
    record = score(real=sets / "real", metrics="fid", out="runs/mine")
    assert (record.task, record.name) == ("score", "mine")
    assert (record.dataset.name, record.dataset.version, record.dataset.split) == ("real", "folder", "real")
    assert record.model.preset == record.rows[0].name == "fake"
    assert record.rows[0].sampling["fingerprint"] != record.dataset.fingerprint
    assert record.seeds == {"fid@sprites-1": 2020}
    assert {"open", "judge", "score", "wait for data"} <= set(record.timings_s)
    assert any("128 features" in skip.reason for skip in record.skipped if skip.id == "note")


def test_a_second_run_looks_at_nothing_again(score, sets, capsys):
    first = score(real=sets / "real", metrics="fid,is")
    assert "found" not in capsys.readouterr().out
    second = score(real=sets / "real", metrics="fid,is")
    said = capsys.readouterr().out
    assert "found 80 samples in the cache" in said
    assert "judged" not in said
    assert first.rows == second.rows


def test_without_a_cache_nothing_is_kept(score, sets, tmp_path):
    score("--cache", "None", real=sets / "real", metrics="fid")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["score"]


def test_forms_of_input_give_the_same_numbers(score, sets, tmp_path):
    arrays = {
        name: np.stack([np.asarray(Image.open(path)) for path in sorted((sets / name).iterdir())])
        for name in ("real", "fake")
    }
    np.savez(tmp_path / "real.npz", arrays["real"])
    np.save(tmp_path / "fake.npy", arrays["fake"])
    plain = score(real=sets / "real", metrics="fid,is")
    other = score(real=tmp_path / "real.npz", fake=tmp_path / "fake.npy", metrics="fid,is")
    assert other.rows[0].metrics == plain.rows[0].metrics
    assert (other.dataset.version, plain.dataset.version) == ("npz", "folder")


def test_statistics_of_others_stand_for_the_real_side(score, sets, tmp_path):
    data = SpritesPictures("test-seen", N, 32)
    features = judges.load_image_judge()(torch.stack([data.image(i) for i in range(N)])).features.double()
    np.savez(tmp_path / "stats.npz", mu=features.mean(0).numpy(), sigma=features.T.cov().numpy())
    plain = score(real=sets / "real", metrics="fid")
    found = score(real=tmp_path / "stats.npz", metrics="fid")
    assert found.rows[0].metrics[0].value == pytest.approx(plain.rows[0].metrics[0].value, rel=1e-5)
    assert (found.dataset.name, found.dataset.version) == ("stats.npz", "statistics")


def test_what_cannot_be_read_is_named_and_counted(score, sets, tmp_path, capsys):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in (sets / "fake").iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    for index in range(7):
        (broken / f"broken-{index}.jpg").write_bytes(b"\xff\xd8 no picture")
    record = score(fake=broken, real=sets / "real", metrics="fid")
    assert record.rows[0].metrics[0].n == N
    lost = [skip for skip in record.skipped if skip.id.startswith("fake/broken-")]
    assert len(lost) == 7
    said = capsys.readouterr().out
    assert "left out of fake/broken-0.jpg: not a PNG" in said
    assert "left out of fake: 2 more, all named in the record" in said


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"metrics": "fid"}, "fid: expected real pictures to compare with, got none; name them with --real"),
        (
            {"metrics": "clipsim"},
            "clipsim: expected the captions of the pictures, got none; name a file with --captions",
        ),
        ({"metrics": "fid", "real": "nowhere"}, "nowhere: expected a folder or a file of pictures, found none"),
        ({"metrics": "fid", "real": "{tmp}/empty"}, "expected pictures in this folder, got none"),
        ({"metrics": "fid", "real": "{tmp}/one"}, "real pictures: expected at least 2, got one"),
        (
            {"metrics": "fid", "real": "{tmp}/large"},
            "expected pictures of one size, as fid@sprites-1 .* got 32×32 and 9×8",
        ),
        (
            {"metrics": "fid", "real": "{tmp}/mixed"},
            "expected pictures of one size, as fid@sprites-1 .* got 9×8 and 8×9",
        ),
        ({"metrics": "fid", "real": "{tmp}/unreadable"}, "real pictures: expected at least 2, got an empty set"),
        ({"metrics": "fid", "real": "{tmp}/wrong.npz"}, "expected an array 'arr_0' of pictures, got images"),
        ({"metrics": "fid", "real": "{tmp}/float.npy"}, "expected uint8 in 0…255, got float64"),
        ({"metrics": "fid-k", "real": "{tmp}/stats.npz"}, "fid-k needs real pictures, got statistics of them"),
        ({"metrics": "fid", "real": "{tmp}/stats.npz"}, "expected statistics of 128 features, got 2"),
        ({"metrics": "fid", "real": "{tmp}/evil.pkl"}, "asks for os.getcwd, and a pickle can run any program"),
        ({"metrics": "fid", "fake": "{tmp}/stats.npz", "real": "{tmp}/one"}, "they can only stand for the real side"),
        ({"metrics": "fid", "real": "{tmp}/one", "shard": 0}, "at least one sample between two saves, got 0"),
        ({"metrics": "fid", "real": "{tmp}/one", "batch": -1}, "expected batch_size and workers >= 1"),
        (
            {"metrics": "fid@ttur", "real": "{tmp}/one"},
            "inception-fid: expected the folder with its weight file pt_inc",
        ),
        (
            {"metrics": "fid@ttur", "real": "{tmp}/one", "weights": "{tmp}/one"},
            "expected these files in .*one; put them",
        ),
        ({"metrics": "fid@ttur", "real": "{tmp}/one", "weights": "{tmp}/weights"}, "expected 95,628,359 bytes, got 5"),
    ],
    ids=str,
)
def test_wrong_use_is_a_sentence(score, tmp_path, given, sentence):
    for name, sizes in {"one": [(32, 32)], "large": [(8, 9)] * 2, "mixed": [(8, 9), (9, 8)], "empty": []}.items():
        (tmp_path / name).mkdir()
        for index, size in enumerate(sizes):
            Image.new("RGB", size[::-1]).save(tmp_path / name / f"{index}.png")
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable" / "a.png").write_bytes(b"")
    np.savez(tmp_path / "wrong.npz", images=np.zeros((2, 8, 8, 3), np.uint8))
    np.save(tmp_path / "float.npy", np.zeros((2, 8, 8, 3)))
    np.savez(tmp_path / "stats.npz", mu=np.zeros(2), sigma=np.eye(2))
    (tmp_path / "evil.pkl").write_bytes(b"cos\ngetcwd\n(tR.")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "pt_inception-2015-12-05-6726825d.pth").write_bytes(b"other")
    with pytest.raises(ValueError, match=sentence):
        score(**{name: str(value).format(tmp=tmp_path) for name, value in given.items()})
    assert (tmp_path / "weights" / "pt_inception-2015-12-05-6726825d.pth").read_bytes() == b"other"


def command(sets: Path, folder: Path, *more: str) -> list[str]:
    arguments = ["score", "--real", str(sets / "real"), "--fake", str(sets / "fake"), "--metrics", "fid,is"]
    arguments += ["--protocol", "sprites", "--cache", str(folder / "cache"), "--shard", "1", *more]
    return [sys.executable, "-m", "evaluation", *arguments]


@pytest.mark.slow
def test_killed_and_started_again(sets, tmp_path):
    whole = subprocess.run(
        command(sets, tmp_path / "whole", "--out", str(tmp_path / "whole")), cwd=ROOT, check=True, capture_output=True
    )
    assert b"judged 80 samples" in whole.stdout
    worker = subprocess.Popen(
        command(sets, tmp_path / "killed", "--out", str(tmp_path / "killed")), cwd=ROOT, stdout=subprocess.DEVNULL
    )
    cache = tmp_path / "killed" / "cache"
    deadline = time.monotonic() + 120
    while len(list(cache.rglob("*.safetensors"))) < 20 and time.monotonic() < deadline:
        time.sleep(0.002)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert not (tmp_path / "killed" / "record.json").exists()
    again = subprocess.run(
        command(sets, tmp_path / "killed", "--out", str(tmp_path / "killed")), cwd=ROOT, check=True, capture_output=True
    )
    assert b"found" in again.stdout
    first, second = (read_record(tmp_path / name / "record.json") for name in ("whole", "killed"))
    assert first.rows == second.rows
    assert first.dataset == second.dataset


@pytest.mark.slow
def test_two_processes_with_one_cache(sets, tmp_path):
    workers = [
        subprocess.Popen(
            command(sets, tmp_path, "--out", str(tmp_path / name)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONWARNINGS": "error::evaluation.scoring.cache.CacheWarning"},
        )
        for name in ("a", "b")
    ]
    said = [worker.communicate(timeout=240) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    first, second = (read_record(tmp_path / name / "record.json") for name in ("a", "b"))
    assert first.rows == second.rows
    assert not any(b"damaged" in out + err for out, err in said)
