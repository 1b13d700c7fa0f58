"""Everything about a set of pictures in one pass: FID-k, IS, CLIPSIM and caption accuracy, each picture judged once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from evaluation.images import as_bytes, check_set
from evaluation.metrics.base import Estimate
from evaluation.metrics.blur import blur
from evaluation.metrics.caption_accuracy import NamedScenes, Outcomes, caption_accuracy, outcomes
from evaluation.metrics.clipsim import caption_similarity, clipsim
from evaluation.metrics.fid import fid
from evaluation.metrics.inception_score import inception_score, too_few
from evaluation.metrics.judged import ClipJudge, ImageJudge, Judged, check_weights
from evaluation.protocols import (
    CaptionAccuracyProtocol,
    CLIPSIMProtocol,
    FIDProtocol,
    InceptionScoreProtocol,
    sprites,
)
from evaluation.records import MetricValue


@dataclass(frozen=True, kw_only=True)
class PictureProtocols:
    """The protocols of one pass; ``None`` leaves a metric out."""

    fid: FIDProtocol = sprites.FID
    inception_score: InceptionScoreProtocol | None = sprites.INCEPTION_SCORE
    clipsim: CLIPSIMProtocol | None = sprites.CLIPSIM
    caption_accuracy: CaptionAccuracyProtocol | None = sprites.CAPTION_ACCURACY


class PictureScorer:
    """Scores of one row of a table. Feed it pictures with their captions, then ask for numbers.

    ``update`` judges a batch once for every radius of FID-k; ``against`` gives all numbers beside a reference set,
    ``alone`` those that need none, ``select`` the scorer of some of the samples, ``estimates`` what a paired comparison
    of two rows needs. Results do not depend on how the pictures were split into batches.
    """

    def __init__(
        self,
        image_judge: ImageJudge,
        clip_judge: ClipJudge | None,
        ks: Sequence[int] = (0, 1, 2, 4, 8),
        protocols: PictureProtocols | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.protocols = PictureProtocols() if protocols is None else protocols
        if clip_judge is None:
            self.protocols = replace(self.protocols, clipsim=None)
        unknown = [k for k in ks if k not in self.protocols.fid.radii]
        if unknown or not ks or len(set(ks)) != len(ks):
            known = self.protocols.fid
            raise ValueError(f"ks: expected some of the radii {known.radii} of {known.id}, got {tuple(ks)}")
        for judge, protocol in (
            (image_judge, self.protocols.fid),
            (image_judge, self.protocols.inception_score),
            (image_judge, self.protocols.caption_accuracy),
            (clip_judge, self.protocols.clipsim),
        ):
            check_weights(judge, protocol)
        self.ks = tuple(ks)
        self.device = torch.device(device)
        self._image_judge = image_judge
        self._clip_judge = clip_judge
        self._batches: list[Judged] = []
        self._texts: dict[str, Tensor] = {}  # the captions of a test set repeat
        self._size: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return sum(len(batch.groups) for batch in self._batches)

    @torch.no_grad()
    def update(
        self,
        images: Tensor,
        captions: Sequence[str] | None,
        expected: NamedScenes | None = None,
        group: str | Sequence[str] | None = None,
    ) -> None:
        """Judge pictures (b, 3, h, w), uint8 or floats in [0, 1], with their b captions.

        ``expected`` are the scenes the captions name, for caption accuracy; ``group`` labels samples for ``select``.
        Give captions and scenes for all pictures of a row or for none. ValueError for pictures that are not what
        :func:`evaluation.images.as_bytes` takes, of another size than before, or without their captions.
        """
        images = as_bytes(images, self.protocols.fid.quantise).to(self.device)
        b = len(images)
        if captions is not None and (isinstance(captions, str) or len(captions) != b):
            got = "a single string" if isinstance(captions, str) else len(captions)
            raise ValueError(f"captions: expected one for each of {b} pictures, got {got}; pass a list of {b} strings")
        groups = [group] * b if group is None or isinstance(group, str) else list(group)
        if len(groups) != b:
            raise ValueError(f"group: expected one label or {b}, got {len(groups)}")
        self._check_size(tuple(images.shape[2:]))

        sharp = self._image_judge(images)
        features = [sharp.features if k == 0 else self._features(images, sharp.features, k) for k in self.ks]
        judged = Judged(
            features=torch.stack(features, 1).cpu(),
            logits=sharp.class_logits.cpu(),
            similarities=self._similarities(images, captions),
            outcomes=self._outcomes(sharp, expected),
            groups=tuple(groups),
        )
        if self._batches:
            judged.check_like(self._batches[-1])
        self._batches.append(judged)

    @property
    def groups(self) -> dict[str, int]:
        """How many samples each group has, in order of arrival; a group needs two for its numbers."""
        return dict(Counter(group for batch in self._batches for group in batch.groups if group is not None))

    def select(self, which: Tensor | str) -> PictureScorer:
        """The scorer of some samples: those of a mask (n,) bool in order of arrival, or of a group.

        ValueError for an unknown group or a mask of another length.
        """
        judged = self._judged()
        if isinstance(which, str):
            if which not in self.groups:
                known = ", ".join(sorted(self.groups)) or "none"
                raise ValueError(f"unknown group {which!r}; expected one of the labels given to update: {known}")
            which = torch.tensor([group == which for group in judged.groups])
        if which.dtype != torch.bool or which.shape != (len(self),):
            raise ValueError(f"mask: expected ({len(self)},) bool, got {tuple(which.shape)} {which.dtype}")
        chosen = PictureScorer(self._image_judge, self._clip_judge, self.ks, self.protocols, self.device)
        chosen._batches, chosen._size, chosen._texts = [judged.take(which.cpu())], self._size, self._texts
        return chosen

    def estimates(self, reference: PictureScorer | None = None) -> list[Estimate]:
        """All numbers with their intervals and replicates; FID-k where there is a ``reference``.

        What so few pictures do not allow is not among them, and stands in :attr:`impossible`.
        """
        judged, protocols = self._judged(), self.protocols
        found = [] if reference is None else self._distances(reference)
        if protocols.inception_score is not None and not self.impossible:
            found.append(inception_score(judged.logits, protocols.inception_score))
        if protocols.clipsim is not None and judged.similarities is not None:
            found.append(clipsim(judged.similarities, protocols.clipsim))
        if protocols.caption_accuracy is not None and judged.outcomes is not None:
            found += caption_accuracy(judged.outcomes, protocols.caption_accuracy)
        return found

    def against(self, reference: PictureScorer) -> list[MetricValue]:
        """FID-k to the pictures of ``reference``, IS, CLIPSIM and caption accuracies, as they stand in a record."""
        return [estimate.record for estimate in self.estimates(reference)]

    def alone(self) -> list[MetricValue]:
        """The numbers that need no reference: IS, CLIPSIM and caption accuracies."""
        return [estimate.record for estimate in self.estimates()]

    def accuracies(self) -> list[MetricValue]:
        """Caption accuracies only, for groups too small for the other scores. ValueError without expected scenes."""
        judged = self._judged()
        if judged.outcomes is None or self.protocols.caption_accuracy is None:
            raise ValueError("caption accuracy: expected the scenes the captions name; pass expected= to update")
        return [estimate.record for estimate in caption_accuracy(judged.outcomes, self.protocols.caption_accuracy)]

    @property
    def impossible(self) -> dict[str, str]:
        """Names of the metrics that need more pictures than there are, each with the reason."""
        protocol = self.protocols.inception_score
        reason = None if protocol is None else too_few(len(self), protocol)
        return {} if reason is None else {"IS": reason}

    @property
    def right(self) -> Tensor:
        """Whether the judge saw exactly what the caption names, (n,) bool in order of arrival."""
        judged = self._judged()
        if judged.outcomes is None:
            raise ValueError("caption accuracy: expected the scenes the captions name; pass expected= to update")
        return judged.outcomes.right

    def _distances(self, reference: PictureScorer) -> list[Estimate]:
        ours, theirs, protocol = self._judged(), reference._judged(), self.protocols.fid
        if reference.protocols.fid != protocol or not set(self.ks) <= set(reference.ks):
            got = f"{reference.protocols.fid.id} with {reference.ks}"
            raise ValueError(f"reference: expected {protocol.id} with radii {self.ks}, got {got}; score both alike")
        if protocol.resize == "none" and self._size != reference._size:
            raise ValueError(f"reference: expected {self._size} pixels, got {reference._size}; resize one side first")
        if protocol.blur_target == "real" and 0 not in self.ks:
            raise ValueError(f"{protocol.id} blurs the real side only: expected k = 0 among {self.ks}")
        found: list[tuple[Tensor, Tensor, Estimate]] = []
        for position, k in enumerate(self.ks):
            generated = ours.features[:, self.ks.index(0) if protocol.blur_target == "real" else position]
            real = theirs.features[:, reference.ks.index(k)]
            for done, done_real, estimate in found:  # in small pictures a small radius changes no byte
                if torch.equal(done, generated) and torch.equal(done_real, real):
                    found.append((generated, real, replace(estimate, name=f"FID-{k}")))
                    break
            else:
                found.append((generated, real, fid(generated.to(self.device), real.to(self.device), protocol, k)))
        return [estimate for _, _, estimate in found]

    def _judged(self) -> Judged:
        check_set(len(self))
        if len(self._batches) > 1:
            self._batches = [Judged.cat(self._batches)]
        return self._batches[0]

    def _features(self, images: Tensor, sharp: Tensor, k: int) -> Tensor:
        protocol = self.protocols.fid
        blurred = blur(images, protocol.sigma_px(k, min(images.shape[2:])), protocol.blur_kernel)
        return sharp if torch.equal(blurred, images) else self._image_judge(blurred).features

    def _similarities(self, images: Tensor, captions: Sequence[str] | None) -> Tensor | None:
        protocol = self.protocols.clipsim
        if captions is None or protocol is None or self._clip_judge is None:
            return None
        texts = [protocol.prefix + caption for caption in captions]
        if new := sorted(set(texts) - self._texts.keys()):
            self._texts |= dict(zip(new, self._clip_judge.encode_texts(new).cpu(), strict=True))
        return caption_similarity(
            self._clip_judge.encode_images(images).cpu(), torch.stack([self._texts[text] for text in texts])
        )

    def _outcomes(self, judgement: Any, expected: NamedScenes | None) -> Outcomes | None:
        if expected is None or self.protocols.caption_accuracy is None:
            return None
        return outcomes(judgement, expected, self.protocols.caption_accuracy)

    def _check_size(self, size: tuple[int, ...]) -> None:
        if self._size is not None and size != self._size and self.protocols.fid.resize == "none":
            raise ValueError(f"images: expected {self._size} pixels as before, got {size}; resize to one size first")
        self._size = size
