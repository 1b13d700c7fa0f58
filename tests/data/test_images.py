from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from nuwa.data.captioned import Skipped
from nuwa.data.images import (
    UnreadableImage,
    decode_image,
    find_unreadable,
    read_image,
    resize_square,
    resize_square_labels,
)


def gradient(height: int = 24, width: int = 36) -> np.ndarray:
    """A picture (h, w, 3) without any symmetry."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + 2 * y) * 255 // (width + 2 * height)], -1).astype(
        np.uint8
    )


def colours(path: Path) -> list[list[int]]:
    """All pixels of a picture in raster order."""
    return read_image(path).flatten(1).T.tolist()


def png16(path: Path, pixels: np.ndarray) -> None:
    """A 16-bit PNG of (h, w, 3) or (h, w); Pillow reads such files but writes none in colour."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_lossless_colour_survives(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(gradient()).save(tmp_path / f"a.{suffix}", lossless=True)
    image = read_image(tmp_path / f"a.{suffix}")
    assert (image.shape, image.dtype) == ((3, 24, 36), torch.uint8)
    assert image.is_contiguous()
    assert torch.equal(image.permute(1, 2, 0), torch.from_numpy(gradient()))


def test_bytes_of_a_file_are_the_picture_in_it(tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "a.jpg")
    assert torch.equal(decode_image((tmp_path / "a.jpg").read_bytes(), "a.jpg"), read_image(tmp_path / "a.jpg"))


@pytest.mark.parametrize(("data", "reason"), [(b"", "the file is empty"), (b"no picture", "not a PNG")])
def test_bytes_that_are_no_picture_go_by_their_name(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=f"cannot read inside/a.png: {reason}"):
        decode_image(data, "inside/a.png")


@pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")
def test_jpeg_agrees_with_torchvision(tmp_path: Path) -> None:
    from torchvision.io import ImageReadMode, decode_image

    Image.fromarray(gradient()).save(tmp_path / "a.jpg", quality=95)
    theirs = decode_image(str(tmp_path / "a.jpg"), ImageReadMode.RGB)
    assert (read_image(tmp_path / "a.jpg").int() - theirs.int()).abs().max() <= 2  # two builds of libjpeg


@pytest.mark.parametrize(
    ("mode", "pixel", "colour"),
    [
        ("1", 1, [255, 255, 255]),
        ("L", 100, [100, 100, 100]),
        ("LA", (0, 51), [204, 204, 204]),
        ("RGB", (1, 2, 3), [1, 2, 3]),
        ("RGBA", (200, 100, 0, 255), [200, 100, 0]),
        ("RGBA", (200, 100, 0, 0), [255, 255, 255]),
        ("RGBA", (255, 0, 0, 102), [255, 153, 153]),
        ("I;16", 0, [0, 0, 0]),
        ("I;16", 257 * 100, [100, 100, 100]),
        ("I;16", 65535, [255, 255, 255]),
    ],
)
def test_modes_become_rgb(tmp_path: Path, mode: str, pixel: object, colour: list[int]) -> None:
    Image.new(mode, (1, 1), pixel).save(tmp_path / "a.png")
    assert colours(tmp_path / "a.png") == [colour]


@pytest.mark.parametrize(
    ("pixel", "colour"),
    [((0, 0, 0, 0), [255, 255, 255]), ((0, 255, 0, 0), [255, 0, 255]), ((0, 0, 0, 255), [0, 0, 0])],
)
@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str, pixel: tuple[int, ...], colour: list[int]) -> None:
    Image.new("CMYK", (8, 8), pixel).save(tmp_path / f"a.{suffix}")
    assert np.abs(np.array(colours(tmp_path / f"a.{suffix}")) - colour).max() <= (0 if suffix == "tif" else 2)


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=1)
    assert colours(tmp_path / "a.png") == [[10, 20, 30], [255, 255, 255]]


