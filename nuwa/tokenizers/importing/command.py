"""The command ``import``: weights that others have trained, written as a folder that this suite reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from nuwa import files
from nuwa.tokenizers.importing import LAYOUTS, convert, read_weights
from nuwa.training import checkpoint


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Bring a VQ-GAN of taming-transformers, LlamaGen or diffusers into a folder that the suite reads as its own."""

    source: Annotated[str, tyro.conf.arg(name="from")]  # taming, llamagen or diffusers
    weights: Path  # file of weights, such as last.ckpt, vq_ds16_c2i.pt or diffusion_pytorch_model.safetensors
    config: str | None = None  # its sizes: model.yaml of taming, config.json of diffusers; VQ-16 or VQ-8 of LlamaGen
    size_px: int | None = None  # side of the pictures that it will read; what it was trained on where not given
    out: Path  # folder to write


def run(options: ImportOptions) -> None:
    """Read, check every name and shape, write. ValueError for what does not fit; then nothing is written."""
    layout = LAYOUTS[options.source]
    sizes = layout.sizes(_config(options))
    if options.size_px is not None:
        sizes = replace(sizes, size_px=options.size_px)
    model = convert(layout, read_weights(options.weights), sizes)
    made = options.out / checkpoint.WEIGHTS
    imported = {"from": options.source, "file": options.weights.name, "sha256": files.sha256(options.weights)}
    checkpoint.save_weights(made, model, {"model": asdict(sizes), "imported": imported})
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    print(
        f"{made}: {layout.title}, {millions:.1f}M parameters, {sizes.size_px} px to {sizes.grid()} tokens of "
        f"{sizes.num_codes:,} codes of width {sizes.code_width}"
    )


def _config(options: ImportOptions) -> Mapping[str, Any] | None:
    """What the config file says, or the name that stands in its place; None where nothing is given."""
    if options.config is None:
        return None
    path = Path(options.config)
    if not path.is_file():
        if options.source == "llamagen":
            return {"name": options.config}
        raise ValueError(f"config: expected a file, got {path}")
    found = _yaml(path) if path.suffix in (".yaml", ".yml") else _json(path)
    if not isinstance(found, Mapping):
        raise ValueError(f"{path}: expected names and values, got {type(found).__name__}")
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got something else ({error})") from error


def _yaml(path: Path) -> Any:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ValueError(f"{path}: reading YAML needs PyYAML; python -m pip install 'nuwa[import]'") from error
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: expected YAML, got something else ({error})") from error
