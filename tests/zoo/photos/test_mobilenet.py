"""MobileNetV2: its shapes, its names, and what dilation may not change."""

import re

import pytest
import torch

from legenda.errors import Unsupported
from legenda.zoo.photos.mobilenet import STAGES, MobileNetV2


@pytest.fixture(scope="module")
def networks() -> tuple[MobileNetV2, MobileNetV2]:
    torch.manual_seed(0)
    coarse, fine = MobileNetV2(32).eval(), MobileNetV2(16).eval()
    for name, value in coarse.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point():
            value.add_(0.05 * torch.randn_like(value))
    fine.load_state_dict(coarse.state_dict())
    return coarse, fine


@pytest.mark.parametrize(("stride", "side"), [(32, 7), (16, 14)])
def test_the_grid_at_224_pixels(stride: int, side: int) -> None:
    network = MobileNetV2(stride).eval()
    with torch.no_grad():
        assert network.features(torch.zeros(1, 3, 224, 224)).shape == (1, 1280, side, side)


def test_every_second_place_of_the_fine_grid_is_the_coarse_grid(networks) -> None:
    coarse, fine = networks
    pixels = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, dense = coarse.features(pixels), fine.features(pixels)
    assert dense.shape[-1] == 2 * expected.shape[-1]
    assert expected.abs().max() > 0
    torch.testing.assert_close(dense[:, :, ::2, ::2], expected)


def test_block_by_block_the_two_grids_agree(networks) -> None:
    """The slow twin: every block's map, subsampled to the coarse one's size."""
    coarse, fine = networks
    x = y = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for slow, quick in zip(coarse.features, fine.features, strict=True):
            x, y = slow(x), quick(y)
            step = y.shape[-1] // x.shape[-1]
            torch.testing.assert_close(y[:, :, ::step, ::step], x)


def test_names_and_number_of_parameters_are_those_of_the_published_checkpoint() -> None:
    state = MobileNetV2().state_dict()
    assert sum(v.numel() for n, v in state.items() if re.search("weight|bias", n)) == 3_504_872
    assert state["features.0.0.weight"].shape == (32, 3, 3, 3)
    assert state["features.1.conv.0.0.weight"].shape == (32, 1, 3, 3)
    assert state["features.2.conv.1.0.weight"].shape == (96, 1, 3, 3)
    assert state["features.17.conv.2.weight"].shape == (320, 960, 1, 1)
    assert state["features.18.0.weight"].shape == (1280, 320, 1, 1)
    assert state["classifier.1.weight"].shape == (1000, 1280)


def test_there_are_seventeen_blocks_between_stem_and_last_convolution() -> None:
    assert sum(count for _, _, count, _ in STAGES) == 17
    assert len(MobileNetV2().features) == 19


def test_another_stride_is_refused() -> None:
    with pytest.raises(Unsupported) as caught:
        MobileNetV2(8)
    assert str(caught.value) == (
        "MobileNetV2 needs an output stride of 16 or 32; 8 has none. Choose one of them."
    )
