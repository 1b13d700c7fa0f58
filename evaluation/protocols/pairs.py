"""SSIM, PSNR and LPIPS: a picture, or each frame of a clip, beside its real one."""

from __future__ import annotations

from evaluation.protocols.base import register
from evaluation.protocols.pair_kinds import LPIPSProtocol, PSNRProtocol, SSIMProtocol

SSIM = register(
    SSIMProtocol(
        family="torchmetrics-1",
        border="reflect",
        source="torchmetrics with data_range=1, which would else be guessed batch by batch",
    )
)
SSIM_CROPPED = register(
    SSIMProtocol(
        family="wang-1",
        border="crop",
        source="Wang et al. 2004; scikit-image with gaussian_weights=True, sigma=1.5, use_sample_covariance=False",
    )
)
PSNR = register(
    PSNRProtocol(
        family="frames-1",
        average="frames",
        ceiling_db=100.0,
        source="common_metrics_on_video_quality: each frame by itself, equal frames count 100 dB",
    )
)
PSNR_POOLED = register(
    PSNRProtocol(
        family="squared-error-1",
        average="squared-error",
        ceiling_db=None,
        source="torchmetrics with data_range=1: one squared error over the whole set",
    )
)
LPIPS_VGG = register(
    LPIPSProtocol(
        family="vgg-1",
        network="vgg16-imagenet",
        layer="five blocks before their pooling",
        weights_sha256="397923af",
        linear="lpips-vgg",
        linear_sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        min_px=16,
        source="lpips 0.1.4, net='vgg'",
    )
)
LPIPS_ALEX = register(
    LPIPSProtocol(
        family="alex-1",
        network="alexnet-imagenet",
        layer="five activations",
        weights_sha256="7be5be79",
        linear="lpips-alex",
        linear_sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        min_px=31,
        source="lpips 0.1.4, net='alex'",
    )
)
