"""Published weight files: never bundled, looked for in a folder the user names, verified always, fetched on request.

Nothing here is needed to import the project, to list its protocols or to pass its tests.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nuwa.files import atomic, sha256
from nuwa.registry import Registry


class MissingWeightsError(ValueError):
    """Weight files that are not in the user's folder; the message says which, and how to get each."""


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One published file. ``sha256`` is the whole digest, or its first eight digits where only those are published."""

    file: str
    size_bytes: int | None
    sha256: str
    licence: str
    source: str
    used_for: str

    def __post_init__(self) -> None:
        if len(self.sha256) not in (8, 64) or set(self.sha256) - set("0123456789abcdef"):
            raise ValueError(f"{self.file}: expected a sha256 of 64 hex digits or its first 8, got {self.sha256!r}")


WEIGHTS = Registry[WeightFile]("weight file")

WEIGHTS.add(
    "inception-fid",
    WeightFile(
        file="pt_inception-2015-12-05-6726825d.pth",
        size_bytes=95_628_359,
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        licence="Apache-2.0",
        source="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        used_for="FID and IS of TTUR, torch-fidelity, pytorch-fid, torchmetrics",
    ),
)
WEIGHTS.add(
    "inception-imagenet",
    WeightFile(
        file="inception_v3_google-1a9a5a14.pth",
        size_bytes=None,
        sha256="1a9a5a14",
        licence="BSD-3-Clause",
        source="https://download.pytorch.org/models/inception_v3_google-1a9a5a14.pth",
        used_for="FID of the COCO papers (DM-GAN, DF-GAN, CogView)",
    ),
)
for _name, _file, _digest, _use in (
    (
        "clip-vit-b-32",
        "ViT-B-32.pt",
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
        "CLIPSIM, RM, CLIPScore, CLIP-FID",
    ),
    (
        "clip-vit-b-16",
        "ViT-B-16.pt",
        "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
        "CLIPSIM",
    ),
    (
        "clip-vit-l-14",
        "ViT-L-14.pt",
        "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
        "CLIPSIM",
    ),
    (
        "clip-vit-l-14-336",
        "ViT-L-14-336px.pt",
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
        "CMMD",
    ),
):
    WEIGHTS.add(
        _name,
        WeightFile(
            file=_file,
            size_bytes=None,
            sha256=_digest,
            licence="MIT",
            source=f"https://openaipublic.azureedge.net/clip/models/{_digest}/{_file}",
            used_for=_use,
        ),
    )
WEIGHTS.add(
    "dinov2-vitl14",
    WeightFile(
        file="dinov2_vitl14_pretrain.pth",
        size_bytes=1_217_586_395,
        sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
        licence="Apache-2.0",
        source="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        used_for="FD-DINOv2, and precision, recall, density and coverage of dgm-eval",
    ),
)
WEIGHTS.add(
    "i3d-torchscript",
    WeightFile(
        file="i3d_torchscript.pt",
        size_bytes=51_235_320,
        sha256="bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
        licence="Apache-2.0 (the original I3D)",
        source="https://huggingface.co/flateon/FVD-I3D-torchscript/resolve/1c2d61711c52571ad617a1063e6fa691b212e184/"
        "i3d_torchscript.pt",
        used_for="FVD of google, StyleGAN-V",
    ),
)
WEIGHTS.add(
    "i3d-kinetics-400",
    WeightFile(
        file="i3d_pretrained_400.pt",
        size_bytes=50_939_526,
        sha256="55095f049e706479d48e221adcdb145b2b9dc930ba28b081ed72367ffaa32343",
        licence="Apache-2.0 (the original I3D)",
        source="https://github.com/songweige/TATS/raw/main/tats/fvd/i3d_pretrained_400.pt",
        used_for="FVD of VideoGPT, content-debiased-fvd; FID-vid and acc by I3D",
    ),
)
for _name, _file in {  # torchvision's own; their names end in the head of the sha256
    "r3d-18": "r3d_18-b3b3357e.pth",
    "mc3-18": "mc3_18-a90a0ba3.pth",
    "r2plus1d-18": "r2plus1d_18-91a641e6.pth",
    "s3d": "s3d-d76dad2f.pth",
    "mvit-v2-s": "mvit_v2_s-ae3be167.pth",
    "swin3d-t": "swin3d_t-7615ae03.pth",
    "vgg16-imagenet": "vgg16-397923af.pth",
    "alexnet-imagenet": "alexnet-owt-7be5be79.pth",
    "deeplabv3-resnet50": "deeplabv3_resnet50_coco-cd0a2569.pth",
}.items():
    WEIGHTS.add(
        _name,
        WeightFile(
            file=_file,
            size_bytes=None,
            sha256=_file.removesuffix(".pth").rpartition("-")[2],
            licence="BSD-3-Clause",
            source=f"https://download.pytorch.org/models/{_file}",
            used_for={"vgg16-imagenet": "LPIPS", "alexnet-imagenet": "LPIPS", "deeplabv3-resnet50": "Detected PA"}.get(
                _name, "FID-vid and acc"
            ),
        ),
    )
for _name, _file, _sha256, _size in (
    ("lpips-vgg", "vgg.pth", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868", 7_289),
    ("lpips-alex", "alex.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", 6_009),
):
    WEIGHTS.add(
        _name,
        WeightFile(
            file=_file,
            size_bytes=_size,
            sha256=_sha256,
            licence="BSD-2-Clause",
            source=f"https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/{_file}",
            used_for="LPIPS, the weights of its channels",
        ),
    )


def find(name: str, folder: str | Path | None) -> Path:
    """Path of a verified weight file in ``folder``. MissingWeightsError where it is not there.

    ValueError where the file is not the one published; it is left where it is.
    """
    return find_all([name], folder)[name]


def find_all(names: Iterable[str], folder: str | Path | None) -> dict[str, Path]:
    """Verified paths of several weight files; what is missing, or the folder where it is None, is said in one message."""
    known = {name: WEIGHTS[name] for name in names}
    if folder is None:
        lines = "\n".join(f"  {_describe(name, weights)}" for name, weights in known.items())
        raise MissingWeightsError(
            f"expected a folder with these files, got none; put them in one and name it:\n{lines}"
        )
    folder = Path(folder)
    missing = {name: weights for name, weights in known.items() if not (folder / weights.file).is_file()}
    if missing:
        lines = "\n".join(f"  {_describe(name, weights)}" for name, weights in missing.items())
        raise MissingWeightsError(f"expected these files in {folder}; put them there and run again:\n{lines}")
    for name, weights in known.items():
        _verify(folder / weights.file, name, weights)
    return {name: folder / weights.file for name, weights in known.items()}


def fetch(name: str, folder: str | Path) -> Path:
    """Download a weight file into ``folder`` unless it is there, verify it and return its path.

    The one function here that uses the network. ValueError, with nothing written, where the download fails or is not
    the file published.
    """
    weights, path = WEIGHTS[name], Path(folder) / WEIGHTS[name].file
    if not path.is_file():
        with atomic(path) as temporary:
            try:
                with urllib.request.urlopen(weights.source) as response, temporary.open("wb") as out:
                    while block := response.read(1 << 20):
                        out.write(block)
            except urllib.error.URLError as error:
                raise ValueError(f"cannot download {_describe(name, weights)}: {error.reason}") from error
            _verify(temporary, name, weights)
    return find(name, folder)


def _describe(name: str, weights: WeightFile) -> str:
    size = "" if weights.size_bytes is None else f", {weights.size_bytes:,} bytes"
    return (
        f"{weights.file} ({name}: {weights.used_for}{size}, sha256 {weights.sha256}, {weights.licence}) "
        f"from {weights.source}"
    )


def _verify(path: Path, name: str, weights: WeightFile) -> None:
    size = path.stat().st_size
    if weights.size_bytes is not None and size != weights.size_bytes:
        raise ValueError(f"{path}: expected {weights.size_bytes:,} bytes, got {size:,}; get {_describe(name, weights)}")
    if not (digest := sha256(path)).startswith(weights.sha256):
        raise ValueError(f"{path}: expected sha256 {weights.sha256}, got {digest}; get {_describe(name, weights)}")
