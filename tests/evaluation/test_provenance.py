import os
import subprocess
from pathlib import Path

import pytest
import torch

from evaluation import provenance
from evaluation.records import GitState


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=variables).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "model.py").write_text("a = 1\n")
    git(tmp_path, "add", "model.py")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def test_clean_tree(checkout):
    assert provenance.git_state(checkout) == GitState(commit=git(checkout, "rev-parse", "HEAD"), dirty=False)


@pytest.mark.parametrize("name", ["model.py", "new.py"])
def test_a_changed_or_a_new_file_makes_it_dirty(checkout, name):
    (checkout / name).write_text("a = 2\n")
    assert provenance.git_state(checkout).dirty is True


def test_a_folder_inside_another_repository_does_not_take_its_commit(checkout):
    (checkout / "inside").mkdir()
    assert provenance.git_state(checkout / "inside") == GitState(commit=None, dirty=None)


def test_the_tree_is_the_one_asked_for_and_not_where_one_stands(checkout, tmp_path_factory, monkeypatch):
    expected = provenance.git_state(checkout)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    git(elsewhere, "init", "-q")
    git(elsewhere, "commit", "-q", "--allow-empty", "-m", "two")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    assert provenance.git_state(checkout) == expected


def test_a_broken_checkout_is_said(tmp_path):
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    with pytest.warns(provenance.ProvenanceWarning, match="git cannot read"):
        assert provenance.git_state(tmp_path) == GitState(commit=None, dirty=None)


def test_command_line_can_be_pasted_into_a_shell():
    line = provenance.command_line(["/a b/bin/python", "-m", "evaluation", "--caption", "a red; disc"])
    assert line == "python -m evaluation --caption 'a red; disc'"


def test_provenance_fits_the_record():
    taken = provenance.provenance("cpu", {"sampling": 3})
    assert taken.environment.torch == torch.__version__
    assert taken.environment.threads == torch.get_num_threads()
    assert taken.environment.device.startswith("cpu (")
    assert taken.environment.precision == "float32"
    assert taken.seeds == {"sampling": 3}


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [
        ("cpu", torch.bfloat16, "bfloat16"),
        ("cuda", torch.bfloat16, "bfloat16"),
        ("cuda", torch.float32, "float32 (matmul ieee, convolution tf32)"),
    ],
)
def test_precision_in_words(device, dtype, expected):
    assert provenance.precision(device, dtype) == expected


def test_peak_memory_sees_what_was_held():
    held = torch.ones(2**28)
    peak = provenance.peak_memory()
    assert held.nbytes / 2**30 <= peak.host < 64
    assert peak.cuda is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_peak_memory_of_the_device():
    held = torch.ones(2**28, device="cuda")
    assert provenance.peak_memory("cuda").cuda >= held.nbytes / 2**30
