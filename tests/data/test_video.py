from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_media import numbers, turn, video

from nuwa.data.images import UnreadableImage, resize_square
from nuwa.data.video import FrameRule, _from_key, _Reading, decoder, read_clip, read_frames, survey

ENDINGS = ["mp4", "mkv", "avi", "mov"]


class TestFrameRule:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"num_frames": 0},
            {"fps": 0},
            {"fps": float("nan")},
            {"fps": float("inf")},
            {"start_s": -1},
            {"start_s": float("inf")},
            {"short": "loop"},
            {"decoder": "opencv"},
        ],
    )
    def test_it_refuses(self, wrong):
        with pytest.raises(ValueError, match="expected"):
            FrameRule(**wrong)

    def test_the_default_is_the_papers(self):
        rule = FrameRule()
        assert rule.times_s == pytest.approx([0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8, 3.2, 3.6])
        assert rule.id == "10@2.5fps+0s-refuse"


class TestWhichFrames:
    @pytest.mark.parametrize("ending", ENDINGS)
    def test_frames_are_taken_by_time(self, tmp_path, ending):
        path = video(tmp_path / f"a.{ending}", 20, fps=10, codec="mpeg4" if ending == "avi" else "libx264")
        assert numbers(read_clip(path, FrameRule(num_frames=5, fps=2.5)).frames) == [0, 4, 8, 12, 16]

    def test_a_time_between_two_frames_shows_the_earlier(self, tmp_path):
        path = video(tmp_path / "a.mp4", 20, fps=10)
        assert numbers(read_clip(path, FrameRule(num_frames=3, fps=4)).frames) == [0, 2, 5]

    def test_more_frames_than_there_are_repeat_each(self, tmp_path):
        path = video(tmp_path / "a.mp4", 4, fps=10)
        assert numbers(read_clip(path, FrameRule(num_frames=6, fps=20)).frames) == [0, 0, 1, 1, 2, 2]

    def test_the_rate_may_vary(self, tmp_path):
        times = [0, 100, 200, 1000, 1100, 1900, 2000]
        path = video(tmp_path / "a.mkv", 7, times_ms=times)
        assert numbers(read_clip(path, FrameRule(num_frames=5, fps=2)).frames) == [0, 2, 3, 4, 6]

    def test_time_begins_with_the_first_frame(self, tmp_path):
        path = video(tmp_path / "a.mkv", 6, times_ms=[700, 800, 900, 1000, 1100, 1200])
        assert numbers(read_clip(path, FrameRule(num_frames=3, fps=5)).frames) == [0, 2, 4]
        assert numbers(read_clip(path, FrameRule(num_frames=1, start_s=0.3)).frames) == [3]

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(start=st.floats(0, 2.9), gop=st.sampled_from([1, 4, 7, 100]), ending=st.sampled_from(["mp4", "mkv", "avi"]))
    def test_seeking_finds_what_reading_from_the_start_finds(self, tmp_path_factory, start, gop, ending):
        folder = Path(tmp_path_factory.getbasetemp()) / "seeking"
        path = folder / f"{gop}.{ending}"
        if not path.exists():
            video(path, 30, fps=10, gop=gop, codec="mpeg4" if ending == "avi" else "libx264")
        expected = int(start * 10 + (5e-3 if ending in ("mkv", "avi") else 5e-4))
        shown = numbers(read_clip(path, FrameRule(num_frames=1, start_s=start)).frames)
        assert shown == [min(expected, 29)]

    @pytest.mark.parametrize(
        ("ending", "codec", "options"),
        [
            ("mkv", "libx264", {"x264-params": "open-gop=1:bframes=3:b-adapt=0:scenecut=0"}),
            ("mp4", "libx264", {"x264-params": "bframes=3:b-adapt=0:scenecut=0"}),
            ("mpg", "mpeg2video", {"bf": "2"}),
        ],
        ids=["open groups", "closed groups", "a program stream"],
    )
    def test_seeking_minds_frames_that_refer_to_others(self, tmp_path, ending, codec, options):
        noise = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), np.uint8)
        path = video(tmp_path / f"a.{ending}", noise, fps=25, gop=12, codec=codec, options=options)
        every = read_clip(path, FrameRule(num_frames=48, fps=25)).frames
        sought = [read_clip(path, FrameRule(num_frames=1, start_s=row / 25)).frames[0] for row in range(48)]
        assert [row for row in range(48) if not torch.equal(sought[row], every[row])] == []

    def test_a_seek_that_lands_too_late_is_repeated(self, tmp_path, monkeypatch):
        path = video(tmp_path / "a.mp4", 30, fps=10, gop=5)
        seek, asked = _Reading._seek, []

        def late(self, seconds):
            asked.append(seconds)
            return seek(self, seconds + 1.5 if len(asked) == 1 else seconds)

        monkeypatch.setattr(_Reading, "_seek", late)
        assert numbers(read_clip(path, FrameRule(num_frames=1, start_s=1)).frames) == [10]
        assert asked == [1]  # then from the start

    def test_what_is_shown_before_the_first_key_frame_does_not_count(self):
        # FFmpeg's decoders of h264 and mpeg2 leave such frames out themselves; others need not.
        keys = [None, False, None, True, False, True]
        frames = [None if key is None else SimpleNamespace(raw=SimpleNamespace(key_frame=key)) for key in keys]
        assert next(_from_key(iter(frames))) is frames[3]

    def test_as_torch_sees_it(self, tmp_path):
        path = video(tmp_path / "a.mp4", 10)
        clip = read_clip(path, FrameRule(num_frames=2, fps=2))
        frames, damaged = read_frames(path)
        assert damaged == 0
        assert torch.equal(clip.frames, torch.stack([frames[0], frames[5]]))
        assert clip.frames.is_contiguous()
        assert (clip.frames.dtype, clip.held) == (torch.uint8, 0)

    def test_sizes_follow_the_rule_for_pictures(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (3, 24, 40, 3), np.uint8)
        path = video(tmp_path / "a.mp4", noise)
        frames, _ = read_frames(path)
        clip = read_clip(path, FrameRule(num_frames=3, fps=10), size_px=16)
        assert torch.equal(clip.frames, torch.stack([resize_square(frame, 16) for frame in frames]))

    def test_bytes_are_read_like_files(self, tmp_path):
        path, rule = video(tmp_path / "a.mkv", 10), FrameRule(num_frames=2, fps=2, start_s=0.4)
        assert torch.equal(read_clip(path.read_bytes(), rule, name="a").frames, read_clip(path, rule).frames)


