"""Text to image, end to end: train what is missing, sample, score, and write the record (paper, Table 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from evaluation import judges
from evaluation.data import DATASETS, DataOptions, EvaluationData, Pictures, Tested
from evaluation.metrics import PictureScorer, best_of, caption_scores
from evaluation.metrics.base import Estimate
from evaluation.metrics.codebook import codebook_usage
from evaluation.protocols import sprites
from evaluation.records import MetricValue, ModelInfo, Record, Scalar
from evaluation.samples import save_captions, save_samples, save_sheet
from evaluation.sessions.base import SESSIONS, Run, Session, SessionOptions
from evaluation.sessions.drawing import by_length, draw, rebuild
from evaluation.sessions.samples import Samples
from evaluation.sessions.splits import UNSEEN, said_of
from evaluation.sessions.table import BATCH, Table
from nuwa.data.folder import GeneratedFolder
from nuwa.data.sprites import Scenes
from nuwa.sampling import Sampling
from nuwa.system import Nuwa, untrained

SHEET = 24  # captions on the sample sheet
GROUPS = ("one object", "2–3 objects")

_CHOSEN = (
    "Of {k} pictures a caption the one that {judge} puts nearest to it. Its CLIPSIM is made by the judge that chose it and "
    "is no fair rival of that of K = 1."
)


@dataclass(frozen=True, kw_only=True)
class T2IOptions(SessionOptions):
    """Text to image: FID-k, IS, CLIPSIM and caption accuracy, beside the rows of the paper's Table 1."""

    data: str = "sprites"  # sprites, or coco
    root: Path | None = None  # folder of the dataset
    num: int | None = None  # captions to score; 1024 of sprites, all of coco where not given
    list_captions: bool = False  # write captions.csv (id, caption) into the folder --out and stop
    generated: Path | None = None  # score this folder of <caption id>.png instead of training and sampling
    allow_missing: bool = False  # score a folder in which some ids have no picture
    candidates: int = 8  # K: pictures a caption, of which CLIPSIM keeps the best
    unseen: bool = True  # score combinations that training never shows too, where the dataset has them
    out: Path = Path("runs/eval-t2i")  # folder for everything that is made

    def check(self) -> None:
        """ValueError where an option is out of its range."""
        super().check()
        if self.candidates < 1:
            raise ValueError(f"expected candidates >= 1, got {self.candidates}; 1 draws one picture a caption")


class CaptionedScorer:
    """FID-k, IS, CLIPSIM and caption accuracy of pictures, as a :class:`evaluation.sessions.table.Scorer`.

    Where the scenes that captions name are known, those of one object and those of more have accuracies of their own.
    """

    def __init__(
        self, image_judge: judges.ImageJudge, clip_judge: judges.ClipJudge, device: torch.device | str = "cpu"
    ) -> None:
        self.pictures = PictureScorer(image_judge, clip_judge, device=device)

    def update(self, samples: Samples, *, real: bool) -> None:
        """Judge a batch; nobody asks whether the reference shows what its captions name."""
        scenes: Scenes | None = None if real else samples.truth.get("scenes")
        group = None if scenes is None else [GROUPS[int(count > 1)] for count in scenes.num_objects]
        self.pictures.update(samples.pixels, samples.captions, scenes, group)

    def against(self, reference: CaptionedScorer) -> Sequence[Estimate]:
        """All numbers."""
        return self.pictures.estimates(reference.pictures)

    @property
    def impossible(self) -> Mapping[str, str]:
        """Scores that need more pictures."""
        return self.pictures.impossible

    def parts(self) -> Mapping[str, Sequence[MetricValue]]:
        """Accuracies by the number of objects."""
        enough = [group for group in GROUPS if self.pictures.groups.get(group, 0) > 1]
        return {group: self.pictures.select(group).accuracies() for group in enough}


def run(options: T2IOptions) -> Record | None:
    """Run the session and leave ``record.json``, ``samples/``, ``generated/`` and ``training/`` in ``options.out``.

    ``captions.csv`` comes first: the ids and captions that another model's pictures are named by.
    """
    state = Run.begin("t2i", options)
    image_judge, clip_judge = judges.load_image_judge(state.device), judges.load_clip_judge(state.device)
    with state.timed("read data"):
        asked = DataOptions(
            root=options.root, num=options.num, size_px=state.size_px, weights=options.weights, seed=options.seed
        )
        data = DATASETS[options.data](asked).only(
            clip_judge.knows, "the CLIP judge of sprites knows no word of the caption"
        )
        save_captions(state.out / "captions.csv", data.test.listed)
        if options.list_captions:
            return None
        state.skip_all((*data.test.skipped, *data.notes))
    test = captioned_samples(data.test, data.scenes)
    state.note_long(clip_judge.tokenizer, test.captions)
    scorer = partial(CaptionedScorer, image_judge, clip_judge, state.device)
    if options.generated is not None:
        model = _score_folder(options, state, data, test, scorer)
    else:
        model = _train_and_score(options, state, data, test, scorer, clip_judge)
    return state.write(data.test.dataset, model)


SESSIONS.add("t2i", Session(T2IOptions, run))


def captioned_samples(pictures: Pictures, scenes: Scenes | None) -> Samples:
    """Pictures of a dataset with what their captions name, where that is known."""
    truth = {} if scenes is None else {"scenes": scenes}
    return Samples(pixels=pictures.images, ids=pictures.ids, captions=pictures.captions, truth=truth)