def test_16_bit_grey_and_colour_agree(tmp_path: Path) -> None:
    grey = np.array([[0, 255, 256, 40000, 65535]], np.uint16)
    png16(tmp_path / "grey.png", grey)
    png16(tmp_path / "colour.png", np.stack([grey] * 3, -1))
    assert colours(tmp_path / "grey.png") == [[value >> 8] * 3 for value in grey[0].tolist()]
    assert colours(tmp_path / "colour.png") == colours(tmp_path / "grey.png")


def test_16_bit_grey_with_a_transparent_value(tmp_path: Path) -> None:
    Image.fromarray(np.array([[256, 257]], np.uint16)).save(tmp_path / "a.png", transparency=257)
    assert colours(tmp_path / "a.png") == [[1, 1, 1], [255, 255, 255]]


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda p: p),
        (2, lambda p: p[:, ::-1]),
        (3, lambda p: p[::-1, ::-1]),
        (4, lambda p: p[::-1]),
        (5, lambda p: p.transpose(1, 0, 2)),
        (6, lambda p: np.rot90(p, -1)),
        (7, lambda p: p[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda p: np.rot90(p)),
    ],
)
def test_exif_orientation(tmp_path: Path, orientation: int, turned) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(gradient()).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png").permute(1, 2, 0).numpy(), turned(gradient()))
    assert np.array_equal(read_image(tmp_path / "a.png", orient=False).permute(1, 2, 0).numpy(), gradient())


def test_one_pixel_becomes_a_square(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (9, 8, 7)).save(tmp_path / "a.png")
    image = resize_square(read_image(tmp_path / "a.png"), 4)
    assert image.shape == (3, 4, 4)
    assert image.flatten(1).unique(dim=1).flatten().tolist() == [9, 8, 7]


