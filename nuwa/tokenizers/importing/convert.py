"""From names and shapes of another project to a :class:`VQGAN`: everything has its place, or nothing is made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nuwa.data.captioned import some
from nuwa.registry import Registry
from nuwa.tokenizers.vqgan import VQGAN, TamingConfig


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a project names the parts of its tokenizer.

    Attributes:
        title: of the project.
        sizes: from what its config file says, or None where there is none, to the sizes. ValueError for a design that is not
            this one.
        rename: its name of a tensor, and the number of levels, to the name that this suite has for it.
        left_out: names, from their beginning, of what no tokenizer needs once it is trained.
        normalised: whether its codes are used at length 1, whatever length they are stored with.
    """

    title: str
    sizes: Callable[[Mapping[str, Any] | None], TamingConfig]
    rename: Callable[[str, int], str]
    left_out: tuple[str, ...] = ()
    normalised: bool = False


LAYOUTS: Registry[Layout] = Registry("layout of weights")
"""The layouts by the name that ``--from`` takes."""

CODES = "codebook.codes"


def convert(layout: Layout, weights: Mapping[str, Tensor], config: TamingConfig) -> VQGAN:
    """The tokenizer of these sizes with these weights, in float32 and eval mode.

    ValueError that lists the names without a place, the parts without weights and the shapes that differ, where there are any.
    """
    model = VQGAN(config)
    wanted = model.state_dict()
    found: dict[str, Tensor] = {}
    theirs: dict[str, str] = {}
    wrong: dict[str, list[str]] = {"names without a place": [], "shapes that differ": []}
    for name, value in weights.items():
        if name.startswith(layout.left_out):
            continue
        ours = layout.rename(name, len(config.widths))
        if ours not in wanted or ours in found:
            wrong["names without a place"].append(name)
            continue
        theirs[ours], found[ours] = name, _as_convolution(value, wanted[ours]).float()
        if found[ours].shape != wanted[ours].shape:
            shapes = f"{tuple(value.shape)} for {tuple(wanted[ours].shape)}"
            wrong["shapes that differ"].append(f"{name} {shapes}")
    wrong["parts without weights"] = [name for name in wanted if name not in found]
    if any(wrong.values()):
        lists = "; ".join(f"{len(names)} {what}: {some(names)}" for what, names in wrong.items() if names)
        raise ValueError(f"{layout.title}: expected weights of the sizes that its config says, got {lists}")
    if layout.normalised:
        found[CODES] = found[CODES] / found[CODES].norm(dim=-1, keepdim=True).clamp_min(1e-12)
    model.load_state_dict(found)
    return model.eval()


def _as_convolution(value: Tensor, wanted: Tensor) -> Tensor:
    """A linear map (c, c') as the 1×1 convolution that it is, where that is what is wanted."""
    linear = value.ndim == 2 and wanted.ndim == 4 and wanted.shape[2:] == (1, 1)
    return value[:, :, None, None] if linear else value


def substitute(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    """The name after all rules, patterns and what takes their place, one after another."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def only(what: str, found: Mapping[str, Any], known: Mapping[str, object]) -> None:
    """ValueError for a key that is not known, or one whose value is not the expected one, where one is given.

    A key whose expected value is ``...`` may have any.
    """
    unknown = [key for key in found if key not in known]
    other = [
        f"{key} = {found[key]!r} (expected {value!r})"
        for key, value in known.items()
        if value is not ... and key in found and found[key] != value
    ]
    if unknown or other:
        raise ValueError(
            f"{what}: expected a VQ-GAN of the usual design, got "
            + "; ".join([*other, *([f"unknown keys {', '.join(unknown)}"] if unknown else [])])
        )
