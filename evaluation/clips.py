"""Clips handed to a metric are checked at the door: (b, t, 3, h, w), uint8 in 0…255 or floats in [0, 1].

One layout for the whole package. Video readers give (t, h, w, 3) and networks take (b, 3, t, h, w), and a metric fed with
either would print a number all the same.
"""

from __future__ import annotations

from torch import Tensor

from evaluation.images import as_bytes
from evaluation.protocols import ClipProtocol
from evaluation.protocols.kinds import Quantise

_EXPECTED = "clips: expected (b, t, 3, h, w)"


def as_clip_bytes(clips: Tensor, quantise: Quantise = "round") -> Tensor:
    """Clips (b, t, 3, h, w) as uint8 in 0…255.

    Takes uint8 in 0…255 as it is and floats in [0, 1], rounded to the nearest level or cut, as the protocol says.
    ValueError for another layout, other ranges, NaN, an empty batch.
    """
    if not isinstance(clips, Tensor):
        raise ValueError(f"clips: expected a tensor, got {type(clips).__name__}; use torch.from_numpy")
    _check_layout(tuple(clips.shape))
    return as_bytes(clips.flatten(0, 1), quantise).unflatten(0, clips.shape[:2])


def as_frames(samples: Tensor, quantise: Quantise = "round") -> Tensor:
    """Pictures (b, 3, h, w) or clips (b, t, 3, h, w) as clips of bytes; a picture is a clip of one frame."""
    if isinstance(samples, Tensor) and samples.dim() == 5:
        return as_clip_bytes(samples, quantise)
    return as_bytes(samples, quantise)[:, None]


def check_frames(frames: int, protocol: ClipProtocol) -> None:
    """ValueError where clips of ``frames`` frames are not what ``protocol`` takes; nothing is repeated or left out here."""
    if frames < protocol.min_frames:
        raise ValueError(
            f"{protocol.id}: expected clips of at least {protocol.min_frames} frames, which {protocol.network} needs, got "
            f"{frames}; sample longer clips or take a network that pools fewer frames"
        )
    if protocol.frames is not None and frames != protocol.frames:
        way = f"cut them with clips[:, :{protocol.frames}]" if frames > protocol.frames else "sample longer ones"
        raise ValueError(
            f"{protocol.id}: expected clips of {protocol.frames} frames, got {frames}; {way}, or take "
            f"protocol.of_frames({frames}), whose id says so"
        )


def _check_layout(shape: tuple[int, ...]) -> None:
    if len(shape) == 4:
        raise ValueError(f"{_EXPECTED}, got {shape}; add the batch axis to a clip with clip[None]")
    if len(shape) != 5:
        raise ValueError(f"{_EXPECTED}, got {shape}")
    if 0 in shape:
        raise ValueError(f"clips: expected at least one clip with one frame, got the empty shape {shape}")
    if shape[2] != 3 and shape[4] == 3:
        raise ValueError(f"{_EXPECTED}, got {shape} with channels last; use .permute(0, 1, 4, 2, 3)")
    if shape[2] != 3 and shape[1] == 3:
        raise ValueError(f"{_EXPECTED}, got {shape} with channels before frames; use .transpose(1, 2)")
    if shape[2] != 3:
        raise ValueError(f"clips: expected 3 channels (RGB), got {shape[2]}; convert grey or alpha frames first")
