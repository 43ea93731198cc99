import math

import pytest
import torch

from legenda.errors import BadInput, ShapeError
from legenda.intervene.pixels import blur, erase, noisy_linear, paste, upsample


def batch(b=2, c=3, h=7, w=9, dtype=torch.float32, seed=0):
    return torch.randn(b, c, h, w, generator=torch.Generator().manual_seed(seed)).to(dtype)


def some(b=2, h=7, w=9, share=0.5, seed=1):
    return torch.rand(b, h, w, generator=torch.Generator().manual_seed(seed)) < share


EVERY = [
    lambda x, where: erase(x, where, 0.7),
    lambda x, where: blur(x, where, 1.5),
    lambda x, where: paste(x, x + 1, where),
    lambda x, where: noisy_linear(x, where, seed=3),
]


@pytest.mark.parametrize("change", EVERY)
def test_nothing_chosen_returns_the_image_itself(change):
    x = batch()
    assert change(x, torch.zeros(2, 7, 9, dtype=torch.bool)) is x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("change", EVERY)
def test_only_the_chosen_pixels_change(change, dtype):
    x, where = batch(dtype=dtype), some()
    before, out = x.clone(), change(x, where)
    assert out.dtype == dtype
    assert torch.equal(x, before)
    changed = (out != x).permute(0, 2, 3, 1)
    assert not changed[~where].any()
    assert changed[where].float().mean() > 0.95


@pytest.mark.parametrize("change", EVERY)
def test_an_image_does_not_depend_on_its_batch_mates(change):
    x, where = batch(b=3), some(b=3)
    together = change(x, where)
    for i in range(3):
        alone = change(x[i : i + 1], where[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-6, atol=1e-6)


def test_erasing_takes_one_colour_or_one_per_channel():
    x, where = batch(), some()
    assert (erase(x, where, 2.0).permute(0, 2, 3, 1)[where] == 2).all()
    colour = torch.tensor([1.0, 2.0, 3.0])
    out = erase(x, where, colour).permute(0, 2, 3, 1)[where]
    assert torch.equal(out, colour.expand_as(out))


def literal_blur(x, sigma):
    """Weigh all pixels for each pixel by their distance in the plane."""
    out = torch.zeros_like(x)
    h, w = x.shape[2:]
    for i in range(h):
        for j in range(w):
            total = 0.0
            for k in range(h):
                for m in range(w):
                    weight = math.exp(-((i - k) ** 2 + (j - m) ** 2) / (2 * sigma**2))
                    out[:, :, i, j] += weight * x[:, :, k, m]
                    total += weight
            out[:, :, i, j] /= total
    return out


@pytest.mark.parametrize("sigma", [0.4, 2.0])
def test_blur_agrees_with_its_literal_twin(sigma):
    x, where = batch(dtype=torch.float64), some()
    want = torch.where(where[:, None], literal_blur(x, sigma), x)
    torch.testing.assert_close(blur(x, where, sigma), want, rtol=1e-12, atol=1e-12)


def test_a_wider_blur_leaves_less_and_keeps_a_plain_colour():
    x, where = batch(h=16, w=16), torch.ones(2, 16, 16, dtype=torch.bool)
    left = [float(blur(x, where, sigma).var()) for sigma in (0.3, 1.0, 3.0)]
    assert left == sorted(left, reverse=True)
    assert left[2] < 0.1 * left[0]
    torch.testing.assert_close(blur(torch.ones_like(x), where, 2.0), torch.ones_like(x))


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan])
def test_blur_without_a_width_is_refused(sigma):
    with pytest.raises(BadInput) as caught:
        blur(batch(), some(), sigma)
    assert str(caught.value) == f"blur needs a sigma above 0 pixels; got {sigma}"


def literal_imputation(x, where):
    """Write equation (1) as one dense row per pixel of the image, known pixels as z = x."""
    b, c, h, w = x.shape
    out = x.clone()
    for i in range(b):
        system, known = torch.eye(h * w).double(), torch.zeros(h * w, c).double()
        for r in range(h):
            for s in range(w):
                p = r * w + s
                if not where[i, r, s]:
                    known[p] = x[i, :, r, s]
                    continue
                near = [
                    (k, m, 1 / 12 if k != r and m != s else 1 / 6)
                    for k in (r - 1, r, r + 1)
                    for m in (s - 1, s, s + 1)
                    if 0 <= k < h and 0 <= m < w and (k, m) != (r, s)
                ]
                total = sum(weight for _, _, weight in near)
                for k, m, weight in near:
                    system[p, k * w + m] -= weight / total
        out[i] = torch.linalg.solve(system, known).T.reshape(c, h, w)
    return out


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_imputation_agrees_with_its_literal_twin(share):
    x, where = batch(dtype=torch.float64), some(share=share)
    got = noisy_linear(x, where, noise=0.0)
    torch.testing.assert_close(got, literal_imputation(x, where), rtol=1e-10, atol=1e-10)


