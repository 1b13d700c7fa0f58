"""Picture files to arrays: one rule for colour, one for size, and a name for every file that cannot be read.

Colour becomes 8-bit RGB without colour management: grey is repeated, palettes are looked up, CMYK is converted by
Pillow's formula, transparency lies on white, of 16-bit values the high byte is kept, and EXIF orientation is applied.
Of an animation the first frame counts. Size becomes a square by ``RESIZE_RULE``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from nuwa.data.captioned import Skipped
from nuwa.progress import progress

RESIZE_RULE = "centre-crop+pil-bicubic"
"""Central square of the shorter side, then Pillow's bicubic filter on uint8, which is antialiased when it shrinks."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
"""Endings of the picture files that are looked for, lower case."""

_FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "BMP",
    "TIFF",
    "GIF",
)  # by content; not EPS, for which Pillow would start Ghostscript


class UnreadableImage(ValueError):  # noqa: N818 - it names the picture's state, not a fault of the program
    """A file that is no picture, is damaged, truncated or too large; ``path`` and ``reason`` say which and why."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = Path(path), reason

    def __str__(self) -> str:
        return f"cannot read {self.path}: {self.reason}"


def read_image(path: str | Path, *, orient: bool = True) -> Tensor:
    """Read a picture of any size as uint8 (3, h, w) RGB in [0, 255].

    Args:
        path: a PNG, JPEG, WebP, BMP, TIFF or GIF file, whatever its name ends in.
        orient: whether to turn the picture as its EXIF orientation says.

    Raises:
        UnreadableImage: the file is missing, empty, no picture, damaged, truncated, of 32-bit pixels (which have no
            agreed range) or larger than Pillow's limit against decompression bombs (89 megapixels).
    """
    return _to_tensor(_decode(Path(path), orient=orient))


def decode_image(data: bytes, name: str | Path, *, orient: bool = True) -> Tensor:
    """:func:`read_image` for the bytes of a picture file that lies in an archive; errors call it ``name``."""
    return _to_tensor(_decode(Path(name), orient=orient, data=data))


def read_square(path: str | Path, size_px: int, *, orient: bool = True) -> Tensor:
    """``resize_square(read_image(path), size_px)`` without a copy of the whole picture: uint8 (3, size_px, size_px)."""
    return _to_tensor(_square(_decode(Path(path), orient=orient), size_px))


def decode_square(data: bytes, name: str | Path, size_px: int, *, orient: bool = True) -> Tensor:
    """:func:`read_square` for the bytes of a picture file that lies in an archive; errors call it ``name``."""
    return _to_tensor(_square(_decode(Path(name), orient=orient, data=data), size_px))


def resize_square(image: Tensor, size_px: int) -> Tensor:
    """Cut and resize uint8 (3, h, w) to (3, size_px, size_px) by ``RESIZE_RULE``."""
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
        got = f"{image.dtype} {tuple(image.shape)}"
        raise ValueError(f"picture: expected uint8 (3, h, w), got {got}; use read_image, or convert it first")
    return torch.from_numpy(square_pixels(image.permute(1, 2, 0).numpy(), size_px)).permute(2, 0, 1).contiguous()


def square_pixels(pixels: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """:func:`resize_square` for uint8 (h, w, 3), as decoders give it: (size_px, size_px, 3)."""
    top, left, side = _central_square(pixels.shape[0], pixels.shape[1], size_px)
    square = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    if side == size_px:
        return square
    return np.array(Image.fromarray(square).resize((size_px, size_px), Image.Resampling.BICUBIC))


def resize_square_labels(labels: Tensor, size_px: int) -> Tensor:
    """Cut a label map (h, w) to the same square and take the nearest label: (size_px, size_px), dtype kept."""
    if labels.ndim != 2:
        raise ValueError(f"label map: expected (h, w), got {tuple(labels.shape)}; pass one map without channels")
    top, left, side = _central_square(labels.shape[0], labels.shape[1], size_px)
    nearest = (2 * torch.arange(size_px) + 1) * side // (2 * size_px)  # the label under each target pixel's centre
    return labels[top + nearest[:, None], left + nearest]


def find_unreadable(
    paths: Mapping[str, Path], *, orient: bool = True, sizes: Mapping[str, tuple[int, int]] | None = None
) -> list[Skipped]:
    """Try every file and return those that :func:`read_image` would refuse, by id, in the order of ``paths``.

    JPEGs are decoded at an eighth of their size, which reads the whole file in about half the time.

    Args:
        paths: files by id.
        orient: as for :func:`read_image`.
        sizes: (height, width) in pixels by id, before any turning; a file of another size counts as unreadable.
    """

    def refusal(name: str) -> str | None:
        try:
            _decode(paths[name], orient=orient, draft=True, size=sizes[name] if sizes else None)
        except UnreadableImage as error:
            return error.reason
        return None

    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        reasons = progress(pool.map(refusal, paths), "check pictures", total=len(paths), unit="pictures")
        return [Skipped(name, reason) for name, reason in zip(paths, reasons, strict=True) if reason is not None]
    finally:
        pool.shutdown(cancel_futures=True)  # else Ctrl-C would wait for all the other pictures


def _decode(
    path: Path,
    *,
    orient: bool,
    draft: bool = False,
    size: tuple[int, int] | None = None,
    data: bytes | None = None,
) -> Image.Image:
    """The picture in ``data``, or in the file at ``path`` where none is given."""
    try:
        if (path.stat().st_size if data is None else len(data)) == 0:
            raise UnreadableImage(path, "the file is empty")
        with Image.open(path if data is None else io.BytesIO(data), formats=_FORMATS) as image:
            _check_pixels(image)
            if size is not None and (image.height, image.width) != size:
                expected = f"expected {size[1]} x {size[0]}"
                raise UnreadableImage(path, f"{image.width} x {image.height} pixels, {expected}")
            if draft:
                image.draft(None, (1, 1))
            image.load()
            return _rgb(ImageOps.exif_transpose(image) if orient else image)
    except (UnreadableImage, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage(path, f"not a {', '.join(_FORMATS)} picture") from error
    except Exception as error:  # damaged files make decoders raise anything, from struct.error to IndexError
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImage(path, reason) from error


def _check_pixels(image: Image.Image) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise ValueError(f"{image.width} x {image.height} pixels, more than Pillow's limit of {limit}")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = _high_byte(image)
    elif image.mode in ("I", "F"):
        raise ValueError("32-bit pixels have no agreed range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _high_byte(image: Image.Image) -> Image.Image:
    """16-bit grey to 8 bits the way Pillow reads 16-bit colour, and its transparent value, if it has one, to alpha."""
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    transparent = image.info.get("transparency")
    if transparent is None:
        return grey
    return Image.merge("LA", (grey, Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))))


def _central_square(height: int, width: int, size_px: int) -> tuple[int, int, int]:
    """Top, left and side of the central square; the spare pixel of an odd border is at the bottom or right."""
    if size_px < 1 or min(height, width) < 1:
        got = f"{size_px} from {height} x {width}"
        raise ValueError(
            f"size_px: expected at least one pixel of a picture that has some, got {got}; choose another size"
        )
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side


def _square(image: Image.Image, size_px: int) -> Image.Image:
    """The central square of a picture, resized."""
    top, left, side = _central_square(image.height, image.width, size_px)
    square = image.crop((left, top, left + side, top + side))
    return square if side == size_px else square.resize((size_px, size_px), Image.Resampling.BICUBIC)


def _to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
