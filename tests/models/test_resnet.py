"""Stages of residual trunks."""

import pytest
import torch

from reidlab.models.resnet import BasicBlock, Bottleneck, make_stage, without_stride


@pytest.mark.parametrize(("block", "channels"), [(BasicBlock, 8), (Bottleneck, 16)])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_stage_without_its_stride_agrees_wherever_the_stage_looks(block, channels, depth):
    torch.manual_seed(0)
    stage = make_stage(block, channels, 8, depth, 2).eval()
    x = torch.randn(2, channels, 9, 6)
    with torch.no_grad():
        coarse, fine = stage(x), without_stride(stage)(x)
    assert fine.shape[2:] == x.shape[2:] and coarse.shape[2:] == (5, 3)
    torch.testing.assert_close(fine[..., ::2, ::2], coarse)
    assert stage[0].conv1.stride == (2, 2) or stage[0].conv2.stride == (2, 2)  # a copy was changed


def test_a_stage_that_does_not_stride_stays_as_it_is():
    torch.manual_seed(0)
    stage = make_stage(BasicBlock, 8, 8, 2, 1).eval()
    x = torch.randn(1, 8, 7, 5)
    with torch.no_grad():
        torch.testing.assert_close(without_stride(stage)(x), stage(x), rtol=0, atol=0)
