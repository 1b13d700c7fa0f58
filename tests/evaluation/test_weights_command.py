import hashlib
from pathlib import Path

import pytest

from evaluation import weights
from evaluation.__main__ import main
from evaluation.weights import WeightFile
from nuwa.registry import Registry

CONTENT = b"tensors" * 10


@pytest.fixture(autouse=True)
def source(tmp_path, monkeypatch) -> Path:
    """Two files that can be had from a folder on this disk."""
    known = Registry[WeightFile]("weight file")
    (tmp_path / "source").mkdir()
    for name, size in (("one", len(CONTENT)), ("two", None)):
        path = tmp_path / "source" / f"{name}.pth"
        path.write_bytes(CONTENT)
        digest = hashlib.sha256(CONTENT).hexdigest()
        entry = WeightFile(
            file=path.name, size_bytes=size, sha256=digest, licence="MIT", source=path.as_uri(), used_for=f"{name} FID"
        )
        known.add(name, entry)
    monkeypatch.setattr(weights, "WEIGHTS", known)
    return tmp_path / "source"


def said(capsys, *arguments: object) -> list[str]:
    main(["weights", *map(str, arguments)])
    return capsys.readouterr().out.splitlines()


def test_list_needs_no_folder(capsys):
    head, _, one, two = said(capsys, "list")
    assert head.split() == ["name", "file", "bytes", "sha256", "licence", "used", "for"]
    assert one.split()[:3] == ["one", "one.pth", "70"]
    assert two.split()[:3] == ["two", "two.pth", "?"]
    assert len(said(capsys, "list", "two")) == 3


def test_where_each_file_lies_or_belongs(capsys, tmp_path):
    (tmp_path / "one.pth").write_bytes(b"whatever")
    one, two = said(capsys, "where", "--folder", tmp_path)
    assert one == f"one: {tmp_path / 'one.pth'}"
    assert f"two: missing; two.pth belongs into {tmp_path}, from file:" in two


def test_fetch_then_verify(capsys, tmp_path):
    folder = tmp_path / "weights"
    assert said(capsys, "fetch", "one", "--folder", folder) == [str(folder / "one.pth")]
    one, two = said(capsys, "verify", "--folder", folder)
    assert one == f"one: {folder / 'one.pth'} is the one published"
    assert two.startswith("two: missing")


def test_another_file_is_refused_and_left_there(capsys, tmp_path):
    (tmp_path / "one.pth").write_bytes(b"another" * 10)
    with pytest.raises(ValueError, match="weights verify: one: not the files published; they are left where they are"):
        said(capsys, "verify", "--folder", tmp_path)
    assert "one: " in (found := capsys.readouterr().out)
    assert "expected sha256" in found
    assert (tmp_path / "one.pth").read_bytes() == b"another" * 10


def test_no_network_is_a_sentence(capsys, tmp_path, source):
    (source / "one.pth").unlink()
    with pytest.raises(ValueError, match=r"cannot download one\.pth \(one: one FID"):
        said(capsys, "fetch", "one", "--folder", tmp_path / "weights")
    assert not list((tmp_path / "weights").iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("where",), "weights where: expected the folder of the files, got none; name it with --folder"),
        (("fetch", "--folder", "."), "weights fetch: expected the names of files, got none; some of one, two"),
        (("list", "tow"), "unknown weight file 'tow'; did you mean 'two'"),
    ],
)
def test_wrong_use(capsys, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        said(capsys, *arguments)