class TestShortVideos:
    def test_they_are_refused_with_their_length(self, tmp_path):
        path = video(tmp_path / "a.mp4", 20, fps=10)
        with pytest.raises(UnreadableImage, match=r"it lasts 2\.00 s, too short for 10 frames at 2\.5 fps from 0 s"):
            read_clip(path, FrameRule())

    def test_or_stand_still_and_say_so(self, tmp_path):
        path = video(tmp_path / "a.mp4", 20, fps=10)
        clip = read_clip(path, FrameRule(short="hold"))
        assert numbers(clip.frames) == [0, 4, 8, 12, 16, 19, 19, 19, 19, 19]
        assert clip.held == 5

    def test_the_last_frame_lasts_as_long_as_the_others(self, tmp_path):
        path = video(tmp_path / "a.mp4", 20, fps=10)
        rule = FrameRule(num_frames=2, fps=1 / 1.95)
        assert numbers(read_clip(path, rule).frames) == [0, 19]
        with pytest.raises(UnreadableImage, match="too short"):
            read_clip(path, FrameRule(num_frames=2, fps=1 / 2.05))

    def test_what_begins_after_the_end_is_nothing(self, tmp_path):
        path = video(tmp_path / "a.mp4", 20, fps=10)
        with pytest.raises(UnreadableImage, match="too short"):
            read_clip(path, FrameRule(num_frames=1, start_s=5))


QUARTERS = {"0": (1, 0, 0, 1), "90": (0, 1, -1, 0), "180": (-1, 0, 0, -1), "270": (0, -1, 1, 0)}


