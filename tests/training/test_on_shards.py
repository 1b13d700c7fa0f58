"""Several tasks on tokens: pictures and clips from a set of shards each, with the words of a checkpoint where one is begun."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from nuwa import Nuwa
from nuwa.data.shards import Shards
from nuwa.data.sprites.clip_dataset import SpritesClips
from nuwa.data.sprites.dataset import SpritesPictures
from nuwa.data.streams import Stream
from nuwa.presets import PRESETS, Preset
from nuwa.tasks import TASKS
from nuwa.tokenizers.load import load_text
from nuwa.tokenizers.text import TextTokenizer
from nuwa.training import checkpoint
from nuwa.training.examples import Examples
from nuwa.training.on_shards import on_shards, open_shards
from nuwa.training.prepare import TrainingData, prepare

from .stages import CPU, small_data

PICTURES, CLIPS = SpritesPictures("train", 30), SpritesClips("train", 20, 3)


def preset_of(*tasks: str) -> Preset:
    whole = PRESETS["smoke"]().only(*tasks)
    return dataclasses.replace(
        whole,
        frames=3,
        tokenizer=dataclasses.replace(whole.tokenizer, steps=3),
        transformer=dataclasses.replace(whole.transformer, steps=4, tasks=dict.fromkeys(tasks, 1.0)),
    )


def listed() -> TrainingData:
    data = small_data()
    assert data.clips is not None
    return dataclasses.replace(
        data,
        pictures=dataclasses.replace(data.pictures, samples=PICTURES),
        clips=dataclasses.replace(data.clips, samples=CLIPS),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    system = prepare(preset_of("t2i", "i2i", "t2v", "v2v"), listed(), folder, CPU, shards=folder / "shards")
    system.save_pretrained(folder / "checkpoint")
    return folder


def test_pictures_and_clips_have_a_set_each(folder: Path) -> None:
    config = checkpoint.read_config(folder / "transformer" / checkpoint.WEIGHTS)
    sets = {target: Shards(folder / "shards" / target) for target in ("picture", "clip")}
    assert {target: len(shards) for target, shards in sets.items()} == {"picture": 30, "clip": 20}
    assert sets["clip"].grid.t == 3
    for target, shards in sets.items():
        assert config[f"shards_{target}"] == shards.fingerprint
    assert load_text(folder / "checkpoint").to_dict() == sets["clip"].text.to_dict()


@pytest.mark.parametrize("name", [name for name in TASKS if not TASKS[name].sketch])
def test_examples_are_those_of_the_pixels(folder: Path, name: str) -> None:
    """The same tokens, words, holes and dropped captions as from pixels, for every task without sketches."""
    preset, task = preset_of("t2i", "t2v"), TASKS[name]
    system = Nuwa.from_pretrained(folder / "checkpoint")
    sources = listed().sources(preset)
    shards = open_shards(sources, folder / "shards", system.tokenizer, system.text)
    tokens = on_shards(sources, shards, 0)
    stream = tokens[task.target].shards
    assert stream is not None
    samples = CLIPS if task.target == "clip" else PICTURES

    class Pixels(Stream):
        def batch(self, step: int, size: int) -> tuple[torch.Tensor, list[str]]:
            rows = stream.tokens(step, size).rows.tolist()
            read = CLIPS.clip if task.target == "clip" else PICTURES.image
            return torch.stack([read(row) for row in rows]), [samples.captions[row] for row in rows]

    pixels = {task.target: dataclasses.replace(sources[task.target], stream=Pixels())}
    found = []
    for read in (tokens, pixels):
        examples = Examples(read, system.tokenizer, system.text, None, seed=4, device=CPU)
        found.append(examples.batch(examples.read(task, 3, 2, 16, dropout=0.3, wordless=0.5)))
    one, other = (vars(batch) for batch in found)
    assert one.keys() == other.keys()
    assert one.pop("grid") == other.pop("grid")
    for part, value in one.items():
        torch.testing.assert_close(value, other[part], rtol=0, atol=0, msg=part)


def test_shards_of_another_split_are_refused(folder: Path) -> None:
    """They may hold what is tested on."""
    data, system = listed(), Nuwa.from_pretrained(folder / "checkpoint")
    assert data.clips is not None
    other = dataclasses.replace(data.clips, samples=SpritesClips("val", 20, 3))
    sources = {"picture": data.pictures, "clip": other}
    with pytest.raises(ValueError, match=r"expected shards of sprites-clips val, .* got those of sprites-clips train"):
        open_shards(sources, folder / "shards", system.tokenizer, system.text)  # type: ignore[arg-type]


def test_sketches_need_pixels(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "tokenizer", tmp_path / "tokenizer")
    preset = preset_of("s2i", "s2v")
    with pytest.raises(ValueError, match="s2i: shards hold no sketches; leave out this task, or train without shards"):
        prepare(preset, listed(), tmp_path, CPU, shards=folder / "shards")


def test_a_start_brings_its_words(folder: Path, tmp_path: Path) -> None:
    """Fine-tuning reads shards with the text ids of the checkpoint, and refuses others."""
    preset = preset_of("t2i", "i2i", "t2v", "v2v")
    start = folder / "checkpoint"
    again = prepare(preset, listed(), tmp_path / "again", CPU, start=start, shards=tmp_path / "shards")
    assert again.text.to_dict() == load_text(start).to_dict()
    for target in ("picture", "clip"):
        home = tmp_path / "others" / target
        sources = {"picture": listed().sources(preset)[target]}  # type: ignore[index]
        open_shards(sources, home, again.tokenizer, TextTokenizer.from_captions(["a"]))  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"expected the text ids of .*checkpoint, got others; make the shards with --text"
    ):
        prepare(preset, listed(), tmp_path / "other", CPU, start=start, shards=tmp_path / "others")
    shutil.rmtree(tmp_path / "shards" / "clip")
    shutil.copytree(tmp_path / "others" / "clip", tmp_path / "shards" / "clip")
    with pytest.raises(ValueError, match="expected shards with the same text ids, got those of different vocabularies"):
        prepare(preset, listed(), tmp_path / "mixed", CPU, start=start, shards=tmp_path / "shards")
