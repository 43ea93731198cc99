import pytest
import torch

from legenda.core.codebook import Codebook
from legenda.errors import BadInput, ShapeError
from legenda.intervene.squares import Squares, checked_colour, squares
from legenda.intervene.tokens import (
    Intervention,
    MeanAct,
    NearestNeutral,
    Painter,
    PriorResample,
    Substitute,
    checked,
)
from legenda.models.prior import PriorNetwork, TokenPrior

GRID, K = (4, 4), 12


def book(k=K, d=5, seed=3):
    return Codebook(torch.randn(k, d, generator=torch.Generator().manual_seed(seed)))


def tokens(count=4, seed=5):
    return torch.randint(K, (count, 16), generator=torch.Generator().manual_seed(seed))


def some(count=4, share=0.4, seed=7):
    return torch.rand(count, 16, generator=torch.Generator().manual_seed(seed)) < share


def prior():
    torch.manual_seed(0)
    net = PriorNetwork(K, 2, GRID, width=20, depth=1)
    net.head.weight.data *= 20  # so that contexts and classes show in what is drawn
    return TokenPrior(net, ("cat", "dog"))


def every():
    lot = torch.Generator().manual_seed(9)
    return [
        MeanAct(book()),
        MeanAct(book(), torch.arange(K)),
        PriorResample(prior(), seed=1),
        PriorResample(prior(), ("cat", "dog", "dog", "cat")),
        NearestNeutral(book(), (2, 7, 9)),
        Substitute(3),
        Substitute(torch.randint(K, (4, 16), generator=lot)),
    ]


def named(how):
    return type(how).__name__


def acts_of(out):
    return out if out.is_floating_point() else book().embed(out)


@pytest.mark.parametrize("how", every(), ids=named)
def test_where_nothing_is_gone_nothing_changes(how):
    x = tokens()
    before = x.clone()
    assert isinstance(how, Intervention)
    out = how(x, torch.zeros_like(x, dtype=torch.bool))
    assert torch.equal(acts_of(out), book().embed(x))
    how(x, some())
    assert torch.equal(x, before), "tokens are values: an intervention makes new ones"


@pytest.mark.parametrize("how", every(), ids=named)
def test_what_stays_is_left_as_it_is_and_what_is_gone_changes(how):
    x, gone = tokens(), some()
    out, clean = acts_of(how(x, gone)), book().embed(x)
    assert torch.equal(out[~gone], clean[~gone])
    assert (out[gone] != clean[gone]).any(1).float().mean() > 0.6


@pytest.mark.parametrize("how", every(), ids=named)
def test_an_image_does_not_depend_on_its_batch_mates(how):
    x, gone = tokens(), some()
    together = how(x, gone)
    for rows in torch.tensor([[0, 2], [3, 1]]):
        assert torch.equal(how.at(rows)(x[rows], gone[rows]), together[rows])


def test_the_mean_is_that_of_the_entries_or_of_their_use():
    x, gone = tokens(), some()
    atoms = book().atoms.tolist()
    plain = [sum(row[d] for row in atoms) / K for d in range(5)]
    out = MeanAct(book())(x, gone)[gone]
    torch.testing.assert_close(out, torch.tensor(plain).expand_as(out))
    used = torch.zeros(K, dtype=torch.int64)
    used[2], used[5] = 1, 3
    weighted = [(atoms[2][d] + 3 * atoms[5][d]) / 4 for d in range(5)]
    out = MeanAct(book(), used)(x, gone)[gone]
    torch.testing.assert_close(out, torch.tensor(weighted).expand_as(out))


def test_the_nearest_neutral_entry_is_found_one_token_at_a_time():
    x, gone, neutral = tokens(), some(), (7, 2, 9)
    out, atoms = NearestNeutral(book(), neutral)(x, gone), book().atoms
    for b in range(len(x)):
        for n in range(16):
            token = int(x[b, n])
            gaps = {k: float((atoms[k] - atoms[token]).norm()) for k in neutral}
            expected = min(gaps, key=gaps.__getitem__) if gone[b, n] else token
            assert int(out[b, n]) == expected


def test_a_neutral_token_stays_and_the_lowest_of_equal_entries_wins():
    atoms = torch.tensor([[0.0], [5.0], [5.0], [4.0]])
    how = NearestNeutral(Codebook(atoms), (2, 1))
    x = torch.tensor([[0, 1, 2, 3]])
    assert how(x, torch.ones_like(x, dtype=torch.bool)).tolist() == [[1, 1, 2, 1]]


def test_a_resample_is_what_the_prior_draws_for_each_image_alone():
    class Told:
        """Writes down what it is asked and fills every cell, shown ones too."""

        asked = []

        def fill(self, tokens, gone, *, classes, rounds, seed):
            self.asked.append((tokens.tolist(), gone.tolist(), classes, rounds, seed))
            return torch.full_like(tokens, 11)

    x, gone = tokens(3), some(3)
    gone[1] = False
    out = PriorResample(Told(), ("a", "b", "c"), rounds=5)(x, gone)
    assert torch.equal(out, x.masked_fill(gone, 11))
    assert [a[0] for a in Told.asked] == [[x[0].tolist()], [x[2].tolist()]]
    assert [a[2:4] for a in Told.asked] == [(["a"], 5), (["c"], 5)]
    assert Told.asked[0][4] != Told.asked[1][4]


