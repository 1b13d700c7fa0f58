import json

import pytest

from evaluation.scoring.captions import by_sample, read_captions


def test_json_and_tables(tmp_path):
    expected = {"1": "a cat", "b/2": 'a "red" ring, small'}
    (tmp_path / "a.json").write_text(json.dumps(expected))
    (tmp_path / "a.csv").write_text('\ufeffcaption,id\na cat,1\n"a ""red"" ring, small",b/2\n', encoding="utf-8")
    (tmp_path / "a.TSV").write_text('id\tmore\tcaption\n1\tx\ta cat\nb/2\ty\t"a ""red"" ring, small"\n')
    for name in ("a.json", "a.csv", "a.TSV"):
        assert read_captions(tmp_path / name) == expected


def test_ids_with_or_without_ending_or_folder():
    captions = {"a.png": "whole", "b": "without ending", "c/d": "with folder", "e.jpg": "file", "f": "stem"}
    ids = ["a.png", "b.png", "c/d.png", "x/e.jpg", "x/y/f.png", "g.png"]
    assert by_sample(captions, ids) == dict(zip(ids, captions.values(), strict=False))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.json", "[1]", 'expected an object {"id": "caption"'),
        ("a.json", '{"a": 1}', 'expected an object {"id": "caption"'),
        ("a.json", "{", "no captions: Expecting"),
        ("a.json", "{}", "expected at least one caption"),
        ("a.csv", "name,text\n1,2\n", "got no caption and no id"),
        ("a.csv", "id,caption\n1\n", "line 2: expected an id and a caption"),
        ("a.csv", "id,caption\n1,a\n1,b\n", "line 3: id '1' stands twice"),
        ("a.txt", "1 a", "expected json, csv or tsv, got .txt"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=sentence):
        read_captions(tmp_path / name)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ValueError, match="expected a file of captions, found none"):
        read_captions(tmp_path / "a.json")
