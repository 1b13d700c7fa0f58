"""Sessions on datasets of files: every reader can be scored on, what cannot be scored is named, and the real files run."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_datasets import BUILD

from evaluation.__main__ import main
from evaluation.features.segmenter import VOC_CLASSES
from evaluation.metrics.action_accuracy import KINETICS_400
from evaluation.protocols import ActionAccuracyProtocol
from evaluation.records import Record, read_record
from evaluation.sessions import sketches
from evaluation.sessions.files import of_files
from evaluation.sessions.samples import Samples
from evaluation.sessions.splits import SPLITS, SplitsOptions
from nuwa import Nuwa
from nuwa.data.readers import READERS
from nuwa.errors import run_cli

PICTURES = ("coco", "conceptual-captions", "folder", "webdataset")
CLIPS = tuple(name for name in READERS if name not in PICTURES)
WITHOUT_WORDS = ("bair", "vspw")
OTHER_NAMES = {"aeroplane": "airplane", "diningtable": "dining table", "motorbike": "motorcycle"}
OTHER_NAMES |= {"pottedplant": "potted plant", "sofa": "couch", "tvmonitor": "tv"}
COCO = tuple(OTHER_NAMES.get(name, name) for name in VOC_CLASSES)  # those of VOC, as MS-COCO calls them

# A few samples are fewer than the features are wide, some of their words are never trained on, and grey clips use few codes.
pytestmark = [
    pytest.mark.filterwarnings("ignore::nuwa.training.codebook.CodebookCollapse"),
    pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning"),
    pytest.mark.filterwarnings("ignore::nuwa.system.UnknownWordsWarning"),
]


def asked(root: Path | None, name: str, *, frames: int = 3, sketches: bool = False) -> SplitsOptions:
    number = None if name in PICTURES else frames
    return SplitsOptions(
        root=root, num=None, size_px=16, frames=number, train_frames=number or 1, seed=0, fps=10, sketches=sketches
    )


def run(task: str, name: str, root: Path, out: Path, *more: str) -> Record:
    options = ["--data", name, "--root", str(root), "--out", str(out), "--device", "cpu", "--no-table", *more]
    assert run_cli(main, [task, *options]) == 0
    return read_record(out / "record.json")


def skipped(record: Record) -> dict[str, str]:
    return {each.id: each.reason for each in record.skipped}


def metrics(record: Record, row: int = 0) -> set[str]:
    return {metric.name for metric in record.rows[row].metrics}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_can_be_scored_on(name: str, tmp_path: Path) -> None:
    BUILD[name](tmp_path)
    data = SPLITS[name](asked(tmp_path, name))
    (split,) = data.splits
    shape = (3, 16, 16) if name in PICTURES else (3, 3, 16, 16)
    assert (split.test.pixels.shape, split.real.pixels.shape) == ((2, *shape), (1, *shape))
    assert not {*split.test.ids} & {*split.real.ids}
    assert data.wordless == (name in WITHOUT_WORDS)
    training = data.training()
    source = training.pictures if name in PICTURES else training.clips
    assert source is not None
    pixels, captions = source.stream.batch(0, 4)
    assert pixels.shape == (4, *shape)
    assert {*captions} <= {*training.vocabulary}
    assert torch.equal(pixels, split.real.pixels.expand(4, *shape))  # one sample is trained on, and it is the floor
    assert training.pictures.stream.batch(0, 4)[0].shape == (4, 3, 16, 16)


@pytest.mark.parametrize(
    ("name", "classes", "numbers"),
    [
        ("coco", 2, {0, 1}),  # the background and the one category of the fixture
        ("vspw", 125, {0, 1, 2, 4}),  # the publisher's numbers; 0 where the map says nothing
        ("folder", 256, {4}),  # of maps that hold 3
    ],
)
def test_sketches_have_the_numbers_of_their_classes(name: str, classes: int, numbers: set[int], tmp_path: Path) -> None:
    BUILD[name](tmp_path)
    data = SPLITS[name](asked(tmp_path, name, sketches=True))
    (split,) = data.splits
    test, real = split.test.truth["maps"], split.real.truth["maps"]
    assert (test.dtype, len(data.classes or ())) == (torch.uint8, classes)
    assert {*test.unique().tolist(), *real.unique().tolist()} == numbers
    training = data.training()
    source = training.pictures if name in PICTURES else training.clips
    assert source is not None
    stream, held_out = source.sketches()
    assert torch.equal(stream.maps(0, 2), torch.cat([real, real]))
    assert torch.equal(held_out, test)


def test_samples_without_a_map_are_left_out_of_sketches(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        BUILD["folder"](tmp_path / name)
    lacking = SPLITS["folder"](asked(tmp_path, "folder")).splits[0].test.ids[0]
    (tmp_path / f"{lacking}.mask.png").unlink()
    data = SPLITS["folder"](asked(tmp_path, "folder", sketches=True))
    assert len(data.splits[0].test) == 2
    assert f"1 samples have no map: {lacking}" in [note.reason for note in data.notes]


def test_a_broken_sample_of_the_test_is_named(tmp_path: Path) -> None:
    for number in range(45):
        shutil.copytree(BUILD["folder"](tmp_path / "one").parent, tmp_path / "all" / f"{number}", dirs_exist_ok=True)
    data = of_files("folder", asked(tmp_path / "all", "folder"))
    broken = data.splits[0].test.ids[3]
    next((tmp_path / "all").glob(f"{broken}.jpg")).write_bytes(b"\xff\xd8 torn")
    again = of_files("folder", asked(tmp_path / "all", "folder"))
    assert [note.id for note in again.notes][2:] == [broken]
    assert again.splits[0].test.ids == [name for name in data.splits[0].test.ids if name != broken]


@pytest.fixture(scope="module")
def kinetics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of val, three others to train on."""
    root = tmp_path_factory.mktemp("kinetics")
    BUILD["kinetics"](root)
    shutil.copytree(root / "val", root / "train")
    (root / "train.csv").write_text((root / "val.csv").read_text())
    return root


