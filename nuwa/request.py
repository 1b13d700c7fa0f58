"""What a task is asked to do: arguments as people give them, checked in full, as tensors of one shape for all tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nuwa.grid import Grid
from nuwa.tasks import TASKS, Route, Task, of_target

GREY = 128  # stands for hidden pixels before the tokenizer, so that no token knows what they were


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a checkpoint takes."""

    grid: Grid  # the largest target
    size_px: int
    tasks: tuple[str, ...]  # that it was trained on


@dataclass(frozen=True, kw_only=True)
class Request:
    """One batch for one task."""

    task: Task
    route: Route
    grid: Grid  # of the target
    b: int
    single: bool  # whether one sample was asked for, and not a batch of one
    captions: list[str] | None
    maps: Tensor | None  # (b, t, H, W) uint8 or int64
    pixels: Tensor | None  # (b, t, 3, H, W) uint8, what is given; anything where it is hidden
    hidden: Tensor | None  # (b, t, H, W) bool, True where pixels are to be made

    @classmethod
    def of(
        cls,
        name: str,
        limits: Limits,
        *,
        captions: str | Sequence[str] | None = None,
        sketches: Tensor | None = None,
        given: Tensor | None = None,
        mask: Tensor | None = None,
        route: str | None = None,
    ) -> Request:
        """Check everything. ValueError with one sentence for whatever the task or the checkpoint does not take.

        Args:
            name: of the task.
            limits: of the checkpoint.
            captions: one, or one a sample.
            sketches: maps (b, H, W), or (b, t, H, W) for clips, uint8 or int64; without b for one sample.
            given: pictures uint8 (b, 3, H, W), clips or first frames (b, t, 3, H, W); without b for one sample.
            mask: bool (H, W), (b, H, W) or, for clips, (b, t, H, W), True where pixels are to be made; without b for one
                sample.
            route: how known tokens reach the model; the best that the checkpoint was trained for where None.
        """
        task = TASKS[name]
        _check_kinds(task, captions, sketches, given, mask)
        chosen = _route(task, limits, route)
        single = _is_single(task, captions, sketches, given)
        words = [captions] if isinstance(captions, str) else None if captions is None else list(captions)
        maps = None if sketches is None else _maps(task, sketches, limits)
        pixels, hidden = (None, None) if given is None else _given(task, given, mask, limits, single)
        b = _count(task, {"captions": words, "sketches": maps, "given": pixels})
        frames = {each.shape[1] for each in (maps, pixels) if each is not None}
        if len(frames) > 1:
            raise ValueError(
                f"{name}: expected as many sketches as frames, got {' and '.join(map(str, sorted(frames)))}"
            )
        t = frames.pop() if frames else of_target(limits.grid, task.target).t
        return cls(
            task=task,
            route=chosen,
            grid=Grid(t, limits.grid.h, limits.grid.w),
            b=b,
            single=single,
            captions=words,
            maps=maps,
            pixels=pixels,
            hidden=hidden,
        )

    @property
    def visible(self) -> Tensor | None:
        """What is given (b, t, 3, H, W), with grey where it is hidden."""
        if self.pixels is None or self.hidden is None:
            return None
        return self.pixels.masked_fill(self.hidden[:, :, None], GREY)

    @property
    def known(self) -> Tensor | None:
        """Cells (b, t, h, w) bool whose token is given: those without a hidden pixel."""
        if self.hidden is None:
            return None
        factor = self.hidden.shape[-1] // self.grid.w
        return F.max_pool2d(self.hidden.float(), factor) == 0

    def paste(self, made: Tensor) -> Tensor:
        """Pixels (b, t, 3, H, W) as they were given, and as they were ``made`` where they were hidden."""
        if self.pixels is None or self.hidden is None:
            return made
        return torch.where(self.hidden[:, :, None].to(made.device), made, self.pixels.to(made.device))


def _check_kinds(task: Task, captions: object, sketches: object, given: object, mask: object) -> None:
    """Every kind of input is there where the task takes it, and only there."""
    if task.text == "none" and captions is not None:
        by_words = [
            other.name for other in map(TASKS.__getitem__, TASKS) if _like(other, task) and other.text == "caption"
        ]
        raise ValueError(f"{task.name}: takes no text, got captions; {' or '.join(by_words)} is done by words")
    if task.text == "caption" and captions is None:
        raise ValueError(f"{task.name}: expected captions, got none")
    takes = {"a sketch": task.sketch, "pixels": task.given != "nothing", "a mask": task.given == "outside the mask"}
    for (what, wanted), value in zip(takes.items(), (sketches, given, mask), strict=True):
        if wanted and value is None:
            raise ValueError(f"{task.name}: expected {what}, got none")
        if value is not None and not wanted:
            raise ValueError(f"{task.name}: takes {'no ' + what.removeprefix('a ')}, got one")


def _like(other: Task, task: Task) -> bool:
    return other.target == task.target and (other.given == task.given or task.given == "first frames")


