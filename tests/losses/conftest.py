"""Comparison with the stored values of public libraries."""

import pytest
import torch


@pytest.fixture
def matches_libraries(golden):
    """Check value, gradient norm and first gradient entries of a loss of (x, pids)."""
    reference = golden.json("misc/losses")

    def check(case, loss, shape=(32, 32), name="input"):
        wanted = reference["losses"][case]
        x = golden.normal(shape, name).requires_grad_()
        value = loss(x, torch.tensor(reference["labels"]))
        value.backward()
        assert value.item() == pytest.approx(wanted["value"], abs=1e-5)
        assert x.grad.norm().item() == pytest.approx(wanted["grad_norm"], abs=1e-5)
        assert x.grad[0, :8].tolist() == pytest.approx(wanted["grad_row0_first8"], abs=1e-5)

    return check