def damaged(folder: Path) -> dict[str, tuple[Path, str]]:
    """One file of each kind that cannot be read, with words of the reason."""
    files = {}
    for suffix in ("jpg", "png", "webp", "bmp", "tif"):
        whole = folder / f"whole.{suffix}"
        Image.fromarray(gradient(64, 96)).save(whole)
        cut = folder / f"cut.{suffix}"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
        files[f"cut-{suffix}"] = (cut, "")
    (folder / "empty.jpg").touch()
    (folder / "page.jpg").write_text("<html>404</html>")
    (folder / "script.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    (folder / "folder.jpg").mkdir()
    Image.new("F", (2, 2)).save(folder / "float.tif")
    flipped = bytearray((folder / "whole.png").read_bytes())
    flipped[flipped.index(b"IDAT") + 20] ^= 0xFF
    (folder / "flipped.png").write_bytes(flipped)
    return files | {
        "empty": (folder / "empty.jpg", "the file is empty"),
        "text": (folder / "page.jpg", "not a PNG, JPEG"),
        "postscript": (folder / "script.jpg", "not a PNG, JPEG"),
        "missing": (folder / "none.jpg", "No such file"),
        "folder": (folder / "folder.jpg", "Is a directory"),
        "32-bit": (folder / "float.tif", "no agreed range"),
        "flipped": (folder / "flipped.png", ""),
    }


FORMATS = ["cut-jpg", "cut-png", "cut-webp", "cut-bmp", "cut-tif"]
KINDS = [*FORMATS, "empty", "text", "postscript", "missing", "folder", "32-bit", "flipped"]


@pytest.mark.parametrize("kind", KINDS)
def test_unreadable_files_are_named(tmp_path: Path, kind: str) -> None:
    path, words = damaged(tmp_path)[kind]
    with pytest.raises(UnreadableImage) as caught:
        read_image(path)
    assert caught.value.path == path
    assert words in caught.value.reason
    assert str(caught.value) == f"cannot read {path}: {caught.value.reason}"


def test_the_trial_refuses_what_reading_refuses(tmp_path: Path) -> None:
    files = damaged(tmp_path)
    assert list(files) == KINDS
    paths = {name: path for name, (path, _) in files.items()}
    found = find_unreadable({"good": tmp_path / "whole.jpg", **paths, "also": tmp_path / "whole.png"})
    assert [skipped.id for skipped in found] == KINDS
    for skipped in found:
        with pytest.raises(UnreadableImage) as caught:
            read_image(paths[skipped.id])
        assert skipped.reason == caught.value.reason or skipped.id == "cut-jpg"  # there the count of bytes differs
    assert isinstance(found[0], Skipped)


def test_truncated_files_stay_refused() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize("limit", [24 * 36 - 1, 24 * 36 // 2 - 1], ids=["Pillow warns", "Pillow refuses"])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UnreadableImage, match=r"864 pixels|36 x 24 pixels"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 97), (131, 64), (20, 33)], ids=str)
@pytest.mark.parametrize("size_px", [16, 31, 64])
def test_resize_agrees_with_torch(height: int, width: int, size_px: int) -> None:
    image = torch.from_numpy(gradient(height, width)).permute(2, 0, 1)
    side, top, left = min(height, width), (height - min(height, width)) // 2, (width - min(height, width)) // 2
    square = image[None, :, top : top + side, left : left + side].float()
    theirs = torch.nn.functional.interpolate(square, (size_px, size_px), mode="bicubic", antialias=True)
    ours = resize_square(image, size_px)
    assert (ours.shape, ours.dtype) == ((3, size_px, size_px), torch.uint8)
    assert (ours.float() - theirs[0].clamp(0, 255)).abs().max() <= 2  # Pillow rounds between its two passes


def test_resize_golden_values() -> None:
    # Image.fromarray(gradient()[:, 6:30]).resize((3, 3), Image.Resampling.BICUBIC), Pillow 13.0.0
    image = resize_square(torch.from_numpy(gradient()).permute(2, 0, 1), 3)
    assert image.tolist() == [
        [[68, 124, 179]] * 3,
        [[39] * 3, [122] * 3, [205] * 3],
        [[51, 75, 99], [99, 123, 146], [146, 170, 194]],
    ]


def test_a_square_of_the_right_size_is_not_resampled() -> None:
    image = torch.from_numpy(gradient(8, 8)).permute(2, 0, 1)
    assert torch.equal(resize_square(image, 8), image)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_labels_survive_enlarging_by_whole_numbers(height: int, width: int, factor: int) -> None:
    labels = torch.arange(height * width).reshape(height, width)
    side = min(height, width)
    square = resize_square_labels(labels, side)
    large = labels.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    if (height - width) % 2 == 0:  # otherwise the crop may start half a label later
        assert torch.equal(resize_square_labels(large, side), square)
    assert torch.equal(
        resize_square_labels(square, side * factor)[factor // 2 :: factor, factor // 2 :: factor], square
    )


@pytest.mark.parametrize(("side", "size_px"), [(63, 21), (481, 336), (21, 32), (7, 7), (1, 5)])
def test_labels_agree_with_pillow(side: int, size_px: int) -> None:
    # odd sides only: on an even one a centre may lie between two labels, where Pillow's answer hangs on float rounding
    labels = np.random.default_rng(0).integers(0, 200, (side, side), np.uint8)
    theirs = Image.fromarray(labels).resize((size_px, size_px), Image.Resampling.NEAREST)
    assert np.array_equal(resize_square_labels(torch.from_numpy(labels), size_px).numpy(), np.asarray(theirs))


def test_labels_and_pictures_share_the_square() -> None:
    image = torch.from_numpy(gradient(10, 17)).permute(2, 0, 1)
    labels = resize_square_labels(image[0], 10)
    assert torch.equal(labels, resize_square(image, 10)[0])


@pytest.mark.parametrize(
    ("image", "size_px", "message"),
    [
        (torch.zeros(3, 4, 4), 4, "expected uint8"),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), 4, r"got torch.uint8 \(4, 4, 3\)"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), 0, "got 0 from 4 x 4"),
        (torch.zeros(3, 0, 4, dtype=torch.uint8), 4, "got 4 from 0 x 4"),
    ],
)
def test_wrong_pictures_are_refused(image: torch.Tensor, size_px: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resize_square(image, size_px)