@pytest.fixture(scope="module")
def trained(kinetics: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of eval-t2v on them."""
    out = tmp_path_factory.mktemp("t2v")
    run("t2v", "kinetics", kinetics, out, "--preset", "smoke", "--fps", "10")
    return out


def test_text_to_video_is_trained_and_scored(trained: Path) -> None:
    record = read_record(trained / "record.json")
    assert (record.dataset.name, record.dataset.split) == ("kinetics", "val")
    assert [row.name for row in record.rows] == ["NÜWA smoke:t2v", "real clips", "reconstruction", "untrained"]
    assert metrics(record) == {"FID-img", "FID-vid"}
    said = skipped(record)
    assert "--weights names no folder with r3d_18-b3b3357e.pth" in said["acc"]
    assert "knows no word of 3 of 3 captions, such as 'arm wrestling'" in said["CLIPSIM"]
    assert "have seen sprites alone" in said["judges"]
    assert "split val" not in said
    assert Nuwa.from_pretrained(trained / "checkpoint").tasks == ("t2v",)


def test_a_checkpoint_is_scored_on_other_clips_with_the_words_that_its_judge_knows(
    trained: Path, tmp_path: Path
) -> None:
    BUILD["msr-vtt"](tmp_path / "data")
    more = ["--checkpoint", str(trained / "checkpoint"), "--fps", "10"]
    record = run("t2v", "msr-vtt", tmp_path / "data", tmp_path / "out", *more)
    assert metrics(record) == {"FID-img", "FID-vid", "CLIPSIM"}  # "a man is cooking" has an "a"
    assert skipped(record)["split test"].endswith("2 of 3 samples are tested on, 1 trained on")
    assert "train" not in record.timings_s


def test_classes_of_kinetics_are_counted_where_weights_hold_a_network(
    trained: Path, kinetics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that sees abseiling everywhere is right for two of the three clips, whoever made them."""
    asked_for = []

    def load(protocol: ActionAccuracyProtocol, folder: Path, _device: torch.device) -> object:
        asked_for.append((protocol.id, folder))
        answer = torch.eye(400)[KINETICS_400.index("abseiling")]
        return lambda clips: SimpleNamespace(class_logits=answer.expand(len(clips), -1))

    monkeypatch.setattr("evaluation.features.load_video_judge", load)
    (tmp_path / "r3d_18-b3b3357e.pth").write_bytes(b"")
    more = ["--checkpoint", str(trained / "checkpoint"), "--fps", "10", "--weights", str(tmp_path)]
    record = run("t2v", "kinetics", kinetics, tmp_path / "out", *more)
    assert asked_for == [("acc@r3d-18-1", tmp_path)]
    for row in record.rows[:2]:
        (acc,) = [metric for metric in row.metrics if metric.name == "acc"]
        assert (acc.value, acc.n, acc.protocol) == (pytest.approx(2 / 3), 3, "acc@r3d-18-1")
    assert "acc" not in skipped(record)


def test_sketches_of_coco_are_compared_in_the_classes_of_a_published_segmenter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segmenter that sees buses everywhere is right where COCO has a bus, and wrong where it has a truck."""
    loaded = lambda *_: lambda frames: torch.full((len(frames), 4, 4), VOC_CLASSES.index("bus"))  # noqa: E731
    monkeypatch.setattr("evaluation.features.load_segmenter", loaded)
    (tmp_path / "deeplabv3_resnet50_coco-cd0a2569.pth").write_bytes(b"")
    options = SimpleNamespace(weights=tmp_path)
    classes = ("background", "truck", "bus", *(name for name in COCO if name not in ("background", "truck", "bus")))
    maps = torch.full((2, 4, 4), classes.index("truck"), dtype=torch.uint8)
    maps[:, :1] = classes.index("bus")
    pixels = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    samples = Samples(pixels=pixels, ids=["a", "b"], captions=["", ""], truth={"maps": maps})
    state: Any = SimpleNamespace(options=options, device=torch.device("cpu"))
    data: Any = SimpleNamespace(class_set="coco-things-1", classes=classes)
    measure = sketches.detected(state, data)[0]
    metric = measure.metric()
    measure.feed(metric, samples)
    (estimate,) = metric.estimates()
    assert (estimate.protocol, estimate.value) == ("detected-pa@deeplabv3-resnet50-voc-1", 0.25)


def test_clips_without_words_are_predicted(checkpoint: Path, tmp_path: Path) -> None:
    BUILD["bair"](tmp_path / "data")
    record = run("v2v", "bair", tmp_path / "data", tmp_path / "out", "--checkpoint", str(checkpoint))
    assert {"FVD", "SSIM", "PSNR", "SSIM, frame 4"} <= metrics(record)
    assert "repeat the last given frame" in {row.name for row in record.rows}


def test_sketches_of_clips_are_trained_on(tmp_path: Path) -> None:
    (root := tmp_path / "VSPW").mkdir()
    BUILD["vspw"](root)
    for folder in (root / "data").glob("*/*"):
        last = max(folder.iterdir())
        for number in range(5, 8):
            shutil.copy(last, folder / f"{number:08d}{last.suffix}")
    record = run("s2v", "vspw", root, tmp_path / "out", "--preset", "smoke", "--fps", "15")
    assert [row.name for row in record.rows] == [
        "NÜWA smoke:s2v, sketch alone", "real clips", "reconstruction", "untrained"
    ]  # fmt: skip
    assert metrics(record) == {"FID-vid"}
    said = skipped(record)
    assert said["rows with caption"] == said["CLIPSIM"] == "vspw has no captions"
    assert said["Detected PA, FWIoU and mIoU"] == "no segmenter of this suite knows the classes of vspw"
    assert "no protocol of this suite names the classes of vspw" in said["PA and FWIoU of the reconstruction"]
    tokenizer = Nuwa.from_pretrained(tmp_path / "out" / "checkpoint").sketch_tokenizer
    assert tokenizer is not None
    assert tokenizer.config.num_classes == 125


@pytest.mark.parametrize(
    ("task", "name", "more", "said"),
    [
        ("t2v", "bair", [], "bair: expected captions for t2v, found none"),
        ("s2v", "kinetics", [], "kinetics val, first half: expected segmentation maps, found none"),
        ("t2v", "coco", [], "coco val, first half: expected clips in"),
        ("s2i", "vspw", [], "vspw val, first half: expected pictures in"),
        ("t2v", "kinetics", ["--fps", "1"], "too short for 5 frames at 1 fps"),
        ("t2v", "kinetics", ["--fps", "0"], "fps > 0"),
    ],
)
def test_what_a_dataset_lacks_ends_in_one_sentence(
    task: str, name: str, more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    BUILD[name](tmp_path / "data")
    options = [
        "--data",
        name,
        "--root",
        str(tmp_path / "data"),
        "--out",
        str(tmp_path / "out"),
        "--preset",
        "smoke",
    ]
    assert run_cli(main, [task, *options, "--device", "cpu", *more]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "record.json").exists()


def test_a_root_is_needed() -> None:
    with pytest.raises(ValueError, match="kinetics: expected --root with the dataset's files, got none"):
        SPLITS["kinetics"](asked(None, "kinetics"))


def test_a_checkpoint_of_other_sketches_is_refused(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    BUILD["coco"](tmp_path)
    options = ["--data", "coco", "--root", str(tmp_path), "--checkpoint", str(checkpoint), "--device", "cpu"]
    assert run_cli(main, ["s2i", *options, "--out", str(tmp_path / "out")]) == 2
    assert "expected a model of sketches with the 2 classes of the data, got one with 7" in capsys.readouterr().err


@pytest.mark.real_files
class TestTheRealFiles:
    def test_text_to_image(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        root = Path(request.config.getoption("--data")) / "coco-mini"
        record = run("t2i", "coco", root, tmp_path, "--preset", "smoke", "--candidates", "1")
        assert {"FID-0", "IS", "CLIPSIM"} <= metrics(record)
        assert {metric.n for metric in record.rows[0].metrics} == {25}
        assert "caption accuracy" in skipped(record)

    def test_text_to_video(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        root = Path(request.config.getoption("--data")) / "kinetics-mini"
        record = run("t2v", "kinetics", root, tmp_path, "--preset", "smoke")
        assert metrics(record) == {"FID-img", "FID-vid"}
        assert record.dataset.split == "val, first half"
        assert skipped(record)["split val"].startswith("train is the same files as val; so val is divided")
        assert {"acc", "CLIPSIM", "judges"} <= {*skipped(record)}

    def test_sketch_to_image(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        root = Path(request.config.getoption("--data")) / "coco-mini"
        record = run("s2i", "coco", root, tmp_path, "--preset", "smoke")
        ways = [f"NÜWA smoke:s2i, {way}" for way in ("with caption", "sketch alone")]
        assert [row.name for row in record.rows] == [*ways, "real pictures", "reconstruction", "untrained"]
        assert metrics(record) == {"FID-0", "CLIPSIM"}
        protocols = {metric.protocol for metric in record.rows[3].metrics}
        assert {"pa@coco-things-1", "fwiou@coco-things-1"} <= protocols
        assert "deeplabv3_resnet50_coco-cd0a2569.pth" in skipped(record)["Detected PA, FWIoU and mIoU"]
