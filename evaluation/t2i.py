"""Text to image, end to end: train what is missing, sample, score, and write the record (paper, Table 1)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from evaluation import judges
from evaluation.data import DATASETS, DataOptions, EvaluationData
from evaluation.metrics import PictureScorer, best_of, caption_scores
from evaluation.metrics.codebook import codebook_usage
from evaluation.provenance import peak_memory, provenance
from evaluation.records import DatasetInfo, MetricValue, ModelInfo, Record, Role, Row, Skipped, write_record
from evaluation.samples import save_pictures, save_sheet
from nuwa import files
from nuwa.data.folder import GeneratedFolder
from nuwa.data.sprites import Scenes
from nuwa.model.config import attention_name
from nuwa.presets import PRESETS
from nuwa.progress import progress
from nuwa.sampling import Sampling
from nuwa.system import MODEL_FILE, Nuwa, untrained
from nuwa.tokenizers.text import TextTokenizer
from nuwa.training.precision import pick_device
from nuwa.training.prepare import prepare

BATCH = 256
SHEET = 24  # captions on the sample sheet
GROUPS = ("one object", "2–3 objects")


@dataclass(frozen=True, kw_only=True)
class T2IOptions:
    """Text to image: FID-k, IS, CLIPSIM and caption accuracy, beside the rows of the paper's Table 1."""

    data: str = "sprites"  # sprites, or coco
    root: Path | None = None  # folder of the dataset
    num: int | None = None  # captions to score; 1024 of sprites, all of coco where not given
    generated: Path | None = None  # score this folder of <caption id>.png instead of training and sampling
    allow_missing: bool = False  # score a folder in which some ids have no picture
    preset: str = "tiny"
    candidates: int = 8  # K: pictures a caption, of which CLIPSIM keeps the best
    guidance: float | None = None  # the preset's where not given
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0
    device: str = "auto"  # auto, cpu or cuda
    shards: Path | None = None  # train on tokens: encode the pictures once into this folder, or read what is there
    weights: Path | None = None  # folder with published network weights
    out: Path = Path("runs/eval-t2i")

    def sampling(self, default: Sampling) -> Sampling:
        """The preset's sampling with what was asked for."""
        given = {name: getattr(self, name) for name in ("guidance", "temperature", "top_k", "top_p")}
        return replace(default, seed=self.seed, **{name: value for name, value in given.items() if value is not None})


