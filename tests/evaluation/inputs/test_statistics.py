import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.inputs import is_statistics, open_statistics
from nuwa.files import sha256

X = np.random.default_rng(0).normal(size=(50, 4)) + 3
MEAN, COVARIANCE = X.mean(0), np.cov(X, rowvar=False)


def feature_stats(**changes) -> dict[str, object]:
    """What StyleGAN2-ADA's FeatureStats.save writes."""
    return {
        "capture_all": False,
        "capture_mean_cov": True,
        "max_items": 50,
        "num_items": 50,
        "num_features": 4,
        "all_features": None,
        "raw_mean": X.sum(0),
        "raw_cov": X.T @ X,
    } | changes


def dumped(path: Path, content: object, protocol: int = pickle.DEFAULT_PROTOCOL) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def test_pytorch_fid_and_clean_fid(tmp_path):
    np.savez(tmp_path / "a.npz", mu=MEAN, sigma=COVARIANCE)
    found = open_statistics(tmp_path / "a.npz")
    torch.testing.assert_close(found.mean, torch.from_numpy(MEAN))
    torch.testing.assert_close(found.covariance, torch.from_numpy(COVARIANCE))
    assert (found.name, found.number, found.fingerprint) == ("a.npz", None, sha256(tmp_path / "a.npz"))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("ddof", [0, 1])
def test_stylegan2_ada(tmp_path, protocol, ddof):
    found = open_statistics(dumped(tmp_path / "a.pkl", feature_stats(), protocol), ddof)
    torch.testing.assert_close(found.mean, torch.from_numpy(MEAN))
    torch.testing.assert_close(found.covariance, torch.from_numpy(np.cov(X, rowvar=False, ddof=ddof)))
    assert found.number == 50


class Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("place", ["alone", "inside", "in an array"])
def test_a_pickle_runs_nothing(tmp_path, monkeypatch, protocol, place):
    monkeypatch.chdir(tmp_path)
    content = {
        "alone": Evil(),
        "inside": feature_stats(all_features=Evil()),
        "in an array": feature_stats(raw_mean=np.array([Evil()], dtype=object)),
    }[place]
    with pytest.raises(ValueError, match=r"asks for (posix|nt)\.system, and a pickle can run any program"):
        open_statistics(dumped(tmp_path / "a.pkl", content, protocol))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([1, 2], "no num_items, raw_mean and raw_cov"),
        (feature_stats(raw_mean=None), "saved without capture_mean_cov"),
        (
            feature_stats(raw_cov=np.zeros(4)),
            r"expected mu \(d,\) and sigma \(d, d\), got \(4,\) and \(4, 4\)|operands",
        ),
        (feature_stats(raw_mean=np.array([None] * 4)), "no arrays of floats"),
        (feature_stats(num_items=1), "it has 1 pictures"),
        (feature_stats(raw_mean=X.sum(0) * np.nan), "expected finite statistics"),
    ],
)
def test_other_pickles_are_refused(tmp_path, content, sentence):
    if isinstance(content, dict) and isinstance(content["raw_cov"], np.ndarray) and content["raw_cov"].ndim == 1:
        content["raw_cov"] = np.zeros((3, 3))
    with pytest.raises(ValueError, match=sentence):
        open_statistics(dumped(tmp_path / "a.pkl", content))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"mu": MEAN}, "it has no 'sigma' among mu"),
        ({"mu": MEAN, "sigma": MEAN}, r"expected mu \(d,\) and sigma \(d, d\)"),
        ({"mu": MEAN, "sigma": COVARIANCE * np.nan}, "expected finite statistics"),
        ({"mu": np.array([{}]), "sigma": COVARIANCE}, "allow_pickle=False"),
    ],
)
def test_other_npz_are_refused(tmp_path, arrays, sentence):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=sentence):
        open_statistics(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"no pickle"])
def test_broken_files_are_refused(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.pkl: no statistics"):
        open_statistics(tmp_path / "a.pkl")


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ValueError, match="found none; check the path"):
        open_statistics(tmp_path / "a.npz")


def test_statistics_and_pictures_are_told_apart(tmp_path):
    np.savez(tmp_path / "a.npz", mu=MEAN, sigma=COVARIANCE)
    np.savez(tmp_path / "adm.npz", arr_0=np.zeros((2, 4, 4, 3), np.uint8), mu=MEAN, sigma=COVARIANCE)
    dumped(tmp_path / "a.pkl", feature_stats())
    found = [is_statistics(tmp_path / name) for name in ("a.npz", "a.pkl", "adm.npz", "none.npz", "a.png")]
    assert found == [True, True, False, False, False]