def test_one_pixel_is_the_weighted_mean_of_its_neighbours():
    x = torch.arange(9.0, dtype=torch.float64).square().reshape(1, 1, 3, 3)
    middle = torch.zeros(1, 3, 3, dtype=torch.bool)
    middle[0, 1, 1] = True
    got = noisy_linear(x, middle, noise=0.0)[0, 0, 1, 1]
    assert float(got) == pytest.approx((1 + 9 + 25 + 49) / 6 + (0 + 4 + 36 + 64) / 12)
    corner = torch.zeros(1, 3, 3, dtype=torch.bool)
    corner[0, 0, 0] = True
    got = noisy_linear(x, corner, noise=0.0)[0, 0, 0, 0]
    assert float(got) == pytest.approx((1 / 6 * 1 + 1 / 6 * 9 + 1 / 12 * 16) / (5 / 12))


def test_a_linear_image_is_imputed_exactly():
    down, right = torch.meshgrid(torch.arange(12.0), torch.arange(10.0), indexing="ij")
    x = torch.stack([2 * down - right, right / 4 + 1, down])[None].double()
    where = torch.zeros(1, 12, 10, dtype=torch.bool)
    where[:, 2:11, 1:9] = some(1, 9, 8, 0.8)
    torch.testing.assert_close(noisy_linear(x, where, noise=0.0), x, rtol=1e-12, atol=1e-12)


def test_a_plain_image_is_imputed_from_a_single_pixel():
    x, where = torch.full((1, 3, 8, 8), 0.25), torch.ones(1, 8, 8, dtype=torch.bool)
    where[0, 5, 2] = False
    torch.testing.assert_close(noisy_linear(x, where, noise=0.0), x)


def test_an_image_of_which_nothing_is_left_becomes_noise_about_zero():
    x, where = batch(h=40, w=40), torch.ones(2, 40, 40, dtype=torch.bool)
    assert torch.equal(noisy_linear(x, where, noise=0.0), torch.zeros_like(x))
    out = noisy_linear(x, where, seed=1, noise=0.5)
    assert float(out.std()) == pytest.approx(0.5, abs=0.02)
    assert torch.equal(out[0], out[1])


def test_the_noise_is_the_seeds_and_leaves_the_global_generator_alone():
    x, where = batch(h=40, w=40), some(h=40, w=40)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, again = noisy_linear(x, where, seed=1), noisy_linear(x, where, seed=1)
    other, plain = noisy_linear(x, where, seed=2), noisy_linear(x, where, seed=1, noise=0.0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    spread = (first - plain).permute(0, 2, 3, 1)[where]
    assert float(spread.std()) == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("noise", [-0.1, math.nan])
def test_noise_below_zero_is_refused(noise):
    with pytest.raises(BadInput) as caught:
        noisy_linear(batch(), some(), noise=noise)
    assert str(caught.value) == f"noisy_linear needs noise of 0 or more; got {noise}"


@pytest.mark.parametrize("size", [(8, 12), (7, 5), (2, 3), (1, 2)])
def test_nearest_gives_each_pixel_the_patch_its_centre_lies_in(size):
    scores = batch(1, 2, 2, 3).reshape(2, 6)
    got = upsample(scores, (2, 3), size, "nearest")
    for i in range(size[0]):
        for j in range(size[1]):
            row, column = int((i + 0.5) * 2 / size[0]), int((j + 0.5) * 3 / size[1])
            assert torch.equal(got[:, i, j], scores[:, row * 3 + column])


def test_bilinear_is_linear_between_patch_centres():
    got = upsample(torch.tensor([[0.0, 1.0]]), (1, 2), (1, 8))
    want = torch.tensor([[0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]])
    torch.testing.assert_close(got[0], want)


def test_scores_that_do_not_fill_the_grid_are_refused():
    with pytest.raises(ShapeError) as caught:
        upsample(torch.zeros(1, 50), (7, 7), (8, 8))
    assert str(caught.value) == (
        "upsample needs one score per patch, 7 x 7 = 49; got 50. Leave out special tokens."
    )


@pytest.mark.parametrize("noise", [-0.1, float("nan")])
def test_imputation_takes_no_negative_noise(noise):
    with pytest.raises(BadInput) as caught:
        noisy_linear(batch(), some(), noise=noise)
    assert str(caught.value) == f"noisy_linear needs noise of 0 or more; got {noise}"