class TestRotation:
    @pytest.fixture
    def corner(self) -> np.ndarray:
        """A clip of one frame whose top left quarter is bright."""
        frame = np.zeros((1, 32, 48, 3), np.uint8)
        frame[:, :16, :24] = 240
        return frame

    @pytest.mark.parametrize("angle", QUARTERS)
    def test_frames_are_turned_as_the_file_says(self, tmp_path, corner, angle):
        path = turn(video(tmp_path / "a.mp4", corner), QUARTERS[angle])
        frame = read_clip(path, FrameRule(num_frames=1)).frames[0]
        bright = frame[0] > 120
        turned = np.rot90(corner[0, ..., 0] > 120, -int(angle) // 90)  # the matrix turns with the clock
        assert np.array_equal(bright.numpy(), turned)
        with av.open(str(path)) as container:  # a second opinion
            assert round(next(container.decode(video=0)).rotation) % 360 == -int(angle) % 360

    @pytest.mark.parametrize(
        ("matrix", "axes"), [((-1, 0, 0, 1), [1]), ((1, 0, 0, -1), [0]), ((0, 1, 1, 0), None)], ids=str
    )
    def test_mirrored_frames_are_mirrored_back(self, tmp_path, corner, matrix, axes):
        path = turn(video(tmp_path / "a.mp4", corner), matrix)
        bright = read_clip(path, FrameRule(num_frames=1)).frames[0, 0] > 120
        stored = corner[0, ..., 0] > 120
        assert np.array_equal(bright.numpy(), stored.T if axes is None else np.flip(stored, axes))

    def test_other_angles_are_refused(self, tmp_path, corner):
        path = turn(video(tmp_path / "a.mp4", corner), (1, 1, -1, 1))
        with pytest.raises(UnreadableImage, match="turned by -45 degrees, which is no multiple of 90"):
            read_clip(path, FrameRule(num_frames=1))


class TestDamage:
    @pytest.mark.parametrize("read", [read_frames, survey, lambda path: read_clip(path, FrameRule(num_frames=1))])
    @pytest.mark.parametrize(
        ("content", "reason"),
        [(b"", "the file is empty"), (b"no video", "Invalid data"), (b"\0" * 5000, "Invalid data")],
    )
    def test_what_is_no_video(self, tmp_path, read, content, reason):
        path = tmp_path / "a.mp4"
        path.write_bytes(content)
        with pytest.raises(UnreadableImage, match=reason) as caught:
            read(path)
        assert caught.value.path == path

    def test_a_file_that_is_gone(self, tmp_path):
        with pytest.raises(UnreadableImage, match="No such file"):
            read_clip(tmp_path / "gone.mp4", FrameRule())

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
    def test_a_file_that_was_cut(self, tmp_path, share):
        noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), np.uint8)
        path = video(tmp_path / "a.mkv", noise)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UnreadableImage):  # too short, or the last frame is damaged
            read_clip(path, FrameRule(num_frames=30, fps=10))

    def test_sound_alone_is_no_video(self, tmp_path):
        path = tmp_path / "a.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
        with pytest.raises(UnreadableImage, match="no video stream"):
            survey(path)


def test_the_decoder_has_a_name_and_versions() -> None:
    assert re.fullmatch(rf"pyav {re.escape(av.__version__)} libavcodec [\d.]+ libswscale [\d.]+", decoder())


REAL = {
    "applying eye makeup/apply_eye_makeup_0.avi": (164, 240, 320),
    "arm wrestling/arm_wrestling_0.mp4": (280, 256, 340),
    "cleaning pool/cleaning_pool_0.mp4": (300, 256, 340),
    "flipping pancake/flipping_pancake_0.mkv": (310, 240, 426),
}


@pytest.mark.real_files
class TestRealClips:
    @pytest.fixture
    def folder(self, request) -> Path:
        return Path(request.config.getoption("--data"))

    @pytest.mark.parametrize("name", REAL)
    def test_all_their_frames_are_found(self, folder, name):
        found = survey(folder / "kinetics-mini" / name)
        assert (found.num_frames, found.height, found.width) == REAL[name]
        assert found.damaged == 0

    @pytest.mark.parametrize("start_s", [0.0, 0.05, 1.0, 2.3, 4.7, 6.1])
    @pytest.mark.parametrize("name", REAL)
    def test_seeking_finds_what_a_plain_loop_finds(self, folder, name, start_s):
        path = folder / "kinetics-mini" / name
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            shown = list(container.decode(stream))
            times = [float((frame.pts - shown[0].pts) * frame.time_base) for frame in shown]
            tick = float(stream.time_base)
            if path.suffix == ".avi":  # whose time stamps swap every B-frame with its neighbour
                assert times != sorted(times)
                times = [index / float(stream.average_rate) for index in range(len(shown))]
        wanted = max(index for index, time in enumerate(times) if time <= start_s + min(tick / 2, 5e-4))
        clip = read_clip(path, FrameRule(num_frames=1, start_s=start_s))
        assert np.array_equal(clip.frames[0].permute(1, 2, 0).numpy(), shown[wanted].to_ndarray(format="rgb24"))

    def test_the_damaged_one_is_named(self, folder):
        path = folder / "bad-input" / "corrupted.mp4"
        assert survey(path).damaged == 2
        with pytest.raises(UnreadableImage, match="some of its frames cannot be decoded"):
            read_clip(path, FrameRule())
