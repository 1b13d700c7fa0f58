"""The eight tasks of the paper's figure 1: one decoder, one description each.

A description says what is made, what the encoder reads, which cells of the target are given and what is scored. Training,
sampling and the evaluation sessions follow it, so adding a task is adding one description.

Known tokens take one of two routes; without any, a task is done the ``direct`` way. ``zero-shot``: the decoder gets them, but
was trained on another task without any (the paper's way of completion and manipulation); it decodes in raster order, so what
is known right of or below a hole cannot help to fill it. ``masked-condition``: the encoder reads the target with hidden cells
as well, so every cell sees what is known on all sides. First frames take this route too, as a grid of their own: with nearby
attention alone a cell would see one row down in the frame before, and neither the whole of an object nor what hops up to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from nuwa.grid import Grid
from nuwa.model.config import ConditionName
from nuwa.registry import Registry

if TYPE_CHECKING:
    from nuwa.sampling import Sampling

Target = Literal["picture", "clip"]
Text = Literal["caption", "optional", "none"]
Given = Literal["nothing", "first frames", "outside the mask"]
Route = Literal["direct", "zero-shot", "masked-condition"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is given, what is made of it and how it is judged."""

    name: str
    title: str
    target: Target
    text: Text  # without a caption the encoder reads the constant word of the paper, nuwa.tokenizers.text.NO_WORDS
    sketch: bool = False  # a segmentation map a picture, one a frame for a clip
    given: Given = "nothing"
    zero_shot_from: str | None = None  # the task whose training is all that the zero-shot route needs
    temperature: float | None = None  # of samples where nothing else is asked for; the model's where None
    scores: tuple[str, ...]  # what the task's evaluation reports

    @property
    def routes(self) -> tuple[Route, ...]:
        """How known tokens may reach the model, the better route first."""
        if self.given == "nothing":
            return ("direct",)
        return ("masked-condition",) if self.zero_shot_from is None else ("masked-condition", "zero-shot")

    @property
    def conditions(self) -> tuple[ConditionName, ...]:
        """What a model needs for every route of this task."""
        more: dict[ConditionName, bool] = {"sketch": self.sketch, "partial": "masked-condition" in self.routes}
        return ("text", *(name for name, needed in more.items() if needed))

    @property
    def guided(self) -> bool:
        """Whether there are words or a sketch that guidance can strengthen; what is given is no matter of degree."""
        return self.text != "none" or self.sketch

    def own(self, sampling: Sampling) -> Sampling:
        """How a model that draws by ``sampling`` draws this task, where nothing else is asked for."""
        return sampling if self.temperature is None else replace(sampling, temperature=self.temperature)

    def learnt_from(self, route: Route) -> str:
        """Name of the task that a model was trained on if it can do this one on this route.

        ValueError for a route that this task does not have.
        """
        if route not in self.routes:
            raise ValueError(f"{self.name}: expected the route {' or '.join(self.routes)}, got {route!r}")
        return self.zero_shot_from if route == "zero-shot" and self.zero_shot_from is not None else self.name


TASKS: Registry[Task] = Registry("task")
"""The tasks by name, in the order of the paper's figure 1."""

for _task in (
    Task(
        name="t2i",
        title="text to image",
        target="picture",
        text="caption",
        scores=("FID", "IS", "CLIPSIM", "caption accuracy"),
    ),
    Task(
        name="s2i",
        title="sketch to image",
        target="picture",
        text="optional",
        sketch=True,
        scores=("FID", "PA"),
    ),
    Task(
        name="i2i",
        title="image completion",
        target="picture",
        text="none",
        given="outside the mask",
        zero_shot_from="t2i",
        scores=("FID", "SSIM inside the hole", "SSIM outside the hole", "known region unchanged"),
    ),
    Task(
        name="ti2i",
        title="text-guided image manipulation",
        target="picture",
        text="caption",
        given="outside the mask",
        zero_shot_from="t2i",
        scores=("FID", "edit success", "SSIM outside the mask"),
    ),
    Task(
        name="t2v",
        title="text to video",
        target="clip",
        text="caption",
        scores=("FID-img", "FID-vid", "CLIPSIM", "acc"),
    ),
    Task(
        name="v2v",
        title="video prediction",
        target="clip",
        text="none",
        given="first frames",
        temperature=1.0,  # what comes next is not said; below 1 it would be what is likeliest, that hardly anything moves
        scores=("FVD", "SSIM per predicted frame"),
    ),
    Task(
        name="s2v",
        title="sketch to video",
        target="clip",
        text="optional",
        sketch=True,
        scores=("FID-vid", "Detected PA"),
    ),
    Task(
        name="tv2v",
        title="text-guided video manipulation",
        target="clip",
        text="caption",
        given="outside the mask",
        zero_shot_from="t2v",
        scores=("FID-vid", "edit success", "SSIM outside the mask"),
    ),
):
    TASKS.add(_task.name, _task)


def of_target(grid: Grid, target: Target) -> Grid:
    """The grid of a picture, or of a whole clip, of a model whose largest grid is ``grid``."""
    return Grid(1, grid.h, grid.w) if target == "picture" else grid


def for_encoder(task: Task, tokens: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """What the encoder reads of targets (b, t, h, w) of which ``known``, bool of that shape, is given.

    Everything, with hidden cells where there is a mask; of first frames those frames alone, as many in every sample.
    """
    if task.given != "first frames":
        return tokens, known
    frames = int(known[0].flatten(1).all(dim=1).sum())
    return tokens[:, :frames], known[:, :frames]


def needed_for(*names: str) -> tuple[str, ...]:
    """The tasks to train on so that the named ones can be done on all their routes, in the registry's order.

    >>> needed_for("ti2i")
    ('t2i', 'ti2i')
    """
    wanted = {task.learnt_from(route) for task in (TASKS[name] for name in names) for route in task.routes}
    return tuple(name for name in TASKS if name in wanted)