def test_a_resample_follows_its_seed_and_its_class():
    x, gone = tokens(), some()
    first = PriorResample(prior())(x, gone)
    assert torch.equal(first, PriorResample(prior())(x, gone))
    assert not torch.equal(first, PriorResample(prior(), seed=1)(x, gone))
    cat, dog = (PriorResample(prior(), kind)(x, gone) for kind in ("cat", "dog"))
    assert not torch.equal(cat, dog)
    assert torch.equal(PriorResample(prior(), ("cat",) * 4)(x, gone), cat)


def test_a_painter_takes_tokens_and_acts():
    paint = Painter(book(), lambda acts: acts.mT.unflatten(2, GRID))
    x = tokens()
    assert torch.equal(paint(x), paint(book().embed(x)))
    assert torch.equal(paint(x)[1, :, 2, 3], book().atoms[x[1, 11]])


def literal_squares(images, gone, grid, value):
    """Pixel by pixel."""
    out = images.clone()
    _, c, h, w = images.shape
    for b in range(len(images)):
        for y in range(h):
            for z in range(w):
                if gone[b, (y * grid[0] // h) * grid[1] + z * grid[1] // w]:
                    for channel in range(c):
                        own = images[b, channel].mean() if value == "mean" else value
                        out[b, channel, y, z] = own[channel] if isinstance(own, tuple) else own
    return out


@pytest.mark.parametrize("value", [-1.0, (0.1, 0.2, 0.3), "mean"])
@pytest.mark.parametrize("size", [(8, 8), (12, 4), (9, 10)])
def test_squares_are_painted_pixel_by_pixel(value, size):
    images = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(0))
    out = squares(images, some(3), GRID, value)
    if size != (9, 10):  # cells are whole pixels
        torch.testing.assert_close(out, literal_squares(images, some(3), GRID, value))
    assert squares(images, torch.zeros_like(some(3)), GRID, value) is images
    how = Squares(GRID, value)
    assert isinstance(how, Intervention) and eval(repr(how)) == how
    assert torch.equal(how.at(torch.tensor([1]))(images[1:2], some(3)[1:2]), out[1:2])


def test_the_smallest_pictures_have_one_pixel_per_cell():
    images = torch.ones(1, 1, 4, 4)
    gone = torch.arange(16)[None] == 6
    assert squares(images, gone, GRID, 0.0).flatten().argmin() == 6


def test_squares_refuse_masks_of_another_grid_and_unknown_colours():
    images = torch.rand(2, 3, 8, 8)
    with pytest.raises(ShapeError) as error:
        squares(images, torch.zeros(2, 9, dtype=torch.bool), GRID, 0.0)
    assert str(error.value) == (
        "squares need a mask of 4 × 4 = 16 cells; it has 9. Give the grid of the tokens."
    )
    with pytest.raises(BadInput) as error:
        checked_colour("black")
    assert str(error.value) == (
        "squares are of one value, of one per channel, or of the picture's own 'mean' colour; it "
        "got 'black'. Where pixels go from -1 to 1, black is -1."
    )
    with pytest.raises(ShapeError) as error:
        squares(images[:, :, :2], some(2), GRID, 0.0)
    assert str(error.value) == (
        "squares need a pixel or more per cell of a grid of 4 × 4; the pictures have 2 × 8. "
        "Give decoded pictures."
    )


def test_interventions_refuse_what_makes_no_sense():
    x, gone = tokens(), some()
    with pytest.raises(BadInput) as error:
        MeanAct(book(), torch.ones(3))
    assert str(error.value) == (
        "MeanAct needs one count of use per entry of codebook (12), 0 or more and not all 0; it "
        "got 3 counts with the sum 3. Count the tokens of a corpus."
    )
    for use in (torch.zeros(K), -torch.ones(K), torch.full((K,), torch.nan)):
        with pytest.raises(BadInput, match="MeanAct needs one count of use per entry"):
            MeanAct(book(), use)
    for neutral, said in (((), "[]"), ((3, 12), "[3, 12]"), ((-1,), "[-1]")):
        with pytest.raises(BadInput) as error:
            NearestNeutral(book(), neutral)
        assert str(error.value) == (
            "NearestNeutral needs one neutral entry or more of codebook, numbered 0 to 11; it got "
            f"{said}. Take entries that are frequent in every class."
        )
    with pytest.raises(BadInput) as error:
        PriorResample(prior(), ("cat", "dog"))(x, gone)
    assert str(error.value) == (
        "PriorResample needs a class for each of 4 images; it got 2. Give one per image, one for "
        "all, or None for any."
    )
    with pytest.raises(ShapeError) as error:
        Substitute(x[:2])(x, gone)
    assert str(error.value) == (
        "Substitute needs one token, or one for each position (4, 16); it got (2, 16). Give "
        "tokens of the same images."
    )
    with pytest.raises(ShapeError) as error:
        checked("MeanAct", x, gone[:2])
    assert str(error.value) == (
        "MeanAct needs a mask for (4, 16) tokens; it got (2, 16). Say of every position whether "
        "it is gone."
    )
    with pytest.raises(BadInput) as error:
        Painter(book(), lambda acts: acts.mT.unflatten(2, GRID))(Substitute(99)(x, gone))
    assert str(error.value) == (
        "token 99 is not in codebook, which has 12 entries, numbered from 0."
    )
