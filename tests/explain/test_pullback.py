"""The pullback metric: against the whole Jacobian, from any start, and shared by rows."""

import pytest
import torch
from diffusers import UNet2DModel

from legenda.core.model import Model
from legenda.errors import BadInput, Refused
from legenda.explain.pullback import (
    Pullback,
    Tangent,
    orthonormal,
    random_basis,
    signed,
    smooth_basis,
)
from legenda.models.diffusion_hub import diffusion_of
from legenda.models.noising import noising_of
from tests.explain.denoisers import Bent, some

FINE = {"tolerance": 2e-5, "most": 400}


def jacobians(model, x):
    """The literal twin: J of every row, written down."""
    whole = torch.autograd.functional.jacobian(lambda one: model.acts(one), x)
    rows = [whole[i, :, :, i].flatten(0, 1).flatten(1) for i in range(len(x))]
    return torch.stack(rows)


def sine(found, true):
    """The largest angle between directions and their twins, one by one."""
    cosine = (found.flatten(-3).double() * true.double()).sum(-1).abs().clamp(max=1)
    return float((1 - cosine**2).sqrt().max())


@pytest.mark.parametrize("spare", [0, 5])
def test_it_finds_the_singular_vectors_of_the_whole_jacobian(spare):
    model, x = Bent(), some(3)
    basis = Pullback(4, spare, shared=False, **FINE)(model, x)
    _, s, v = torch.linalg.svd(jacobians(model, x).double())
    assert basis.converged
    assert sine(basis.directions, v[:, :4]) < 1e-3
    torch.testing.assert_close(basis.strengths, s[:, :4].float(), rtol=1e-4, atol=1e-5, check_dtype=False)  # fmt: skip # noqa: E501


def test_a_shared_basis_is_that_of_all_jacobians_stacked():
    model, x = Bent(seed=1), some(5, seed=2)
    basis = Pullback(3, **FINE)(model, x)
    stacked = jacobians(model, x).double().flatten(0, 1) / len(x) ** 0.5
    _, s, v = torch.linalg.svd(stacked)
    assert basis.directions.shape == (1, 3, 3, 2, 2)
    assert sine(basis.directions[0], v[:3]) < 1e-3
    torch.testing.assert_close(basis.strengths[0].double(), s[:3], rtol=1e-4, atol=1e-5)


def test_a_planted_basis_is_found():
    model = Bent(bend=False)
    basis = Pullback(5, **FINE)(model, some(2))
    assert sine(basis.directions[0], model.right.T[:5]) < 1e-3
    torch.testing.assert_close(basis.strengths[0].float(), model.strengths[:5], rtol=1e-4, atol=1e-5)  # fmt: skip # noqa: E501


def test_directions_are_orthonormal_and_signed():
    basis = Pullback(4, shared=False)(Bent(), some(3))
    flat = basis.directions.flatten(2)
    torch.testing.assert_close(flat @ flat.mT, torch.eye(4).expand(3, 4, 4), rtol=0, atol=1e-5)
    top = flat.gather(2, flat.abs().argmax(2, keepdim=True))
    assert (top > 0).all()
    assert (basis.strengths.diff(dim=1) <= 0).all()


def test_the_start_changes_nothing():
    one, other = (Pullback(4, seed=seed, **FINE)(Bent(), some(2)) for seed in (0, 1))
    torch.testing.assert_close(one.directions, other.directions, rtol=0, atol=1e-3)
    assert not torch.equal(orthonormal(1, 12, 4, 0), orthonormal(1, 12, 4, 1))


def test_more_rounds_and_spare_columns_come_closer():
    model, x = Bent(), some(2)
    few, many = (Pullback(3, 0, 1e-12, most)(model, x) for most in (2, 8))
    assert (few.rounds, many.rounds) == (2, 8) and not few.converged
    assert many.residuals.max() < few.residuals.max() / 3
    assert Pullback(3, 6)(model, x).rounds < Pullback(3, 0)(model, x).rounds