def _route(task: Task, limits: Limits, route: str | None) -> Route:
    can = [each for each in task.routes if task.learnt_from(each) in limits.tasks]
    wanted = [each for each in task.routes if route in (None, each)]
    if not wanted:
        raise ValueError(f"{task.name}: expected the route {' or '.join(task.routes)}, got {route!r}")
    both = [each for each in wanted if each in can]
    if not both:
        missing = task.learnt_from(wanted[0])
        raise ValueError(
            f"{task.name} by the route {wanted[0]}: expected a checkpoint trained on {missing}, got one trained on "
            f"{', '.join(limits.tasks)}"
        )
    return both[0]


def _is_single(task: Task, captions: str | Sequence[str] | None, sketches: Tensor | None, given: Tensor | None) -> bool:
    """Whether every input is that of one sample, without a batch axis."""
    dims = 4 if task.target == "clip" else 3  # of one sample's pixels
    return (
        (captions is None or isinstance(captions, str))
        and (sketches is None or sketches.ndim == dims - 1)
        and (given is None or given.ndim == dims)
    )


def _count(task: Task, inputs: Mapping[str, Sized | None]) -> int:
    """The number of samples, on which all inputs agree."""
    counts = {what: len(each) for what, each in inputs.items() if each is not None}
    if len(set(counts.values())) > 1 or not all(counts.values()):
        listed = " and ".join(f"{count} {what}" for what, count in counts.items())
        raise ValueError(f"{task.name}: expected as many of each and at least one, got {listed}")
    return next(iter(counts.values()))


def _maps(task: Task, sketches: Tensor, limits: Limits) -> Tensor:
    per_sample = 3 if task.target == "clip" else 2
    maps = sketches if sketches.ndim > per_sample else sketches[None]
    if task.target == "picture" and maps.ndim == 3:
        maps = maps[:, None]
    side = limits.size_px
    if maps.ndim != 4 or maps.shape[2:] != (side, side) or sketches.dtype not in (torch.uint8, torch.int64):
        frames = "t, " if task.target == "clip" else ""
        raise ValueError(
            f"{task.name}: expected sketches uint8 or int64 (b, {frames}{side}, {side}), got {sketches.dtype} "
            f"{tuple(sketches.shape)}"
        )
    _check_frames(task, maps.shape[1], limits, "of sketches")
    return maps


def _pixels(task: Task, given: Tensor, limits: Limits) -> Tensor:
    clip = task.target == "clip"
    pixels = given if given.ndim > (4 if clip else 3) else given[None]
    if not clip and pixels.ndim == 4:
        pixels = pixels[:, None]
    side = limits.size_px
    if pixels.ndim != 5 or pixels.shape[2:] != (3, side, side) or given.dtype != torch.uint8:
        raise ValueError(
            f"{task.name}: expected {'clips' if clip else 'pictures'} uint8 (b, {'t, ' if clip else ''}3, {side}, {side}), "
            f"got {given.dtype} {tuple(given.shape)}"
        )
    _check_frames(task, pixels.shape[1], limits, "that are given")
    if task.given == "first frames" and pixels.shape[1] == limits.grid.t:
        raise ValueError(
            f"{task.name}: expected 1 to {limits.grid.t - 1} given frames of {limits.grid.t}, got all of them"
        )
    return pixels


def _check_frames(task: Task, frames: int, limits: Limits, which: str) -> None:
    most = of_target(limits.grid, task.target).t
    if not 1 <= frames <= most:
        raise ValueError(
            f"{task.name}: expected 1 to {most} frames {which}, got {frames}; the checkpoint's grid has {most}"
        )


def _given(task: Task, given: Tensor, mask: Tensor | None, limits: Limits, single: bool) -> tuple[Tensor, Tensor]:
    """Pixels (b, t, 3, H, W) on the whole target, and where they are hidden (b, t, H, W)."""
    pixels = _pixels(task, given, limits)
    if mask is not None:
        return pixels, _mask(task, mask, pixels, single)
    b, frames, _, *sides = pixels.shape
    later = torch.arange(limits.grid.t, device=pixels.device) >= frames
    hidden = later[None, :, None, None].expand(b, -1, *sides)
    return F.pad(pixels, (0, 0, 0, 0, 0, 0, 0, limits.grid.t - frames)), hidden


def _mask(task: Task, mask: Tensor, pixels: Tensor, single: bool) -> Tensor:
    b, t, _, *sides = pixels.shape
    shapes = [tuple(sides), (b, *sides), *([(b, t, *sides)] if task.target == "clip" else [])]
    if single and task.target == "clip":
        shapes[1] = (t, *sides)
    if mask.dtype != torch.bool or tuple(mask.shape) not in shapes:
        raise ValueError(
            f"{task.name}: expected a mask bool {' or '.join(map(str, dict.fromkeys(shapes)))}, True where to draw, got "
            f"{mask.dtype} {tuple(mask.shape)}"
        )
    if mask.ndim == 3:
        mask = mask[None] if single and task.target == "clip" else mask[:, None]
    mask = mask.to(pixels.device).expand(b, t, *sides)
    hidden = mask.flatten(1)
    if not bool(hidden.any(dim=1).all()):
        raise ValueError(f"{task.name}: expected a mask with something to draw, got one that is False everywhere")
    if bool(hidden.all(dim=1).any()):
        raise ValueError(
            f"{task.name}: expected a mask that leaves something as it is, got one that is True everywhere; "
            f"use {task.zero_shot_from} to draw all of it"
        )
    return mask
