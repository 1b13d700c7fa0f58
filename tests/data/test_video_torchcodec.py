"""The other decoder, where it is installed: the same frames as PyAV's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_media import numbers, turn, video

from nuwa.data.images import UnreadableImage
from nuwa.data.video import FrameRule, decoder, read_clip
from nuwa.data.video_torchcodec import require_torchcodec

try:
    require_torchcodec()
    WHY_NOT = ""
except ValueError as error:
    WHY_NOT = str(error)
needed = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


def rule(**options) -> FrameRule:
    return FrameRule(decoder="torchcodec", **options)


@needed
class TestTorchcodec:
    @pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
    @pytest.mark.parametrize("start_s", [0, 0.35, 1.2])
    def test_frames_are_those_of_pyav(self, tmp_path, ending, start_s):
        path = video(tmp_path / f"a.{ending}", 30, fps=10)
        options = {"num_frames": 4, "fps": 2.5, "start_s": start_s}
        ours, other = read_clip(path, FrameRule(**options)), read_clip(path, rule(**options))
        assert numbers(ours.frames) == numbers(other.frames)
        assert (ours.frames.int() - other.frames.int()).abs().max() <= 3

    def test_the_rate_may_vary(self, tmp_path):
        path = video(tmp_path / "a.mkv", 6, times_ms=[700, 800, 900, 1700, 1800, 2600])
        assert numbers(read_clip(path, rule(num_frames=4, fps=2)).frames) == [0, 2, 3, 4]

    def test_short_videos(self, tmp_path):
        path = video(tmp_path / "a.mp4", 20, fps=10)
        with pytest.raises(UnreadableImage, match=r"it lasts 2\.00 s, too short for 10 frames"):
            read_clip(path, rule())
        clip = read_clip(path, rule(short="hold"))
        assert (numbers(clip.frames), clip.held) == ([0, 4, 8, 12, 16, 19, 19, 19, 19, 19], 5)

    def test_bytes_and_sizes(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (3, 24, 40, 3), np.uint8)
        path = video(tmp_path / "a.mp4", noise)
        clip = read_clip(path.read_bytes(), rule(num_frames=3, fps=10), size_px=16, name="a")
        ours = read_clip(path, FrameRule(num_frames=3, fps=10), size_px=16)
        assert clip.frames.shape == (3, 3, 16, 16)
        assert (ours.frames.int() - clip.frames.int()).abs().max() <= 4

    @pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)], ids=str)
    def test_frames_are_turned(self, tmp_path, matrix):
        frame = np.zeros((1, 32, 48, 3), np.uint8)
        frame[:, :16, :24] = 240
        path = turn(video(tmp_path / "a.mp4", frame), matrix)
        ours, other = (
            read_clip(path, each).frames[0, 0] > 120 for each in (FrameRule(num_frames=1), rule(num_frames=1))
        )
        assert np.array_equal(ours.numpy(), other.numpy())

    @pytest.mark.parametrize("content", [b"", b"no video", b"\0" * 5000])
    def test_what_is_no_video(self, tmp_path, content):
        (tmp_path / "a.mp4").write_bytes(content)
        with pytest.raises(UnreadableImage):
            read_clip(tmp_path / "a.mp4", rule())

    def test_avi_files_are_refused(self, tmp_path):
        path = video(tmp_path / "a.avi", 20, codec="mpeg4")
        with pytest.raises(UnreadableImage, match="AVI files do not say when a frame is shown; take decoder='pyav'"):
            read_clip(path, rule(num_frames=1))

    def test_it_has_a_name_and_versions(self):
        assert decoder("torchcodec").startswith("torchcodec 0.")
        assert rule().id == "10@2.5fps+0s-refuse-torchcodec"

    @pytest.mark.real_files
    @pytest.mark.parametrize(
        "name",
        [
            "cleaning pool/cleaning_pool_0.mp4",
            "flipping pancake/flipping_pancake_0.mkv",
            "arm wrestling/arm_wrestling_0.mp4",
        ],
    )
    def test_real_clips(self, request, name):
        path = Path(request.config.getoption("--data")) / "kinetics-mini" / name
        ours, other = read_clip(path, FrameRule(start_s=1)), read_clip(path, rule(start_s=1))
        assert (ours.frames.int() - other.frames.int()).abs().float().mean() < 1

    @pytest.mark.real_files
    def test_the_damaged_one(self, request):
        with pytest.raises(UnreadableImage):
            read_clip(Path(request.config.getoption("--data")) / "bad-input/corrupted.mp4", rule())


@pytest.mark.skipif(not WHY_NOT, reason="torchcodec is there")
def test_where_it_is_not_a_sentence_says_so(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"expected torchcodec with FFmpeg's libraries.*take decoder='pyav'"):
        read_clip(video(tmp_path / "a.mp4", 5), rule(num_frames=1))
