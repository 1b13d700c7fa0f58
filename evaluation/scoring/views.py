"""A view of a sample: which network looks at it, how it is prepared, and what is read from the answer.

Metrics that share a view share the work: one pass serves FID, IS and whatever else is made of the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import PIL
import torch
from torch import Tensor

from evaluation.features import NETWORKS
from evaluation.inputs.source import Kind
from evaluation.metrics.blur import blur
from evaluation.metrics.judged import check_weights
from evaluation.protocols import Protocol
from evaluation.scoring.cache import key_of
from evaluation.weights import WEIGHTS, MissingWeightsError, find

_FORMAT = 1  # of what is computed here; with another number nothing in a cache is found any more

Answer = Literal["features", "class_logits", "embeddings"]
Loader = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class View:
    """One column of numbers of every sample; equal constants give equal numbers."""

    protocol: Protocol
    answer: Answer = "features"
    radius: int = 0
    """Of the blur of FID-k."""
    kind: Kind = "pictures"
    load: Loader | None = None
    """What makes the judge, where it is not the network's entry in ``NETWORKS``."""

    @property
    def preparation(self) -> Mapping[str, object]:
        """How samples come before which network: for pictures, the protocol's constants less those of the metric."""
        if self.kind != "pictures":
            return self.protocol.constants
        return {name: getattr(self.protocol, name) for name in ("network", "size_px", "resize", "normalise")}

    @property
    def blurring(self) -> Mapping[str, object]:
        """The blur before it."""
        names = ("blur_kernel", "blur_picture_px", "blur_before_resize") if self.radius else ()
        return {"radius": self.radius, **{name: getattr(self.protocol, name) for name in names}}

    @property
    def one_size(self) -> bool:
        """Whether all samples must have one size, as the network takes them as they are."""
        return self.kind == "pictures" and self.preparation["resize"] == "none"

    def key(self, content: str, weights_sha256: str, device: torch.device) -> str:
        """Key in a cache of what is seen of samples whose digest is ``content``.

        Besides preparation and weights it holds what moves last digits: the decoder and the kind of device.
        """
        return key_of(
            format=_FORMAT,
            content=content,
            preparation=dict(self.preparation),
            blurring=dict(self.blurring),
            answer=self.answer,
            layer=self.protocol.layer,
            weights=weights_sha256,
            device=device.type,
            pillow=PIL.__version__,
        )


@dataclass(frozen=True, kw_only=True)
class _Glance:
    """Views that one call of a network answers."""

    judge: Any
    views: tuple[View, ...]


class Judges:
    """The networks behind some views, each loaded once and asked once for all views that see the same.

    ValueError where a protocol is of other weights than those that are loaded; MissingWeightsError where files are
    missing.
    """

    def __init__(self, views: Sequence[View], folder: str | Path | None, device: torch.device) -> None:
        self.views = tuple(dict.fromkeys(views))
        self.device = device
        loaded: dict[tuple[str, str | None], Any] = {}
        glances: dict[tuple[tuple[str, str | None], int, bool], list[View]] = {}
        for view in sorted(self.views, key=lambda view: view.answer != "class_logits"):  # those have features too
            prepared = json.dumps(dict(view.preparation), sort_keys=True)
            name: tuple[str, str | None] = (prepared, view.protocol.layer if view.answer == "class_logits" else None)
            if view.answer != "class_logits":
                name = next((each for each in loaded if each[0] == prepared), name)
            if name not in loaded:
                if view.protocol.network in WEIGHTS:
                    require(view.protocol.network, folder)
                load = view.load or NETWORKS[view.protocol.network]
                loaded[name] = load(view.protocol, folder, device)
            check_weights(loaded[name], view.protocol)
            glances.setdefault((name, view.radius, view.answer == "embeddings"), []).append(view)
        self._glances = [_Glance(judge=loaded[name], views=tuple(seen)) for (name, _, _), seen in glances.items()]

    def weights(self, view: View) -> str:
        """sha256 of the weights behind a view; of its protocol where it has no network."""
        digest = getattr(self.judge(view), "sha256", None)
        return view.protocol.hash if digest is None else str(digest)

    def key(self, view: View, content: str) -> str:
        """The view's key in a cache."""
        return view.key(content, self.weights(view), self.device)

    def judge(self, view: View) -> Any:
        """The network behind a view."""
        return next(glance.judge for glance in self._glances if view in glance.views)

    @torch.inference_mode()
    def look(self, samples: Tensor, wanted: Sequence[View]) -> dict[View, Tensor]:
        """What is seen of samples (b, …) uint8, (b, …) a view; networks behind no wanted view are not asked."""
        found: dict[View, Tensor] = {}
        for glance in self._glances:
            views = [view for view in glance.views if view in wanted]
            if not views:
                continue
            first = views[0]
            seen = samples
            if first.radius:
                rules: Any = first.protocol  # of the kind that blurs
                seen = blur(samples, rules.sigma_px(first.radius, min(samples.shape[-2:])), rules.blur_kernel)
            if first.answer == "embeddings":
                answers: dict[Answer, Tensor] = {"embeddings": glance.judge.encode_images(seen)}
            else:
                answer = glance.judge(seen)
                plain = isinstance(answer, Tensor)  # such a network says one thing
                answers = {view.answer: answer if plain else getattr(answer, view.answer) for view in views}
            found |= {view: answers[view.answer] for view in views}
        return found


def require(network: str, folder: str | Path | None) -> Path:
    """The verified weight file of a published network. MissingWeightsError where it, or the folder, is not there."""
    if folder is None:
        raise MissingWeightsError(
            f"{network}: expected the folder with its weight file {WEIGHTS[network].file}, got none; name one with "
            f"--weights, and see python -m evaluation weights fetch {network} --folder DIR"
        )
    return find(network, folder)
