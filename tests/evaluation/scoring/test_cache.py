import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.scoring.cache import Cache, CacheWarning, Entry, key_of

ROOT = Path(__file__).parents[3]
KEY = key_of(of="a test")


def entry(seed: int = 0, n: int = 5) -> Entry:
    values = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    return Entry(values=values, about={"names": [""] * n, "lost": ["ünreadable"]})


def test_what_is_put_is_got(tmp_path):
    cache = Cache(tmp_path / "made" / "on the way")
    assert cache.get(KEY) is None
    cache.put(KEY, entry())
    found = cache.get(KEY)
    assert torch.equal(found.values, entry().values)
    assert found.about == entry().about
    assert Cache(cache.folder).get(key_of(of="another")) is None
    cache.put(KEY, entry(1))
    assert torch.equal(cache.get(KEY).values, entry(1).values)


@pytest.mark.parametrize("values", [torch.zeros(0), torch.ones(2, 3).T, torch.arange(3, dtype=torch.int64)])
def test_any_numbers(tmp_path, values):
    Cache(tmp_path).put(KEY, Entry(values=values, about={}))
    assert torch.equal(Cache(tmp_path).get(KEY).values, values)


@given(st.dictionaries(st.text(min_size=1).filter(str.isidentifier), st.integers() | st.text(), min_size=1))
def test_a_key_is_of_its_parts_in_any_order(parts):
    assert key_of(**parts) == key_of(**dict(reversed(parts.items())))
    name = next(iter(parts))
    assert key_of(**{**parts, name: "something else"}) != key_of(**parts)


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content[:-1],
        lambda content: flip(content, -1),
        lambda content: content.replace(b'\\"names\\"', b'\\"nemas\\"'),
        lambda content: b"something else",
        lambda content: content.replace(b"sha256", b"sha257"),
    ],
    ids=["empty", "cut", "one byte short", "a number changed", "what is known changed", "no entry", "no digest"],
)
def test_damage_is_noticed_named_and_made_good(tmp_path, damage):
    cache = Cache(tmp_path)
    cache.put(KEY, entry())
    path = cache.path(KEY)
    content = path.read_bytes()
    assert damage(content) != content
    path.write_bytes(damage(content))
    with pytest.warns(CacheWarning, match=rf"{KEY}\.safetensors: a damaged entry of the cache .*; it is made again"):
        assert cache.get(KEY) is None
    cache.put(KEY, entry())
    assert torch.equal(cache.get(KEY).values, entry().values)


def test_nothing_is_left_of_an_entry_that_fails(tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Exception, match="disk full while writing"):
        Cache(tmp_path).put(KEY, entry())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


TOGETHER = """
import sys, torch
from evaluation.scoring.cache import Cache, Entry, key_of
cache, keys = Cache(sys.argv[1]), [key_of(number=i) for i in range(10)]
print("ready", flush=True)
sys.stdin.readline()
for turn in range(20):
    for i, key in enumerate(keys):
        found = cache.get(key)
        assert found is None or float(found.values[0, 0]) == i, found
        cache.put(key, Entry(values=torch.full((200, 50), float(i)), about={"turn": turn}))
"""


def test_two_processes_at_once(tmp_path):
    """Both read and replace the same entries: what is read is always whole, and no warning is an error here."""
    command = [sys.executable, "-W", "error", "-c", TOGETHER, str(tmp_path)]
    workers = [
        subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    try:
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 2
        for worker in workers:
            worker.stdin.write("\n")
            worker.stdin.flush()
        said = [worker.communicate(timeout=120) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [(worker.returncode, err) for worker, (_, err) in zip(workers, said, strict=True)] == [(0, ""), (0, "")]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 10
