"""Reading datasets beside bare loops over Pillow and PyAV, and the memory it takes over many samples.

A bare loop does what has to be done and nothing else: no table, no name for what is broken, no check. Every round of ours
follows one of theirs; ratios stand in ``data.json`` beside the bar they have to keep: ``nox -s bench -- --only test_data``.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.beside import Results, side_by_side
from benchmarks.ledger import Ledger, clocked
from nuwa.data.listed import open_clips, open_pictures
from nuwa.data.video import FrameRule

av = pytest.importorskip("av", reason="videos need PyAV: pip install av")

NUM_PICTURES, PICTURE_PX, NUM_CLIPS, CLIP_PX, SECONDS, FPS = 48, 256, 4, 128, 5, 30
MANY, EVERY, ROUNDS = 20_000, 1_000, 7
RULE = FrameRule()


@pytest.fixture(scope="module")
def results() -> dict[str, Results]:
    return {}


@pytest.fixture
def add(results: dict[str, Results], ledger: Ledger) -> Callable[..., None]:
    """Adds a row to the file of this run. A quick run ends here."""
    if ledger.options.quick:
        pytest.skip("left out of a quick run: it takes minutes")
    return results.setdefault("all", Results(ledger, "data")).add


def photograph(seed: int, width: int, height: int) -> Image.Image:
    """Noise at several scales, which compresses about like a photograph."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for scale in (64, 16, 4, 2):
        noise = rng.integers(0, 256, (height // scale + 1, width // scale + 1, 3), np.uint8)
        total += np.asarray(Image.fromarray(noise).resize((width, height)), np.float32) * scale
    return Image.fromarray((total / 86).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for seed in range(NUM_PICTURES):
        photograph(seed, 640, 480).save(root / f"{seed:03d}.jpg", quality=90)
    return root


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for seed in range(NUM_CLIPS):
        scene = np.asarray(photograph(seed, 640, 480))
        with av.open(str(root / f"{seed}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=FPS)
            stream.width, stream.height, stream.pix_fmt = 340, 256, "yuv420p"
            for number in range(SECONDS * FPS):  # a camera that pans
                shown = np.ascontiguousarray(scene[number : number + 256, 2 * number % 300 :][:, :340])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
            container.mux(stream.encode())
    return root


def square(picture: Image.Image, size_px: int) -> Image.Image:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side)).resize((size_px, size_px), Image.Resampling.BICUBIC)


def bare_pillow(path: Path) -> Tensor:
    with Image.open(path) as picture:
        pixels = np.array(square(picture.convert("RGB"), PICTURE_PX))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def bare_pyav(path: Path) -> Tensor:
    """Frames 0, 12, 24, …: the clips have 30 a second, the rule 2.5."""
    taken = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"  # as ours: files are decoded side by side
        for number, frame in enumerate(container.decode(stream)):
            if number % 12 == 0:
                taken.append(np.array(square(Image.fromarray(frame.to_ndarray(format="rgb24")), CLIP_PX)))
            if len(taken) == RULE.num_frames:
                break
    return torch.from_numpy(np.stack(taken)).permute(0, 3, 1, 2).contiguous()


def test_pictures(benchmark: BenchmarkFixture, pictures: Path, add: Callable[..., None]) -> None:
    """JPEG to a square tensor beside a loop over Pillow."""
    data = open_pictures("folder", pictures, size_px=PICTURE_PX)
    paths = [sample.stored.places[0].path for sample in data.samples]
    assert all(torch.equal(data.image(row), bare_pillow(path)) for row, path in enumerate(paths))
    times = side_by_side(
        benchmark,
        lambda: [data.image(row) for row in range(len(data))],
        lambda: [bare_pillow(path) for path in paths],
        ROUNDS,
    )
    add("JPEG decode and resize beside a bare Pillow loop", **times, per_second=NUM_PICTURES / times["ours_s"], bar=1.2)


def test_clips(benchmark: BenchmarkFixture, clips: Path, add: Callable[..., None]) -> None:
    """Ten frames at 2.5 a second of an h264 file beside a loop over PyAV."""
    data = open_clips("folder", clips, rule=RULE, size_px=CLIP_PX)
    paths = [sample.stored.places[0].path for sample in data.samples]
    assert all(torch.equal(data.clip(row), bare_pyav(path)) for row, path in enumerate(paths))
    times = side_by_side(
        benchmark,
        lambda: [data.clip(row) for row in range(len(data))],
        lambda: [bare_pyav(path) for path in paths],
        ROUNDS,
    )
    add("video decode and resize beside a bare PyAV loop", **times, per_second=NUM_CLIPS / times["ours_s"], bar=1.2)


def test_memory_of_pictures(benchmark: BenchmarkFixture, tmp_path: Path, add: Callable[..., None]) -> None:
    """Resident memory while 20,000 pictures are read from tar archives."""
    encoded = io.BytesIO()
    photograph(0, 96, 96).save(encoded, format="JPEG")
    with tarfile.open(tmp_path / "00000.tar", "w") as archive:
        for number in range(MANY):
            for ending, content in (("jpg", encoded.getvalue()), ("txt", b"a photograph")):
                member = tarfile.TarInfo(f"{number:09d}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    data = open_pictures("webdataset", tmp_path, size_px=64)
    assert len(data) == MANY
    found = memory_over(benchmark, (data.image(row) for row in range(MANY)))
    add(f"memory over {MANY:,} pictures", **found, bar=1.05)


def test_memory_of_clips(benchmark: BenchmarkFixture, tmp_path: Path, add: Callable[..., None]) -> None:
    """Resident memory while small videos are read 20,000 times."""
    with av.open(str(tmp_path / "small.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = open_clips("folder", tmp_path, rule=FrameRule(num_frames=2, fps=5), size_px=32)
    assert len(data) == 1
    found = memory_over(benchmark, (data.clip(0) for _ in range(MANY)))
    add(f"memory over {MANY:,} clips", **found, bar=1.05)


def memory_over(benchmark: BenchmarkFixture, samples: Iterable[Tensor]) -> dict[str, float]:
    """Resident memory after each thousand samples: the largest and the smallest over that after the first, and the pace."""
    after: list[int] = []

    def read() -> None:
        for number, _ in enumerate(samples, start=1):
            if number % EVERY == 0:
                after.append(resident_bytes())

    seconds = clocked(lambda: benchmark.pedantic(read, rounds=1))[1]
    return {
        "first_mib": after[0] / 2**20,
        "growth_mib": (max(after) - after[0]) / 2**20,
        "ratio": max(after) / after[0],
        "lowest": min(after) / after[0],
        "per_second": MANY / seconds,
    }


def resident_bytes() -> int:
    """Memory of this process in use, by Linux."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096
