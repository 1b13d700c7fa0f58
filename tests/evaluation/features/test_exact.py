import pytest
import torch

from evaluation.features.exact import exact


@pytest.fixture
def loose():
    products, before = torch.backends.cuda.matmul, torch.backends.cuda.matmul.fp32_precision
    products.fp32_precision = "tf32"
    yield products
    products.fp32_precision = before


def test_nothing_is_rounded_inside_and_all_is_as_before_outside(loose):
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with exact(x.device):
            assert loose.fp32_precision == "ieee"
            product = x @ x
            assert (product.dtype, product.requires_grad) == (torch.float32, False)
        assert (x @ x).dtype == torch.bfloat16
    assert loose.fp32_precision == "tf32"
    torch.testing.assert_close(product.double(), x.detach().double() @ x.detach().double(), rtol=0, atol=1e-4)


def test_an_error_inside_changes_nothing(loose):
    with pytest.raises(RuntimeError, match="inside"), exact(torch.device("cpu")):
        raise RuntimeError("inside")
    assert loose.fp32_precision == "tf32"
    assert torch.is_grad_enabled()