def test_rows_know_nothing_of_each_other():
    model, x = Bent(), some(3)
    whole = Pullback(3, shared=False, **FINE)(model, x)
    alone = Pullback(3, shared=False, **FINE)(model, x[1:2])
    torch.testing.assert_close(whole.directions[1], alone.directions[0], rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=4, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
        attention_head_dim=4, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    return diffusion_of(unet, noising_of({}, "small"), ref="small", steps=5)


def test_it_goes_through_a_u_net_with_attention(small):
    assert isinstance(small, Model)
    x = small.noise(2)
    basis = Pullback(3, 3, 1e-5, 200, shared=False)(small, x)
    _, s, v = torch.linalg.svd(jacobians(small, x).double())
    torch.testing.assert_close(basis.strengths.double(), s[:, :3], rtol=1e-3, atol=1e-5)
    assert sine(basis.directions[:, 0], v[:, 0]) < 1e-2
    assert all(p.grad is None for p in small.root.parameters())
    assert not any(m._forward_hooks for m in small.root.modules())


def test_both_sides_of_the_jacobian_agree(small):
    x = small.noise(2)
    tangent, j = Tangent(small, x), jacobians(small, x)
    v, u = torch.randn_like(x), torch.randn_like(tangent.acts)
    pushed = torch.einsum("bhe,be->bh", j, v.flatten(1))
    pulled = torch.einsum("bhe,bh->be", j, u.flatten(1))
    torch.testing.assert_close(tangent.push(v).flatten(1), pushed, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(tangent.pull(u).flatten(1), pulled, rtol=1e-3, atol=1e-5)


def test_the_control_is_as_long_and_as_orthonormal():
    control = random_basis(some(2), 4, seed=3)
    flat = control.directions.flatten(2)[0]
    torch.testing.assert_close(flat @ flat.T, torch.eye(4), rtol=0, atol=1e-5)
    assert not torch.equal(control.directions, random_basis(some(2), 4, seed=4).directions)
    assert torch.equal(signed(-flat.T[None]), signed(flat.T[None]))


def test_smooth_directions_by_lot_are_orthonormal_and_smooth():
    x = torch.zeros(2, 3, 16, 16)
    control = smooth_basis(x, 6, seed=3)
    assert control.directions.shape == (1, 6, 3, 16, 16)
    flat = control.directions.flatten(2)[0]
    torch.testing.assert_close(flat @ flat.T, torch.eye(6), rtol=0, atol=1e-5)

    def rough(basis):
        v = basis.directions
        return float((v.diff(dim=-1).square().mean() / v.square().mean()).sqrt())

    assert rough(control) < 0.5 < rough(random_basis(x, 6, seed=3))
    assert not torch.equal(control.directions, smooth_basis(x, 6, seed=4).directions)
    with pytest.raises(BadInput) as caught:
        smooth_basis(x, 13, coarse=2)
    assert str(caught.value) == (
        "there are no 13 directions apart among 3 maps of 2 × 2 values. Ask for fewer, or for a "
        "larger `coarse`."
    )


def test_what_has_no_directions_is_refused():
    flat = Bent()
    flat.matrix = torch.zeros_like(flat.matrix)
    with pytest.raises(Refused) as caught:
        Pullback()(flat, some(1))
    assert str(caught.value) == (
        "the acts of bent do not change with x, or not finitely, so that no direction is stronger "
        "than another. Open it at another site or time."
    )
    with pytest.raises(BadInput) as many:
        Pullback(13)(Bent(), some(1))
    assert str(many.value) == (
        "Pullback was asked for 13 directions of pictures with 12 numbers. Ask for fewer."
    )
    with pytest.raises(BadInput) as none:
        Pullback(0)
    assert str(none.value) == (
        "Pullback needs a direction, a round, a tolerance above 0 and no fewer than 0 spare "
        "columns; it got count=0, most=50, tolerance=0.001, spare=5."
    )
