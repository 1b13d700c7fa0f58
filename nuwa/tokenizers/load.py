"""Trained tokenizers from wherever a run has left them."""

from __future__ import annotations

from pathlib import Path

from nuwa.system import CONFIG_FILE, TOKENIZER_FILE, read_config
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig
from nuwa.training import checkpoint

PLACES = (TOKENIZER_FILE, f"checkpoint/{TOKENIZER_FILE}", checkpoint.WEIGHTS)
"""Where a folder keeps its tokenizer: a checkpoint, a run of an eval session, the training of a tokenizer."""


def load_vqgan(path: str | Path) -> VQGAN:
    """The VQ-GAN of a weights file, of a checkpoint folder, of a run's folder or of a tokenizer's training, in eval mode.

    ValueError where there is none, or the file holds something else.
    """
    path = Path(path)
    found = [path / place for place in PLACES if (path / place).is_file()] if path.is_dir() else [path]
    if not found or not found[0].is_file():
        raise ValueError(
            f"tokenizer: expected a weights file, or a folder with {' or '.join(PLACES)}, got {path}; train one first, "
            "such as with nox -s eval-t2i"
        )
    beside = found[0].with_name(CONFIG_FILE)  # a checkpoint's networks share one file of sizes
    if found[0].name == TOKENIZER_FILE and beside.is_file():
        sizes = read_config(beside)["tokenizer"]
    else:
        config = checkpoint.read_config(found[0])
        sizes = config.get("model")
        if not isinstance(sizes, dict) or "widths" not in sizes:
            raise ValueError(
                f"{found[0]}: expected the weights of a VQ-GAN, got a config of {', '.join(sorted(config))}"
            )
    model = VQGAN(VQGANConfig.from_dict(sizes))
    checkpoint.load_weights(found[0], model)
    return model.eval()


def load_text(folder: str | Path) -> TextTokenizer:
    """The text tokenizer of a checkpoint folder, without its model. ValueError where there is none."""
    path = Path(folder) / CONFIG_FILE
    if not path.is_file():
        raise ValueError(f"text: expected a checkpoint folder with {CONFIG_FILE}, got {folder}")
    return TextTokenizer.from_dict(read_config(path)["text"])
