"""The pass over a source: nothing that does not matter changes a number, and nothing that matters is missed."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.inputs import open_clips, open_pictures, pairs
from evaluation.protocols import sprites
from evaluation.scoring import reading, views
from evaluation.scoring.cache import Cache, CacheWarning
from evaluation.scoring.reading import Pace, read
from evaluation.scoring.views import Judges, View
from tests.evaluation.scoring.conftest import TOY, TOY_IS, TOY_PIL, TOY_PLAIN, Toy, picture

CPU = torch.device("cpu")
FEATURES, LOGITS = View(protocol=TOY), View(protocol=TOY_IS, answer="class_logits")
BLURRED, PIL = View(protocol=TOY, radius=2), View(protocol=TOY_PIL)


def read_all(source, cache, wanted=(FEATURES, LOGITS), **settings):
    if not isinstance(source, reading.Source):
        source = open_pictures(
            source, **{key: settings.pop(key) for key in ("batch_size", "workers") if key in settings}
        )
    return read(source, Judges(wanted, None, CPU), Cache(cache), **settings)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_it_is_what_the_network_says(toy, folder, cache):
    root = folder("real", 20)
    found = read_all(root, cache, (FEATURES, LOGITS, BLURRED, PIL), batch_size=8)
    images = torch.stack([torch.from_numpy(picture(i)).movedim(-1, 0) for i in range(20)])
    assert torch.equal(found[FEATURES], Toy(TOY)(images).features)
    assert torch.equal(found[LOGITS], Toy(TOY)(images).class_logits)
    assert torch.equal(found[PIL], Toy(TOY_PIL)(images).features)
    assert torch.equal(found[BLURRED], Toy(TOY)(views.blur(images, 2, TOY.blur_kernel)).features)
    assert found.ids == tuple(f"{i:03d}.png" for i in range(20))
    assert found.fingerprint == open_pictures(root).fingerprint
    assert len(found) == 20


def test_one_call_answers_all_views_that_see_the_same(toy, folder, cache):
    read_all(folder("real", 10), cache, (FEATURES, LOGITS))
    assert Toy.seen == 10
    read_all(folder("fake", 10, seed=1), cache, (FEATURES, LOGITS, BLURRED, PIL))
    assert Toy.seen == 10 + 30


@pytest.mark.parametrize("sizes", [((10, 12),), ((10, 12), (14, 9), (10, 12), (8, 8))], ids=["one size", "mixed sizes"])
@pytest.mark.parametrize(
    ("batch_size", "workers", "shard"), [(1, 1, 512), (7, 2, 512), (64, 3, 512), (4, 2, 5), (64, 2, 1), (3, 2, 10)]
)
def test_batches_threads_and_shards_change_nothing(toy, folder, tmp_path, sizes, batch_size, workers, shard):
    root = folder("real", 23, sizes=sizes)
    whole = read_all(root, tmp_path / "a")
    parts = read_all(root, tmp_path / "b", batch_size=batch_size, workers=workers, shard=shard)
    assert torch.equal(whole[FEATURES], parts[FEATURES])
    assert torch.equal(whole[LOGITS], parts[LOGITS])
    assert (whole.ids, whole.fingerprint) == (parts.ids, parts.fingerprint)
    assert sum(map(len, parts.parts(FEATURES))) == 23


@pytest.mark.parametrize("form", ["folder", "tensor", "iterator", "dataset"])
def test_every_source_can_be_read(toy, folder, cache, form):
    images = torch.stack([torch.from_numpy(picture(i)).movedim(-1, 0) for i in range(9)])
    source = {
        "folder": lambda: folder("real", 9),
        "tensor": lambda: images,
        "iterator": lambda: iter(images),
        "dataset": lambda: torch.utils.data.TensorDataset(images),
    }[form]()
    found = read_all(source, cache, shard=4)
    assert torch.equal(found[FEATURES], Toy(TOY)(images).features)
    assert found.pace.judged == 9


class TestCache:
    def test_what_was_seen_is_not_looked_at_again(self, toy, folder, cache):
        root = folder("real", 20)
        first = read_all(root, cache, shard=6)
        second = read_all(root, cache, shard=6)
        assert Toy.seen == 20
        assert torch.equal(first[FEATURES], second[FEATURES])
        assert (first.ids, first.skipped, first.fingerprint) == (second.ids, second.skipped, second.fingerprint)
        assert (first.pace.judged, first.pace.found) == (20, 0)
        assert (second.pace.judged, second.pace.found) == (0, 20)

    def test_a_changed_picture_costs_its_shard(self, toy, folder, cache):
        root = folder("real", 20)
        before = read_all(root, cache, shard=5)
        Image.fromarray(picture(99)).save(root / "007.png")
        after = read_all(root, cache, shard=5)
        assert Toy.seen == 25
        changed = (before[FEATURES] != after[FEATURES]).any(1).nonzero().flatten().tolist()
        assert changed == [7]
        assert before.fingerprint != after.fingerprint

    def test_the_same_pictures_elsewhere_are_found(self, toy, folder, cache):
        read_all(folder("real", 12), cache)
        assert read_all(folder("copy", 12), cache).pace.found == 12

    @pytest.mark.parametrize(
        "change",
        [{"size_px": 9}, {"resize": "torch-bilinear-antialias"}, {"normalise": "minus-128-over-128"}, {"layer": "x"}],
        ids=str,
    )
    def test_a_constant_that_matters_misses(self, toy, folder, cache, change):
        root = folder("real", 5)
        read_all(root, cache, (FEATURES,))
        assert read_all(root, cache, (View(protocol=dataclasses.replace(TOY, **change)),)).pace.found == 0

    @pytest.mark.parametrize("change", [{"replicates": 20}, {"ddof": 0}, {"family": "toy-2"}], ids=str)
    def test_a_constant_of_the_metric_does_not(self, toy, folder, cache, change):
        """The covariance is made afterwards, from the same features, by the rule that is asked for."""
        root = folder("real", 5)
        read_all(root, cache, (FEATURES,))
        assert read_all(root, cache, (View(protocol=dataclasses.replace(TOY, **change)),)).pace.found == 5

    @pytest.mark.parametrize("change", [{"blur_kernel": "pil-box"}, {"blur_picture_px": 64}], ids=str)
    def test_the_blur_matters_where_there_is_one(self, toy, folder, cache, change):
        root, other = folder("real", 5), dataclasses.replace(TOY, **change)
        read_all(root, cache, (FEATURES, BLURRED))
        assert read_all(root, cache, (View(protocol=other),)).pace.found == 5
        assert read_all(root, cache, (View(protocol=other, radius=2),)).pace.found == 0

    @pytest.mark.parametrize("what", ["digest", "decoder", "format"])
    def test_whatever_else_moves_a_number_misses(self, toy, folder, cache, monkeypatch, what):
        root = folder("real", 5)
        read_all(root, cache, (FEATURES,))
        if what == "digest":
            monkeypatch.setattr(Toy, "sha256", SHA := "8" * 64)
            wanted = View(protocol=dataclasses.replace(TOY, weights_sha256=SHA))
        else:
            wanted = FEATURES
            monkeypatch.setattr(*{"decoder": ("PIL.__version__", "1.0"), "format": (views, "_FORMAT", 0)}[what])
        assert read_all(root, cache, (wanted,)).pace.found == 0

    def test_a_damaged_entry_is_made_again(self, toy, folder, cache):
        root = folder("real", 12)
        first = read_all(root, cache, (FEATURES,), shard=4)
        path = Cache(cache).path(first.keys[FEATURES][1])
        path.write_bytes(path.read_bytes()[:-3])
        with pytest.warns(CacheWarning, match="made again"):
            second = read_all(root, cache, (FEATURES,), shard=4)
        assert second.pace.judged == 4
        assert torch.equal(first[FEATURES], second[FEATURES])

    def test_an_entry_that_vanishes_meanwhile_is_said(self, toy, folder, cache):
        found = read_all(folder("real", 5), cache)
        Cache(cache).path(found.keys[FEATURES][0]).unlink()
        with pytest.raises(ValueError, match="vanished meanwhile; run again"):
            found[FEATURES]


class TestInterrupted:
    @pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
    @pytest.mark.parametrize("stop", [1, 9, 14, 22])
    def test_resumed_is_the_same_and_loses_one_shard(self, toy, folder, tmp_path, monkeypatch, stop, error):
        root = folder("real", 23, sizes=((10, 12), (14, 9)))
        whole = read_all(root, tmp_path / "whole", shard=5, batch_size=2)
        monkeypatch.setattr(Toy, "seen", 0)
        monkeypatch.setattr(Toy, "fail_after", stop)
        monkeypatch.setattr(Toy, "error", error)
        with pytest.raises(error):
            read_all(root, tmp_path / "resumed", shard=5, batch_size=2)
        monkeypatch.setattr(Toy, "fail_after", None)
        resumed = read_all(root, tmp_path / "resumed", shard=5, batch_size=2)
        assert resumed.pace.found == stop // 5 * 5
        for view in (FEATURES, LOGITS):
            assert torch.equal(whole[view], resumed[view])
        assert (whole.ids, whole.fingerprint) == (resumed.ids, resumed.fingerprint)


class TestWhatIsMissing:
    def test_unreadable_pictures_are_named_every_time(self, toy, folder, cache):
        root = folder("real", 8)
        (root / "003.png").write_bytes(b"no picture")
        (root / "notes.txt").write_bytes(b"")
        for found in (read_all(root, cache, shard=3), read_all(root, cache, shard=3)):
            assert [skip.id for skip in found.skipped] == ["other files", "003.png"]
            assert "003.png" not in found.ids
            assert len(found[FEATURES]) == len(found) == 7

    def test_a_repaired_picture_is_read(self, toy, folder, cache):
        root = folder("real", 8)
        content = (root / "003.png").read_bytes()
        (root / "003.png").write_bytes(b"")
        assert len(read_all(root, cache)) == 7
        (root / "003.png").write_bytes(content)
        assert len(read_all(root, cache)) == 8

    def test_a_shard_without_a_picture(self, toy, folder, cache):
        root = folder("real", 6)
        for index in (2, 3):
            (root / f"00{index}.png").write_bytes(b"")
        for found in (read_all(root, cache, shard=2), read_all(root, cache, shard=2)):
            assert found[FEATURES].shape == (4, 6)

    def test_no_picture_at_all(self, toy, folder, cache):
        root = folder("real", 1)
        (root / "000.png").write_bytes(b"")
        assert len(read_all(root, cache)[FEATURES]) == 0


class TestSizes:
    def test_mixed_sizes_where_the_protocol_needs_one(self, toy, folder, cache):
        root = folder("real", 6, sizes=((10, 12), (14, 9)))
        plain = View(protocol=TOY_PLAIN)
        with pytest.raises(
            ValueError, match="real: expected pictures of one size, as fid@toy-plain-1 takes them as they"
        ):
            read_all(root, cache, (plain,))
        assert Toy.seen == 0  # said before anything is judged
        with pytest.raises(ValueError, match="got 12×10 and 9×14; resize them first"):
            read_all(root, cache, (plain,), shard=1)
        with pytest.raises(ValueError, match="got 12×10 and 9×14; resize them first"):
            read_all(root, cache, (plain,), shard=1)  # from the cache

    def test_shapes_are_known(self, toy, folder, cache):
        found = read_all(folder("real", 6, sizes=((10, 12), (14, 9))), cache)
        assert found.shapes == ((3, 10, 12), (3, 14, 9))


class TestOtherSamples:
    @dataclasses.dataclass(frozen=True)
    class Means:
        """The mean of every sample, whatever its shape."""

        protocol: object
        folder: object
        device: object

        def __call__(self, samples):
            return dataclasses.make_dataclass("Answer", ["features"])(samples.double().flatten(1).mean(1, keepdim=True))

    def test_clips(self, toy, cache):
        clips = torch.randint(0, 256, (5, 4, 3, 8, 8), dtype=torch.uint8)
        view = View(protocol=TOY, kind="clips", load=self.Means)
        found = read_all(open_clips(clips, num_frames=3), cache, (view,))
        torch.testing.assert_close(found[view][:, 0], clips[:, :3].double().flatten(1).mean(1))

    def test_pairs(self, toy, folder, cache):
        view = View(protocol=TOY, kind="pairs", load=self.Means)
        source = pairs(open_pictures(folder("ours", 4)), open_pictures(folder("theirs", 4, seed=1)))
        found = read_all(source, cache, (view,))
        expected = [np.stack([picture(i), picture(1000 + i)]).mean() for i in range(4)]
        np.testing.assert_allclose(found[view][:, 0].numpy(), expected)

    def test_frames_of_videos(self, toy, tmp_path, cache):
        av = pytest.importorskip("av")
        for name, count in (("a.mov", 5), ("b.mov", 3)):
            (tmp_path / "videos").mkdir(exist_ok=True)
            with av.open(str(tmp_path / "videos" / name), "w") as container:
                stream = container.add_stream("png", rate=10)
                stream.height, stream.width, stream.pix_fmt = 10, 12, "rgb24"
                for index in range(count):
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="rgb24")))
                container.mux(stream.encode())
        for found in (read_all(tmp_path / "videos", cache), read_all(tmp_path / "videos", cache)):
            assert found.ids[4:6] == ("a.mov#000004", "b.mov#000000")
            assert torch.equal(found[FEATURES][:3], found[FEATURES][5:])


def test_other_weights_than_the_protocols_are_refused(toy):
    other = dataclasses.replace(TOY, weights_sha256="9" * 64)
    with pytest.raises(ValueError, match="needs a protocol of its own"):
        Judges([View(protocol=other)], None, CPU)


def test_views_of_a_source_are_those_asked_for(toy, folder, cache):
    judges = Judges([FEATURES, BLURRED], None, CPU)
    found = read(open_pictures(folder("real", 4)), judges, Cache(cache), views=[FEATURES])
    assert list(found.keys) == [FEATURES]
    assert Toy.seen == 4


def test_waiting_is_part_of_the_time(toy, folder, cache):
    pace = read_all(folder("real", 10), cache).pace
    assert 0 < pace.waiting < 1
    assert pace.per_second == pytest.approx(10 / pace.seconds)
    assert (Pace() + pace).judged == 10
    assert (Pace().per_second, Pace().waiting) == (0.0, 0.0)


def test_a_shard_has_a_sample(toy, folder, cache):
    with pytest.raises(ValueError, match="at least one sample between two saves, got 0"):
        read_all(folder("real", 2), cache, shard=0)


def test_the_sprites_judge_by_its_own_rules(folder, cache):
    """The shipped networks: CLIP's and the image judge's views of one family are two networks."""
    wanted = (View(protocol=sprites.FID), View(protocol=sprites.CLIPSIM, answer="embeddings"))
    with warnings.catch_warnings():
        found = read_all(folder("real", 4, sizes=((32, 32),)), cache, wanted)
    assert [found[view].shape for view in wanted] == [(4, 128), (4, 128)]
    assert not torch.equal(found[wanted[0]], found[wanted[1]])
