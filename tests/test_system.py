"""The object that people use: captions to pictures, and a folder to keep it in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from taping import TapeRecorder

from nuwa import Nuwa, Sampling
from nuwa.model.config import ModelSizes
from nuwa.model.nuwa import NuwaModel
from nuwa.sampling import graphs
from nuwa.system import CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE, untrained
from nuwa.tokenizers.text import TextTokenizer, UnknownWordsWarning
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig
from nuwa.training import checkpoint

CAPTIONS = ["a red circle", "a tiny blue ring on the left", "an orange bar at the top and a box in the middle"]
SIZES = ModelSizes(d=16, num_heads=2, encoder_layers=1, decoder_layers=1)


@pytest.fixture
def nuwa() -> Nuwa:
    tokenizer, text = VQGAN(VQGANConfig(size_px=16, widths=(4, 4), num_codes=9)), TextTokenizer.from_captions(CAPTIONS)
    model = NuwaModel(SIZES.on(tokenizer.config.grid(), num_codes=9, vocab_size=text.vocab_size))
    return Nuwa(tokenizer, text, model, Sampling(guidance=1.5, top_k=5, temperature=2.0))


@pytest.mark.parametrize(
    ("captions", "shape"),
    [(CAPTIONS[0], (3, 16, 16)), (CAPTIONS[:1], (1, 3, 16, 16)), (CAPTIONS, (3, 3, 16, 16)), (tuple(CAPTIONS), (3, 3, 16, 16))],
)  # fmt: skip
def test_one_caption_gives_one_picture_and_a_list_a_batch(
    nuwa: Nuwa, captions: str | Sequence[str], shape: tuple[int, ...]
) -> None:
    pictures = nuwa.t2i(captions)
    assert (pictures.shape, pictures.dtype) == (shape, torch.uint8)


def test_pictures_are_the_drawn_tokens(nuwa: Nuwa) -> None:
    tokens = nuwa.draw(CAPTIONS, nuwa.sampling, range(3))
    assert (tokens.shape, tokens.dtype) == ((3, 1, 4, 4), torch.int64)
    assert torch.equal(nuwa.t2i(CAPTIONS), nuwa.tokenizer.decode(tokens)[:, 0])


def test_a_picture_belongs_to_its_caption_index_and_seed(nuwa: Nuwa) -> None:
    together = nuwa.t2i(CAPTIONS, sample_indices=[7, 3, 5])
    assert torch.equal(nuwa.t2i(CAPTIONS[2], sample_indices=[5]), together[2])
    assert torch.equal(nuwa.t2i(CAPTIONS[::-1], sample_indices=[5, 3, 7]), together.flip(0))
    assert torch.equal(nuwa.t2i(CAPTIONS[0]), nuwa.t2i(CAPTIONS)[0])  # numbered from 0


def test_captured_it_draws_the_same(nuwa: Nuwa, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="expected a decoder on a GPU, got one on cpu"):
        nuwa.capture()
    expected = [nuwa.t2i(caption) for caption in CAPTIONS]
    monkeypatch.setattr(graphs, "Recorder", TapeRecorder)
    captured = nuwa.capture()
    assert all(torch.equal(captured.t2i(caption), made) for caption, made in zip(CAPTIONS, expected, strict=True))
    monkeypatch.setattr(
        graphs.CapturedDecoder, "decode", None
    )  # what was captured on one device is not used on another
    assert torch.equal(captured.to("cpu").t2i(CAPTIONS[0]), expected[0])


def test_words_that_the_model_never_met_are_named(nuwa: Nuwa) -> None:
    with pytest.warns(
        UnknownWordsWarning, match=r"t2i: no training caption has the words 'zebra', 'grazes'; the model"
    ):
        nuwa.t2i(["a red circle", "a red zebra grazes", "a zebra"])


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_many_samples_of_one_caption_differ(nuwa: Nuwa, guidance: float) -> None:
    sampling = Sampling(guidance=guidance, temperature=3.0)
    tokens = nuwa.draw(CAPTIONS[:1] * 20, sampling, range(20))
    assert len(tokens.flatten(1).unique(dim=0)) == 20


def test_the_stored_sampling_is_the_default(nuwa: Nuwa) -> None:
    stored = nuwa.t2i(CAPTIONS)
    assert torch.equal(stored, nuwa.t2i(CAPTIONS, sampling=nuwa.sampling))
    other = nuwa.t2i(CAPTIONS, sampling=dataclasses.replace(nuwa.sampling, seed=1))
    assert not torch.equal(stored, other)


@pytest.mark.parametrize("captions", ["", " \n", ["a red circle", "&nbsp;"]])
def test_a_caption_without_words_is_refused(nuwa: Nuwa, captions: str | list[str]) -> None:
    with pytest.raises(ValueError, match=r"caption [01] .* has no words; leave it out"):
        nuwa.t2i(captions)


@pytest.mark.parametrize(
    ("captions", "indices", "message"),
    [
        ([], None, "t2i: expected as many of each and at least one, got 0 captions"),
        (CAPTIONS, [1, 2], "t2i: expected one sample index for each of 3 samples, got 2"),
    ],
)
def test_every_caption_has_one_index(nuwa: Nuwa, captions: list[str], indices: list[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nuwa.t2i(captions, sample_indices=indices)


def test_saved_and_read_again_it_draws_the_same(nuwa: Nuwa, tmp_path: Path) -> None:
    nuwa.save_pretrained(tmp_path / "new" / "folder")
    again = Nuwa.from_pretrained(tmp_path / "new" / "folder")
    sampling = Sampling(seed=4, temperature=2.0)
    assert torch.equal(again.draw(CAPTIONS, sampling, range(3)), nuwa.draw(CAPTIONS, sampling, range(3)))
    assert torch.equal(again.t2i(CAPTIONS), nuwa.t2i(CAPTIONS))
    assert again.sampling == nuwa.sampling
    assert again.model.config == nuwa.model.config
    assert again.tokenizer.config == nuwa.tokenizer.config
    written = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert written == [CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE]


def test_the_config_can_be_read_by_people(nuwa: Nuwa, tmp_path: Path) -> None:
    nuwa.preset = "tiny"
    nuwa.save_pretrained(tmp_path)
    config = json.loads((tmp_path / CONFIG_FILE).read_text(encoding="utf-8"))
    assert config == json.loads(json.dumps(nuwa.config))
    assert (config["preset"], config["tasks"]) == ("tiny", ["t2i"])
    assert Nuwa.from_pretrained(tmp_path).preset == "tiny"
    assert config["tokenizer"]["num_codes"] == 9
    assert config["sketch_tokenizer"] is None
    assert config["model"]["decoder_attention"] == {"name": "nearby3d", "extent": [3, 3, 3]}
    assert config["sampling"]["guidance"] == 1.5
    assert "red</w>" in config["text"]["pieces"]


@pytest.mark.parametrize(
    ("absent", "names"),
    [
        ([TOKENIZER_FILE], TOKENIZER_FILE),
        ([TOKENIZER_FILE, MODEL_FILE], f"{TOKENIZER_FILE} and {MODEL_FILE}"),
        ([CONFIG_FILE, MODEL_FILE], CONFIG_FILE),
    ],
)
def test_a_missing_file_is_named(nuwa: Nuwa, tmp_path: Path, absent: list[str], names: str) -> None:
    nuwa.save_pretrained(tmp_path)
    for name in absent:
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=rf"expected {names}, found none; is it a checkpoint folder\?"):
        Nuwa.from_pretrained(tmp_path)


def test_files_of_another_kind_are_named(nuwa: Nuwa, tmp_path: Path) -> None:
    nuwa.save_pretrained(tmp_path)
    checkpoint.save_weights(tmp_path / TOKENIZER_FILE, nuwa.tokenizer, {"model": {}, "steps": 3})
    with pytest.raises(
        ValueError, match=rf"{TOKENIZER_FILE}: expected the weights of VQGAN .*, got those of a training: model, steps$"
    ):
        Nuwa.from_pretrained(tmp_path)
    nuwa.save_pretrained(tmp_path)
    (tmp_path / TOKENIZER_FILE).replace(tmp_path / MODEL_FILE)
    other = tmp_path / "other"
    nuwa.save_pretrained(other)
    (other / TOKENIZER_FILE).replace(tmp_path / TOKENIZER_FILE)
    with pytest.raises(ValueError, match=rf"{MODEL_FILE}: expected the weights of NuwaModel .*, got those of VQGAN$"):
        Nuwa.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "nuwa-2"}, "expected the format 'nuwa-1', got 'nuwa-2'; was it written by save_pretrained"),
        ({"more": 1}, "expected a config of format, model, preset, .*, got format, model, more, preset, .*; was it"),
        ({"tasks": ["t2x"]}, "unknown task 't2x'; did you mean 't2"),
    ],
)
def test_a_config_of_another_kind_is_named(nuwa: Nuwa, tmp_path: Path, change: dict[str, object], message: str) -> None:
    nuwa.save_pretrained(tmp_path)
    path = tmp_path / CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        Nuwa.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [(b"{", "expected JSON, got"), (b"\xff", "expected JSON, got"), (b"[]", "got None; was it")]
)
def test_a_damaged_config_is_named(nuwa: Nuwa, tmp_path: Path, content: bytes, message: str) -> None:
    nuwa.save_pretrained(tmp_path)
    (tmp_path / CONFIG_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=f"{CONFIG_FILE}: .*{message}"):
        Nuwa.from_pretrained(tmp_path)


def test_a_checkpoint_that_was_not_written_to_its_end_is_none(
    nuwa: Nuwa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nuwa.save_pretrained(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="disk full"):
        nuwa.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"expected {CONFIG_FILE}, found none"):
        Nuwa.from_pretrained(tmp_path)


def test_a_damaged_file_is_named(nuwa: Nuwa, tmp_path: Path) -> None:
    nuwa.save_pretrained(tmp_path)
    (tmp_path / MODEL_FILE).write_bytes((tmp_path / MODEL_FILE).read_bytes()[:-10])
    with pytest.raises(ValueError, match=rf"{MODEL_FILE}: not a safetensors file"):
        Nuwa.from_pretrained(tmp_path)


@pytest.mark.parametrize(("num_codes", "words"), [(8, CAPTIONS), (9, ["a red circle"])])
def test_parts_of_different_checkpoints_do_not_fit(nuwa: Nuwa, num_codes: int, words: list[str]) -> None:
    text = TextTokenizer.from_captions(words)
    tokenizer = VQGAN(VQGANConfig(size_px=16, widths=(4, 4), num_codes=num_codes))
    message = (
        rf"expected tokenizers with 9 codes, no sketch codes and \d+ text ids, got {num_codes}, no and \d+; they belong"
    )
    with pytest.raises(ValueError, match=message):
        Nuwa(tokenizer, text, nuwa.model)


def test_untrained_differs_in_the_model_alone(nuwa: Nuwa) -> None:
    one, same, other = untrained(nuwa, seed=1), untrained(nuwa, seed=1), untrained(nuwa, seed=2)
    assert one.tokenizer is nuwa.tokenizer
    assert one.text is nuwa.text
    assert one.sampling == nuwa.sampling
    assert torch.equal(one.t2i(CAPTIONS), same.t2i(CAPTIONS))
    heads = [each.model.decoder.head.weight for each in (nuwa, one, other)]
    assert not torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[1], heads[2])


def test_everything_is_in_evaluation_mode(nuwa: Nuwa, tmp_path: Path) -> None:
    nuwa.save_pretrained(tmp_path)
    for each in (nuwa, Nuwa.from_pretrained(tmp_path), untrained(nuwa)):
        assert not any(module.training for part in (each.model, each.tokenizer) for module in part.modules())
        assert each.device == torch.device("cpu")
