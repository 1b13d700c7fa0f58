import hashlib
from pathlib import Path

import pytest

from evaluation import weights
from evaluation.weights import MissingWeightsError, WeightFile, fetch, find, find_all
from nuwa.registry import Registry

CONTENT = b"tensors" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def registry(monkeypatch, tmp_path) -> Registry[WeightFile]:
    """Two files of our own beside the published ones; the sources are files on this disk."""
    known = Registry[WeightFile]("weight file")
    for name, digest, size in (("small", DIGEST, len(CONTENT)), ("short-digest", DIGEST[:8], None)):
        source = tmp_path / "source" / f"{name}.pth"
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(CONTENT)
        known.add(
            name,
            WeightFile(
                file=source.name,
                size_bytes=size,
                sha256=digest,
                licence="MIT",
                source=source.as_uri(),
                used_for="tests",
            ),
        )
    published = weights.WEIGHTS
    monkeypatch.setattr(weights, "WEIGHTS", known)
    return published


@pytest.mark.parametrize("name", ["small", "short-digest"])
def test_found_and_verified(tmp_path, name):
    (tmp_path / f"{name}.pth").write_bytes(CONTENT)
    assert find(name, tmp_path) == tmp_path / f"{name}.pth"


def test_what_is_missing_is_said_once(tmp_path):
    with pytest.raises(MissingWeightsError) as caught:
        find_all(["small", "short-digest"], tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert DIGEST in message
    assert message.count("from file:") == 2
    assert "7,000 bytes" in message


@pytest.mark.parametrize(("content", "got"), [(b"other" * 1400, "got [0-9a-f]{64}"), (CONTENT[:-1], "got 6,999")])
def test_another_file_is_refused_and_left_there(tmp_path, content, got):
    (tmp_path / "small.pth").write_bytes(content)
    with pytest.raises(ValueError, match=got):
        find("small", tmp_path)
    assert (tmp_path / "small.pth").read_bytes() == content


def test_unknown_name_names_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'small'"):
        find("smal", tmp_path)


def test_fetched_on_request(tmp_path):
    assert fetch("small", tmp_path / "folder") == tmp_path / "folder" / "small.pth"
    (tmp_path / "source" / "small.pth").unlink()
    assert fetch("small", tmp_path / "folder").read_bytes() == CONTENT  # what is there is not fetched again


def test_a_wrong_download_is_not_kept(tmp_path):
    (tmp_path / "source" / "small.pth").write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match="expected 7,000 bytes, got 22"):
        fetch("small", tmp_path / "folder")
    assert not list((tmp_path / "folder").iterdir())


def test_a_failed_download_says_which(tmp_path):
    (tmp_path / "source" / "small.pth").unlink()
    with pytest.raises(ValueError, match=r"cannot download small\.pth"):
        fetch("small", tmp_path / "folder")


def test_published_files_are_described(registry):
    assert "inception-fid" in registry
    for name in registry:
        assert registry[name].licence
        assert registry[name].source.startswith("https://")
        assert Path(registry[name].source).name == registry[name].file


@pytest.mark.parametrize("digest", ["", "6726825", "Z" * 64, "A" * 64])
def test_a_digest_is_a_digest(digest):
    with pytest.raises(ValueError, match="expected a sha256"):
        WeightFile(file="a", size_bytes=None, sha256=digest, licence="", source="", used_for="")