@dataclass
class Run:
    """What grows while the session runs."""

    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds spent inside to ``timings_s``."""
        began = time.monotonic()
        yield
        self.timings_s[stage] = round(self.timings_s.get(stage, 0.0) + time.monotonic() - began, 2)


def run(options: T2IOptions) -> Record:
    """Run the session and leave ``record.json``, ``samples/``, ``generated/`` and ``training/`` in ``options.out``."""
    if options.candidates < 1 or (options.num is not None and options.num < 2):
        raise ValueError(f"expected candidates >= 1 and num >= 2, got {options.candidates} and {options.num}")
    device = pick_device(options.device)
    preset = PRESETS[options.preset]()
    about = provenance(device, {"sampling": options.seed, "training": preset.transformer.seed})
    state = Run()
    image_judge, clip_judge = judges.load_image_judge(device), judges.load_clip_judge(device)
    with state.timed("read data"):
        size_px = preset.tokenizer.model.size_px
        data = DATASETS[options.data](
            DataOptions(root=options.root, num=options.num, size_px=size_px, weights=options.weights, seed=options.seed)
        ).only(clip_judge.knows, "the CLIP judge of sprites knows no word of the caption")
        state.skipped += [Skipped(id=each.id, reason=each.reason) for each in (*data.test.skipped, *data.notes)]
    _note_long(clip_judge.tokenizer, data.test.captions, state)
    table = _Table(data, state, image_judge, clip_judge, device)

    score = _train_and_score if options.generated is None else _score_folder
    model = score(options, table)

    dataset = data.test.dataset
    record = Record(
        name=options.out.name,
        task="t2i",
        dataset=DatasetInfo(
            name=dataset.name, version=dataset.version, split=dataset.split, fingerprint=dataset.fingerprint
        ),
        model=model,
        rows=tuple(state.rows),
        timings_s=state.timings_s,
        peak_memory_gib=peak_memory(device),
        skipped=tuple(state.skipped),
        **vars(about),
    )
    write_record(options.out / "record.json", record)
    return record


class _Table:
    """Scores sets of pictures against the real pictures of the test captions and collects the rows."""

    def __init__(
        self,
        data: EvaluationData,
        state: Run,
        image_judge: judges.ImageJudge,
        clip_judge: judges.ClipJudge,
        device: torch.device,
    ) -> None:
        self.data, self.state = data, state
        self.image_judge, self.clip_judge = image_judge, clip_judge
        self.device = device
        self.reference = self._judge("judge the reference", data.test.images, data.test.captions, None)

    def _judge(self, what: str, pictures: Tensor, captions: Sequence[str], scenes: Scenes | None) -> PictureScorer:
        scorer = PictureScorer(self.image_judge, self.clip_judge, device=self.device)
        with self.state.timed("score"), progress(None, what, total=len(pictures), unit="pictures") as bar:
            for start in range(0, len(pictures), BATCH):
                part = slice(start, start + BATCH)
                expected = None if scenes is None else scenes[part]
                group = None if expected is None else [GROUPS[int(count > 1)] for count in expected.num_objects]
                scorer.update(pictures[part].to(self.device), captions[part], expected, group)
                bar.update(len(pictures[part]))
        return scorer

    def add(
        self,
        name: str,
        role: Role,
        pictures: Tensor,
        *,
        captions: Sequence[str] | None = None,
        scenes: Scenes | None = None,
        sampling: dict[str, float | int | str | None] | None = None,
        extra: Sequence[MetricValue] = (),
    ) -> None:
        """Score pictures (m, 3, h, w) uint8 of the test captions, or of the captions and scenes given, as one row.

        Where scenes are known, rows for the captions with one object and with more follow.
        """
        if captions is None:
            captions, scenes = self.data.test.captions, self.data.scenes
        scorer = self._judge(f"judge {name}", pictures, captions, scenes)
        with self.state.timed("score"):
            metrics = (*scorer.against(self.reference), *extra)
            self.state.skipped += [
                Skipped(id=f"{each} of {name}", reason=why) for each, why in scorer.impossible.items()
            ]
            self.state.rows.append(Row(name=name, role=role, sampling=sampling or {}, metrics=metrics))
            if scenes is not None:
                for group in GROUPS:
                    few = tuple(scorer.select(group).accuracies())
                    self.state.rows.append(
                        Row(name=f"{name}, {group}", role=role, sampling=sampling or {}, metrics=few)
                    )

    def add_real(self) -> None:
        """The floor: other real pictures."""
        real = self.data.real
        self.add("real pictures", "real", real.images, captions=real.captions, scenes=self.data.real_scenes)


def _score_folder(options: T2IOptions, table: _Table) -> ModelInfo:
    assert options.generated is not None
    data, state = table.data, table.state
    ids = data.test.ids
    size_px = data.test.images.shape[-1]
    folder = GeneratedFolder(options.generated, ids, size_px=size_px, allow_missing=options.allow_missing)
    state.skipped += [Skipped(id=each.id, reason=each.reason) for each in folder.skipped]
    if folder.extra:
        state.skipped.append(Skipped(id="extra files", reason=f"{len(folder.extra)} files belong to no caption id"))
    with state.timed("read data"):
        pictures = torch.stack([folder.image(row) for row in range(len(folder))])
    positions = [ids.index(name) for name in folder.ids]
    scenes = None if data.scenes is None else data.scenes[torch.tensor(positions).numpy()]
    captions = [data.test.captions[at] for at in positions]
    name = options.generated.name
    table.add(name, "model", pictures, captions=captions, scenes=scenes, sampling={"fingerprint": folder.fingerprint})
    table.add_real()
    for row in ("reconstruction", "untrained"):
        state.skipped.append(Skipped(id=f"row {row}", reason="the pictures are another model's"))
    columns = {"real": data.test.images[positions], name: pictures}
    save_sheet(
        options.out / "samples",
        folder.ids[:SHEET],
        captions[:SHEET],
        {key: each[:SHEET] for key, each in columns.items()},
    )
    return ModelInfo(preset=name, encoder_attention=None, decoder_attention=None, params=0, checkpoint_sha256=None)


def _train_and_score(options: T2IOptions, table: _Table) -> ModelInfo:
    data, state = table.data, table.state
    preset = PRESETS[options.preset]()
    with state.timed("train"):
        system = prepare(preset, data.training(), options.out / "training", table.device, shards=options.shards)
        system.save_pretrained(options.out / "checkpoint")
    sampling = options.sampling(preset.sampling)
    captions = data.test.captions
    _note_unknown(system.text, captions, state)

    with state.timed("sample"):
        drawn = _draw(system, captions, sampling, options.candidates, "sample")
        best = _best(table, drawn, captions)
        unguided = replace(sampling, guidance=1.0)  # there is nothing to guide by
        random = _draw(untrained(system), captions, unguided, 1, "sample untrained")[:, 0]
        tokens = torch.cat([system.tokenizer.encode(part.to(table.device)) for part in data.test.images.split(BATCH)])
        rebuilt = torch.cat([system.pictures(part).cpu() for part in tokens.split(BATCH)])

    name = f"NÜWA {preset.name}"
    settings = vars(sampling)
    table.add(f"{name}, K = 1", "model", drawn[:, 0], sampling={"k": 1, **settings})
    if options.candidates > 1:
        table.add(f"{name}, K = {options.candidates}", "model", best, sampling={"k": options.candidates, **settings})
    table.add_real()
    usage = codebook_usage(tokens.cpu(), preset.tokenizer.model.num_codes)
    table.add("reconstruction", "reconstruction", rebuilt, extra=usage)
    table.add("untrained", "baseline", random, sampling={"k": 1, **vars(unguided)})

    save_pictures(options.out / "generated", drawn[:, 0], data.test.ids)
    columns = {"real": data.test.images, "reconstruction": rebuilt, "K = 1": drawn[:, 0]}
    if options.candidates > 1:
        columns[f"K = {options.candidates}"] = best
    shown = {key: each[:SHEET] for key, each in columns.items()}
    save_sheet(options.out / "samples", data.test.ids[:SHEET], captions[:SHEET], shown)
    return ModelInfo(
        preset=preset.name,
        encoder_attention=attention_name(preset.model.encoder_attention),
        decoder_attention=attention_name(preset.model.decoder_attention),
        params=system.model.num_parameters,
        checkpoint_sha256=files.sha256(options.out / "checkpoint" / MODEL_FILE),
    )


def _note_long(tokenizer: TextTokenizer, captions: Sequence[str], state: Run) -> None:
    if truncated := tokenizer.encode(captions).truncated:
        reason = f"{len(truncated)} of {len(captions)} captions are longer than 77 tokens and lost their last words"
        state.skipped.append(Skipped(id="long captions", reason=reason))


def _note_unknown(tokenizer: TextTokenizer, captions: Sequence[str], state: Run) -> None:
    if unknown := tokenizer.encode(captions).unknown:
        reason = f"{unknown} word pieces of the test captions never stand in a training caption"
        state.skipped.append(Skipped(id="unknown words", reason=reason))


def _draw(system: Nuwa, captions: Sequence[str], sampling: Sampling, candidates: int, what: str) -> Tensor:
    """Pictures (m, K, 3, h, w) uint8; candidate k of caption i is sample (k, i), whatever K is."""
    columns = []
    order = (
        system.text.encode(captions).valid.sum(dim=1).argsort(stable=True)
    )  # texts of a batch are padded to the longest
    with progress(None, what, total=len(captions) * candidates, unit="pictures") as bar:
        for candidate in range(candidates):
            parts = []
            for rows in order.split(BATCH):
                indices = [(candidate << 32) + row for row in rows.tolist()]
                tokens = system.draw([captions[row] for row in rows.tolist()], sampling, indices)
                parts.append(system.pictures(tokens).cpu())
                bar.update(len(rows))
            columns.append(torch.cat(parts)[order.argsort()])
    return torch.stack(columns, dim=1)


def _best(table: _Table, drawn: Tensor, captions: Sequence[str]) -> Tensor:
    """Of each caption's pictures (m, K, 3, h, w) the one nearest to it by CLIPSIM, (m, 3, h, w)."""
    if drawn.shape[1] == 1:
        return drawn[:, 0]
    return best_of(drawn, caption_scores(table.clip_judge, drawn, captions, device=table.device, batch=BATCH))