def _score_folder(
    options: T2IOptions, state: Run, data: EvaluationData, test: Samples, scorer: Callable[[], CaptionedScorer]
) -> ModelInfo:
    assert options.generated is not None
    with state.timed("read data"):
        folder = GeneratedFolder(
            options.generated, test.ids, size_px=test.pixels.shape[-1], allow_missing=options.allow_missing
        )
        pictures = torch.stack([folder.image(row) for row in range(len(folder))])
    state.skip_all(folder.skipped)
    if folder.extra:
        state.skip("extra files", f"{len(folder.extra)} files belong to no caption id")
    position = {name: row for row, name in enumerate(test.ids)}
    wanted = test[[position[name] for name in folder.ids]]

    name, table = options.generated.name, Table(state, scorer, test)
    table.add(name, "model", wanted.showing(pictures), sampling={"fingerprint": folder.fingerprint})
    table.add("real pictures", "real", captioned_samples(data.real, data.real_scenes))
    for row in ("reconstruction", "untrained"):
        state.skip(f"row {row}", "the pictures are another model's")
    save_sheet(state.out / "samples", wanted[:SHEET], {"real": wanted.pixels, name: pictures})
    return ModelInfo(preset=name, encoder_attention=None, decoder_attention=None, params=0, checkpoint_sha256=None)


def _train_and_score(
    options: T2IOptions,
    state: Run,
    data: EvaluationData,
    test: Samples,
    scorer: Callable[[], CaptionedScorer],
    clip_judge: judges.ClipJudge,
) -> ModelInfo:
    table = Table(state, scorer, test)
    system = state.trained(data.training)
    sampling = state.sampling
    state.note_unknown(system.text, test.captions)

    with state.timed("sample"):
        drawn = _pictures(system, test.captions, sampling, options.candidates, "sample")
        unguided = replace(sampling, guidance=1.0)  # there is nothing to guide by
        random = _pictures(untrained(system), test.captions, unguided, 1, "sample untrained")[:, 0]
        tokens, rebuilt = rebuild(system, test.pixels)
        shown = {"real": test.pixels, "reconstruction": rebuilt, "K = 1": drawn[:, 0]}
        if options.candidates > 1:
            scores = caption_scores(clip_judge, drawn, test.captions, device=state.device, batch=BATCH)
            shown[f"K = {options.candidates}"] = best_of(drawn, scores)

    for k in dict.fromkeys((1, options.candidates)):
        settings: dict[str, Scalar] = {"k": k, **state.trained_by}
        if k > 1:
            settings |= {"chosen_by": sprites.CLIPSIM.id, "note": _CHOSEN.format(k=k, judge=sprites.CLIPSIM.id)}
        samples = test.showing(shown[f"K = {k}"])
        table.add(f"NÜWA {state.name}, K = {k}", "model", samples, sampling=state.settings(sampling, **settings))
    table.add("real pictures", "real", captioned_samples(data.real, data.real_scenes))
    usage = [each.record for each in codebook_usage(tokens, system.tokenizer.config.num_codes)]
    note = f"Codebook usage and perplexity are of the {tokens.numel():,} tokens of {len(tokens):,} pictures; fewer use fewer."
    table.add(
        "reconstruction",
        "reconstruction",
        test.showing(rebuilt),
        sampling={"tokens": tokens.numel(), "note": note},
        extra=usage,
    )
    note = f"Drawn with guidance 1, that is without; the model's rows have {sampling.guidance:g}."
    settings = state.settings(unguided, k=1, **({} if unguided == sampling else {"note": note}))
    table.add("untrained", "baseline", test.showing(random), sampling=settings)

    if options.unseen and data.unseen is not None:
        _score_unseen(state, data.unseen, scorer, system)
    save_samples(state.out / "generated", test.showing(drawn[:, 0]))
    save_sheet(state.out / "samples", test[:SHEET], shown)
    return state.model(system)


def _score_unseen(state: Run, data: Tested, scorer: Callable[[], CaptionedScorer], system: Nuwa) -> None:
    """Rows of another split, against its own reference; one picture a caption, since best of K is about the judge."""
    test, sampling = captioned_samples(data.test, data.scenes), state.sampling
    with state.timed("sample"):
        drawn = _pictures(system, test.captions, sampling, 1, "sample unseen combinations")[:, 0]
        _, rebuilt = rebuild(system, test.pixels)
    table, said = Table(state, scorer, test), said_of(data.test.dataset)
    settings = state.settings(sampling, k=1, **state.trained_by)
    table.add(f"NÜWA {state.name}, K = 1{UNSEEN}", "model", test.showing(drawn), sampling={**settings, **said})
    table.add(f"real pictures{UNSEEN}", "real", captioned_samples(data.real, data.real_scenes), sampling=said)
    table.add(f"reconstruction{UNSEEN}", "reconstruction", test.showing(rebuilt), sampling=said)


def _pictures(system: Nuwa, captions: Sequence[str], sampling: Sampling, candidates: int, what: str) -> Tensor:
    """Pictures (m, K, 3, h, w) uint8."""

    def make(rows: list[int], indices: list[int]) -> Tensor:
        return system.pictures(system.draw([captions[row] for row in rows], sampling, indices))

    return draw(make, len(captions), what, candidates=candidates, order=by_length(system.text, captions))
