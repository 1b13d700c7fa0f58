"""What a tokenizer is, in one number: equal for the same weights, wherever they are kept."""

from __future__ import annotations

import hashlib

from torch import nn


def weights_sha256(module: nn.Module) -> str:
    """sha256 over names, dtypes, shapes and values of a module's state, sorted by name.

    A training's ``weights.safetensors`` and a checkpoint's ``tokenizer.safetensors`` hold the same weights under other
    headers, so the digest of the file would tell them apart; this one does not, on any device.
    """
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        array = value.detach().cpu().contiguous().numpy()
        digest.update(f"{name}\0{array.dtype.str}\0{list(array.shape)}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
