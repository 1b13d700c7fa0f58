import dataclasses
from itertools import permutations

import pytest

from evaluation.metrics import METRICS
from evaluation.protocols import PROTOCOLS, adm, clean, dmgan_coco, pytorch_fid, sg2ada, sprites, torchmetrics_aa, ttur
from evaluation.protocols.differences import _phrase, differences, differing, explain
from evaluation.protocols.kinds import FIDProtocol
from evaluation.records import MetricValue

FIDS = [name for name in PROTOCOLS if name.startswith("fid@")]


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        (ttur.FID, adm.FID, set()),
        (ttur.FID, clean.FID, {"resize"}),
        (ttur.FID, sg2ada.FID, {"ddof"}),
        (ttur.FID, pytorch_fid.FID, {"resize", "normalise"}),
        (ttur.FID, torchmetrics_aa.FID, {"resize", "quantise"}),
        (clean.FID, sg2ada.FID, {"resize", "ddof"}),
    ],
    ids=lambda value: getattr(value, "family", None),
)
def test_what_differs_is_named(first, second, names):
    assert set(differing(first, second)) == names
    assert set(differing(second, first)) == names


@pytest.mark.parametrize(("first", "second"), list(permutations(FIDS, 2)))
def test_every_pair_has_a_sentence_of_both(first, second):
    first, second = PROTOCOLS[first], PROTOCOLS[second]
    said = explain(first, second)
    assert first.family in said
    assert second.family in said
    assert said.endswith(".")
    assert ("same constants" in said) == (not differing(first, second))
    assert "_" not in said  # no constant by the name it has in the code


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(FIDProtocol)])
def test_no_constant_is_forgotten(field):
    """Each either makes a difference, or is one of those that cannot, or counts only for blurred pictures."""
    silent = {"metric", "family", "replicates", "interval_seed", "resampled", "source"}
    blurs = {"radii", "blur_target", "blur_kernel", "blur_picture_px", "blur_before_resize"}
    other = dataclasses.replace(ttur.FID, family="other-1")
    object.__setattr__(other, field, "other-1" if field == "family" else ("something else",))
    found = set(differing(ttur.FID, other))
    assert found == (set() if field in silent | blurs else {field})
    blurred = set(differing(ttur.FID, other, blurred=True))
    assert blurred == (set() if field in silent else {field})


def test_another_network_says_enough():
    said = explain(ttur.FID, dmgan_coco.FID)
    assert "ttur-1 asks TensorFlow's Inception of 2015, dmgan-coco-1 asks torchvision's Inception of ImageNet" in said
    assert "weights" not in said
    assert "dmgan-coco-1 leaves out what does not fill a batch of 64" in said


def test_a_constant_without_words_of_its_own_is_said_all_the_same():
    other = dataclasses.replace(sprites.CAPTION_ACCURACY, family="other-1", places=4)
    assert explain(sprites.CAPTION_ACCURACY, other) == "sprites-1 has places 9, other-1 has places 4."
    assert _phrase("weather", "fine") == "has weather 'fine'"


@pytest.mark.parametrize("metric", METRICS)
def test_protocols_of_every_metric_can_be_set_side_by_side(metric):
    found = [PROTOCOLS[name] for name in PROTOCOLS if name.startswith(f"{metric}@")]
    for first, second in permutations(found, 2):
        assert explain(first, second).endswith(".")


def test_differences_of_numbers():
    values = [
        MetricValue(name="FID-0", protocol=f"fid@{name}", value=value, ci95=(0, 99), n=9, higher_is_better=False)
        for name, value in (("ttur-1", 24.24), ("clean-1", 23.0), ("sg2ada-1", 24.0))
    ]
    assert [said.split(". ")[0] for said in differences(values)] == [
        "fid@ttur-1 → fid@clean-1: -1.24",
        "fid@ttur-1 → fid@sg2ada-1: -0.24",
        "fid@clean-1 → fid@sg2ada-1: +1",
    ]
