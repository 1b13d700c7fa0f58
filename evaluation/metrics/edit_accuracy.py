"""Edit accuracy: does a judge see the edited object as the edit was to make it (TI2I, TV2V on sprites)?

What was to stay is not looked at: SSIM outside the edit's mask tells that, and caption accuracy of the target's scenes tells
whether the whole is right.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric, gather
from evaluation.metrics.caption_accuracy import ATTRIBUTES, SceneJudgement, outcomes
from evaluation.metrics.uncertainty import bootstrap_means, wilson_interval
from evaluation.protocols import EditAccuracyProtocol, sprites
from nuwa.data.sprites import Clips
from nuwa.data.sprites.edits import KINDS, AnyEdits, slot_at


@dataclass(frozen=True, kw_only=True)
class EditOutcomes:
    """What was right of n edits."""

    right: Tensor
    """(n,) bool: the edited object has all attributes that it should have; or it is gone; or the background is the new one."""
    asked: Tensor
    """(n,) bool: the one attribute that was asked for is right, whatever became of the others."""
    kind: Tensor
    """(n,) int64 index into ``nuwa.data.sprites.edits.KINDS``."""


def edit_outcomes(judgement: SceneJudgement, edits: AnyEdits, protocol: EditAccuracyProtocol) -> EditOutcomes:
    """Compare what is seen in b edited pictures or clips with what the edits ask for.

    For clips the judgement has ``action_logits`` (b, places, actions) too. ValueError for judgements that are not b of the
    protocol's board, and for edits of clips under a protocol of pictures or the other way round.
    """
    moving = isinstance(edits.target, Clips)
    if moving != (protocol.actions is not None):
        needs = "clips" if protocol.actions is not None else "pictures"
        raise ValueError(
            f"{protocol.id}: expected edits of {needs}, got edits of {'clips' if moving else 'pictures'}; "
            "sprites.EDIT_ACCURACY is for pictures, sprites.CLIP_EDIT_ACCURACY for clips"
        )
    scenes = edits.target.scenes if isinstance(edits.target, Clips) else edits.target
    seen = outcomes(judgement, scenes, protocol)
    b, place = len(edits), torch.from_numpy(edits.place).clamp_min(0)
    row, slot = torch.arange(b), torch.from_numpy(slot_at(scenes, edits.place)).clamp_min(0)
    right = {name: getattr(seen, name)[row, slot] for name in ATTRIBUTES}
    if protocol.actions is not None:
        said = _action_logits(judgement, (b, protocol.places, protocol.actions)).argmax(-1).cpu()[row, place]
        right["action"] = right["place"] & (said == torch.from_numpy(edits.wanted["action"]))
    whole = torch.stack(list(right.values())).all(0)
    special = {
        "remove": judgement.shape_logits.argmax(-1).cpu()[row, place] == 0,
        "background": seen.background,
    }
    kind = torch.from_numpy(edits.kind)
    asked = torch.zeros(b, dtype=torch.bool)
    for index, name in enumerate(KINDS):
        if name in special:
            whole = torch.where(kind == index, special[name], whole)
        if name in special or name in right:
            asked = torch.where(
                kind == index, special[name] if name in special else right["place"] & right[name], asked
            )
    return EditOutcomes(right=whole, asked=asked, kind=kind)


def edit_accuracy(result: EditOutcomes, protocol: EditAccuracyProtocol) -> list[Estimate]:
    """Shares in 0…1 with Wilson's intervals: edits that are right, attributes asked for, and right edits of each kind.

    ValueError for fewer than two edits; a kind of which there is one alone has no number.
    """
    check_set(len(result.right), "edits")
    shares = {"edit accuracy": result.right, "attribute accuracy": result.asked}
    for index in result.kind.unique().tolist():
        if len(right := result.right[result.kind == index]) > 1:
            shares[f"edit accuracy, {KINDS[index]}"] = right
    return [_share(name, outcome.cpu().numpy(), protocol) for name, outcome in shares.items()]


@METRICS.register("edit-accuracy")
class EditAccuracy(ProtocolMetric[EditAccuracyProtocol]):
    """Edit accuracy over judgements and edits; keeps the outcome of every edit."""

    higher_is_better = True

    def __init__(self, protocol: EditAccuracyProtocol = sprites.EDIT_ACCURACY, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        for field in fields(EditOutcomes):
            self.add_rows(field.name, dtype=torch.int64 if field.name == "kind" else torch.bool)

    def update(self, judgement: SceneJudgement, edits: AnyEdits) -> None:
        """Add the judgements of b edited pictures or clips, and the edits that were asked for."""
        for name, value in vars(edit_outcomes(judgement, edits, self.protocol)).items():
            getattr(self, name).append(value.to(self.device))

    def outcomes(self) -> EditOutcomes:
        """The outcome of every edit so far, in order."""
        return EditOutcomes(**{field.name: gather(getattr(self, field.name)) for field in fields(EditOutcomes)})

    def compute(self) -> Tensor:
        """Share of edits that are right, () float64."""
        right = self.outcomes().right
        check_set(len(right), "edits")
        return right.double().mean()

    def _estimates(self) -> list[Estimate]:
        return edit_accuracy(self.outcomes(), self.protocol)


def _action_logits(judgement: SceneJudgement, shape: tuple[int, int, int]) -> Tensor:
    logits = getattr(judgement, "action_logits", None)
    if logits is None or tuple(logits.shape) != shape:
        got = "none" if logits is None else tuple(logits.shape)
        raise ValueError(f"action_logits: expected {shape} for {shape[0]} clips, got {got}; ask the video judge")
    if not bool(torch.isfinite(logits).all()):
        raise ValueError("action_logits: expected finite numbers, got NaN or infinity; look at the clips handed in")
    found: Tensor = logits
    return found


def _share(name: str, right: np.ndarray, protocol: EditAccuracyProtocol) -> Estimate:
    share = float(right.mean())
    return Estimate(
        name=name,
        protocol=protocol.id,
        value=share,
        ci95=wilson_interval(share, len(right)),
        n=len(right),
        higher_is_better=True,
        replicates=bootstrap_means(right, protocol.replicates, protocol.interval_seed),
    )
