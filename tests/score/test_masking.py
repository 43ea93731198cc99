from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from legenda.core.codebook import Codebook
from legenda.errors import BadInput, Refused, ShapeError
from legenda.intervene.squares import Squares
from legenda.intervene.tokens import MeanAct, NearestNeutral, Painter, PriorResample, Substitute
from legenda.score.curves import area_under, lead, scores
from legenda.score.judges import checked_judges
from legenda.score.masking import MaskingCurve, checked_shape
from legenda.score.masks import at_random, by_ids, by_score, gone_by_list
from tests.score.toys import refused

GRID, K, SIDE, PLANTED = (4, 4), 10, 8, 6
BOOK = Codebook(torch.rand(K, 3, generator=torch.Generator().manual_seed(3)) * 2 - 1)
PAINT = Painter(
    BOOK, lambda acts: acts.mT.unflatten(2, GRID).repeat_interleave(2, 2).repeat_interleave(2, 3)
)
BLACK = Squares(GRID, -1.0)


def tokens(count=7, seed=5):
    return torch.randint(K, (count, 16), generator=torch.Generator().manual_seed(seed))


def labels(count=7, seed=6):
    return torch.randint(4, (count,), generator=torch.Generator().manual_seed(seed))


def importance(count=7, seed=2):
    return torch.rand(count, 16, generator=torch.Generator().manual_seed(seed))


def network(seed=0, classes=4):
    """A small judge of pictures."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 36, classes)]
    return nn.Sequential(*layers).eval().requires_grad_(False)


JUDGES = {"one": network(0), "other": network(1)}


class Reader(nn.Module):
    """Sees one colour: its second logit is how many cells of the picture have it."""

    def forward(self, x):
        cells = x[:, :, ::2, ::2].flatten(2).mT
        near = (-60 * (cells - BOOK.atoms[PLANTED]).square().sum(2)).exp().sum(1)
        return torch.stack([-near, near], 1)


class Neighbour:
    """A prior that copies the first token that stays, and knows nothing of classes."""

    def fill(self, tokens, gone, *, classes, rounds, seed):
        return torch.where(gone, (tokens[:, :1] + seed) % K, tokens)


def planted(count=12):
    """Images with three to five planted tokens each, on a ground of others."""
    lot = torch.Generator().manual_seed(8)
    x = torch.randint(PLANTED, (count, 16), generator=lot)
    for row in x:
        many = int(torch.randint(3, 6, (1,), generator=lot))
        row[torch.randperm(16, generator=lot)[:many]] = PLANTED
    return x


def published(x, order, counts, right):
    """One image, one count, one pixel at a time; the clean picture judged again each time."""
    drops = {name: torch.zeros(2, len(counts), len(x), dtype=torch.float64) for name in JUDGES}
    area = torch.zeros(len(counts), len(x))
    for i in range(len(x)):
        for s, count in enumerate(counts):
            ids = [int(x[i, p]) for p in order.positions[i, :count]]
            picture = PAINT(x[i : i + 1])[0].clone()
            for p in range(16):
                if int(x[i, p]) in ids:
                    area[s, i] += 1 / 16
                    row, column = divmod(p, 4)
                    for y in range(2 * row, 2 * row + 2):
                        for z in range(2 * column, 2 * column + 2):
                            for c in range(3):
                                picture[c, y, z] = -1.0
            for name, judge in JUDGES.items():
                clean, masked = judge(PAINT(x[i : i + 1]))[0], judge(picture[None])[0]
                y = int(right[i])
                drops[name][0, s, i] = float(clean[y]) - float(masked[y])
                p, q = clean.double().softmax(0)[y], masked.double().softmax(0)[y]
                drops[name][1, s, i] = float(p) - float(q)
    return drops, area


def test_by_id_with_black_squares_is_the_published_procedure():
    x, counts = tokens(), (1, 3, 8)
    orders = {"tis": by_score(x, importance()), "random": at_random(x)}
    found = MaskingCurve(BLACK, counts, "id", batch=4)(x, orders, PAINT, JUDGES, labels())
    assert set(found) == {(m, j) for m in orders for j in JUDGES}
    for method, order in orders.items():
        drops, area = published(x, order, counts, labels())
        for judge in JUDGES:
            curve = found[method, judge]
            torch.testing.assert_close(curve.drop(), drops[judge][0], rtol=1e-5, atol=1e-5)
            close = curve.drop("probability")
            torch.testing.assert_close(close, drops[judge][1], rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(curve.area, area.double())
            assert curve.drop().dtype == curve.area.dtype == torch.float64
            assert (curve.method, curve.judge, curve.counts) == (method, judge, counts)


def literal(x, gone, how, right, judge):
    """Replaced, decoded and judged, one image at a time."""
    out = []
    for i in range(len(x)):
        one, mask = x[i : i + 1], gone[i : i + 1]
        picture = how.at(torch.tensor([i]))(one, mask)
        clean, masked = judge(PAINT(one))[0], judge(PAINT(picture))[0]
        out.append(float(clean[right[i]]) - float(masked[right[i]]))
    return torch.tensor(out, dtype=torch.float64)


@pytest.mark.parametrize(
    "how",
    [
        MeanAct(BOOK), NearestNeutral(BOOK, (1, 8)), Substitute(2), Substitute(tokens(7, 9)),
        PriorResample(Neighbour(), tuple("abcdefg")),
    ],
    ids=lambda how: type(how).__name__,
)  # fmt: skip
def test_tokens_are_replaced_before_decoding(how):
    x = tokens()
    order = by_score(x, importance())
    found = MaskingCurve(how, (2, 9), "position", batch=3)(x, {"tis": order}, PAINT, JUDGES, labels())  # fmt: skip # noqa: E501
    for name, judge in JUDGES.items():
        drop = found["tis", name].drop()
        for s, count in enumerate((2, 9)):
            expected = literal(x, order.place < count, how, labels(), judge)
            torch.testing.assert_close(drop[s], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("how", [BLACK, MeanAct(BOOK), Substitute(0)])
@pytest.mark.parametrize("mode", ["position", "id", "equal-area"])
def test_masking_nothing_costs_nothing_and_masking_all_makes_all_methods_equal(how, mode):
    x = tokens()
    orders = {"tis": by_score(x, importance()), "random": at_random(x)}
    found = MaskingCurve(how, (0, 4, 16), mode)(x, orders, PAINT, JUDGES, labels())
    for judge in JUDGES:
        one, other = found["tis", judge], found["random", judge]
        torch.testing.assert_close(one.drop()[0], torch.zeros(7).double(), rtol=0, atol=1e-6)
        torch.testing.assert_close(one.drop()[2], other.drop()[2])
        assert not torch.allclose(one.drop()[1], other.drop()[1])
        assert (one.area[0] == 0).all() and (one.area[2] == 1).all()


def test_equal_area_is_equal_for_every_image_and_method_and_by_id_is_not():
    x = tokens()
    methods = {
        "tis": by_score(x, importance()),
        "list": by_ids(x, torch.tensor([3, 1])),
        "frequent": by_ids(x, torch.bincount(x.flatten()).argsort(descending=True)),
        "random": at_random(x),
    }
    for mode in ("position", "equal-area"):
        found = MaskingCurve(BLACK, (3, 5, 11), mode)(x, methods, PAINT, JUDGES, labels())
        for curve in found.values():
            expected = torch.tensor([3, 5, 11]).double()[:, None].expand(3, 7) / 16
            assert torch.equal(curve.area, expected)
    found = MaskingCurve(BLACK, (3, 5, 11), "id")(x, methods, PAINT, JUDGES, labels())
    assert len({float(found[m, "one"].area.mean()) for m in methods}) == 4
    assert (found["tis", "one"].area >= expected).all()


def test_a_list_that_runs_out_is_reported():
    x = tokens()
    order = by_ids(x, torch.tensor([3, 1]))
    named = ((x == 3) | (x == 1)).sum(1)
    found = MaskingCurve(BLACK, (1, 3, 6))(x, {"list": order}, PAINT, JUDGES, labels())
    for s, count in enumerate((1, 3, 6)):
        assert torch.equal(found["list", "one"].ran_out[s], named < count)
    assert 0 < float(found["list", "one"].ran_out.double().mean()) < 1


def test_a_growing_list_is_a_method_too():
    x, ids = tokens(), torch.tensor([3, 1, 8, 0])
    methods = {"list": lambda count: gone_by_list(x, ids[:count])}
    found = MaskingCurve(BLACK, (1, 2, 4), "id")(x, methods, PAINT, JUDGES, labels())
    curve = found["list", "one"]
    for s, count in enumerate((1, 2, 4)):
        area = torch.isin(x, ids[:count]).double().mean(1)
        assert torch.equal(curve.area[s], area)
    assert not curve.ran_out.any()


@pytest.mark.parametrize("how", [BLACK, MeanAct(BOOK), PriorResample(Neighbour(), tuple("abcdefg"))])  # fmt: skip # noqa: E501
@pytest.mark.parametrize("batch", [1, 5, 1000])
def test_batching_changes_nothing(how, batch):
    x = tokens()
    orders = {"tis": by_score(x, importance()), "random": at_random(x)}
    usual = MaskingCurve(how, (2, 9))(x, orders, PAINT, JUDGES, labels())
    other = MaskingCurve(how, (2, 9), batch=batch)(x, orders, PAINT, JUDGES, labels())
    for key, curve in usual.items():
        torch.testing.assert_close(curve.drop(), other[key].drop(), rtol=1e-5, atol=1e-6)
        assert torch.equal(curve.area, other[key].area)


def test_a_subset_of_the_images_is_what_they_are_alone():
    x, rows = tokens(), torch.tensor([5, 0, 2])
    how = MaskingCurve(BLACK, (2, 9), "id")

    def curves(some):
        orders = {
            "tis": by_score(x[some], importance()[some]),
            "list": by_ids(x[some], torch.tensor([3])),
        }
        return how(x[some], orders, PAINT, JUDGES, labels()[some])

    every, few = curves(torch.arange(7)), curves(rows)
    assert every["list", "one"].ran_out[0].float().mean() not in (0, 1)
    for key, curve in every.items():
        for of in ("logit", "probability"):
            torch.testing.assert_close(curve.at(rows).drop(of), few[key].drop(of))
        assert torch.equal(curve.at(rows).area, few[key].area)
        assert torch.equal(curve.at(rows).ran_out, few[key].ran_out)


def test_the_same_seed_gives_the_same_bits_and_another_cuts_elsewhere():
    x = torch.randint(2, (7, 16), generator=torch.Generator().manual_seed(1))
    orders = {"tis": by_score(x, importance())}
    first, again, other = (
        MaskingCurve(MeanAct(BOOK), (3,), seed=s)(x, orders, PAINT, JUDGES, labels())
        for s in (0, 0, 1)
    )
    key = ("tis", "other")
    torch.testing.assert_close(first[key].drop(), again[key].drop(), rtol=0, atol=0)
    assert not torch.allclose(first[key].drop(), other[key].drop())


class Counting(nn.Module):
    """Counts the pictures it sees."""

    def __init__(self, judge):
        super().__init__()
        self.judge, self.seen, self.most = judge, 0, 0
        self.eval()

    def forward(self, x):
        assert not torch.is_grad_enabled()
        self.seen, self.most = self.seen + len(x), max(self.most, len(x))
        return self.judge(x)


def test_every_clean_picture_is_judged_once_and_squares_need_no_second_decoding():
    x = tokens()
    judge, decoded = Counting(JUDGES["one"]), []

    def paint(z):
        decoded.append(len(z))
        return PAINT(z)

    orders = {"tis": by_score(x, importance()), "random": at_random(x)}
    how = MaskingCurve(BLACK, (2, 5, 9), batch=4)
    how(x, orders, paint, {"counts": judge}, labels())
    assert judge.seen == 7 + 7 * 3 * 2 and judge.most == 4
    assert sum(decoded) == 7
    decoded.clear()
    replace(how, intervention=Substitute(0))(x, orders, paint, {"counts": judge}, labels())
    assert sum(decoded) == 7 + 7 * 3 * 2


def test_the_judge_is_left_as_it_was():
    judge = network(0).requires_grad_(True)
    before = [p.clone() for p in judge.parameters()]
    x = tokens()
    MaskingCurve(BLACK, (2,))(x, {"random": at_random(x)}, PAINT, {"j": judge}, labels())
    assert all(torch.equal(p, q) for p, q in zip(judge.parameters(), before, strict=True))
    assert all(p.grad is None for p in judge.parameters()) and not judge.training


@pytest.mark.parametrize("how", [BLACK, NearestNeutral(BOOK, (0, 1, 2)), MeanAct(BOOK)])
@pytest.mark.parametrize("mode", ["position", "equal-area"])
def test_the_order_that_knows_the_planted_token_takes_most(how, mode):
    x = planted()
    right = torch.ones(12, dtype=torch.int64)
    known = (x == PLANTED).float()
    methods = {
        "truth": by_score(x, known),
        "list": by_ids(x, torch.tensor([PLANTED])),
        "random": at_random(x),
        "wrong": by_score(x, -known),
    }
    judges = {"reader": Reader().eval()}
    found = MaskingCurve(how, (2, 4, 6, 8), mode)(x, methods, PAINT, judges, right)
    under = {name: float(area_under(found[name, "reader"]).mean()) for name in methods}
    assert under["truth"] > 1.5 * under["random"] > 1.5 * max(under["wrong"], 0.0)
    assert under["list"] == pytest.approx(under["truth"], rel=0.1)
    for name in ("random", "wrong"):
        gap = lead(found["truth", "reader"], found[name, "reader"])
        assert gap.better == "truth" and gap.won > 0.75 and gap.n == 12
    assert lead(found["wrong", "reader"], found["random", "reader"]).better == "random"


def test_points_and_scores_are_means_over_images_with_intervals_and_control():
    x = planted()
    right = torch.ones(12, dtype=torch.int64)
    methods = {"truth": by_score(x, (x == PLANTED).float()), "random": at_random(x)}
    found = MaskingCurve(BLACK, (2, 4))(x, methods, PAINT, {"reader": Reader().eval()}, right)
    one, other = found["truth", "reader"], found["random", "reader"]
    for of in ("logit", "probability"):
        for s, point in enumerate(one.points(of, other)):
            assert point.name == f"{of} drop, {(2, 4)[s]} of truth" and point.n == 12
            assert point.unit == f"of the {of}" and point.higher_is_better
            assert point.value == pytest.approx(float(one.drop(of)[s].mean()))
            assert point.control == pytest.approx(float(other.drop(of)[s].mean()))
            assert point.interval[0] <= point.value <= point.interval[1]
    chance = scores(found, "random", "probability")["truth", "reader"]
    assert chance.value == pytest.approx(float(one.drop("probability").mean()))
    assert chance.control == pytest.approx(float(other.drop("probability").mean()))
    whole = scores(found, "random")
    assert whole["truth", "reader"].value == pytest.approx(float(one.drop().mean()))
    assert whole["truth", "reader"].control == whole["random", "reader"].value
    assert whole["truth", "reader"].beats_control
    assert not whole["random", "reader"].beats_control
    assert scores(found)["truth", "reader"].control is None
    assert one.points()[0].control is None


def test_lead_is_the_paired_difference_of_the_areas_under_the_curves():
    x = tokens()
    orders = {"tis": by_score(x, importance()), "random": at_random(x)}
    found = MaskingCurve(BLACK, (2, 9))(x, orders, PAINT, JUDGES, labels())
    one, other = found["tis", "one"], found["random", "one"]
    gap = one.drop().mean(0) - other.drop().mean(0)
    torch.testing.assert_close(area_under(one) - area_under(other), gap)
    assert lead(one, other).value == pytest.approx(float(gap.mean()))
    assert lead(one, other).interval == pytest.approx(tuple(-v for v in reversed(lead(other, one).interval)))  # fmt: skip # noqa: E501
    with pytest.raises(BadInput) as error:
        lead(one, found["random", "other"])
    assert str(error.value) == (
        "lead compares two methods before one judge, at the same counts, on the same images; it "
        "got one and other, 7 images at counts (2, 9) and 7 images at counts (2, 9). Take both "
        "curves from one call."
    )
    with pytest.raises(BadInput, match=r"6 images at counts \(2, 9\)"):
        lead(one, other.at(torch.arange(6)))
    with pytest.raises(BadInput) as error:
        lead(one, other.at(torch.arange(7).flip(0)))
    assert str(error.value) == (
        "lead compares two methods on the same images; one says other things of the clean pictures "
        "of the second curve. Take both curves from one call."
    )
    with pytest.raises(BadInput) as error:
        scores(found, "chance")
    assert str(error.value) == (
        "'chance' is not among the methods random, tis. Name a control that was masked too."
    )


class Extractor:
    """What the tokens were chosen with."""

    def __init__(self):
        self.root = network(3)

    def classify(self, x):
        return self.root(x)


@dataclass(frozen=True)
class Equal:
    """Two of it are one."""

    def __call__(self, x):
        return JUDGES["one"](x)


def test_a_judge_that_is_the_extractor_is_refused():
    whole = Extractor()
    for judge in (whole.classify, whole.root):
        with pytest.raises(Refused) as error:
            checked_judges({"fair": network(), "itself": judge}, whole)
        assert str(error.value) == (
            "judge itself is the extractor that the tokens were chosen with. Give a classifier "
            "that was trained without it."
        )
        with pytest.raises(Refused, match="judge itself is the extractor"):
            checked_judges({"itself": judge}, (network(), whole))
    with pytest.raises(Refused, match="judge itself is the extractor"):
        checked_judges({"itself": whole.classify}, whole.classify)
    with pytest.raises(Refused, match="judge itself is the extractor"):
        checked_judges({"itself": Equal()}, Equal())
    checked_judges({"fair": network(), "its twin": Extractor().classify}, whole)
    x = tokens()
    with pytest.raises(Refused, match="judge one is the extractor"):
        MaskingCurve(BLACK)(x, {"r": at_random(x)}, PAINT, JUDGES, labels(), JUDGES["one"])


def test_judges_that_cannot_be_trusted_are_refused():
    x = tokens()

    def told(judge, right=None):
        methods = {"random": at_random(x)}
        right = labels() if right is None else right
        with pytest.raises((Refused, BadInput)) as error:
            MaskingCurve(BLACK, (2,))(x, methods, PAINT, {"small": judge}, right)
        return type(error.value), str(error.value)

    assert told(network(), labels().clamp(max=0) + 4) == (
        BadInput,
        "judge small knows 4 classes, numbered from 0; the labels go up to 4. Give a judge of all "
        "classes, or leave the other images out.",
    )
    broken = network()
    broken[3].bias[1] = torch.nan
    assert told(broken) == (
        Refused,
        "judge small gave NaN or infinity for 7 of 7 pictures. Check its weights and the range of "
        "its pixels.",
    )
    assert told(network().train()) == (
        Refused,
        "judge small is in training mode, so that its answers depend on chance and on the batch. "
        "Call `.eval()` on it.",
    )
    assert told(lambda images: images) == (
        ShapeError,
        "judge small must give a row of logits for each of 7 pictures; it gave (7, 3, 8, 8). Leave "
        "out what comes after the logits.",
    )
    with pytest.raises(BadInput) as error:
        checked_judges({}, None)
    assert (
        str(error.value) == "masking needs at least one judge; it got none. Two say more than one."
    )


def test_a_judge_that_breaks_on_masked_pictures_only_is_refused_too():
    x = tokens()

    def nan_on_black(images):
        dark = (images == -1).flatten(1).sum(1) > 3 * 4 * 2
        return network()(images).masked_fill(dark[:, None], torch.nan)

    with pytest.raises(Refused, match="judge weak gave NaN or infinity for 14 of 28 pictures"):
        methods = {"r": at_random(x), "s": at_random(x, 1)}
        MaskingCurve(BLACK, (2, 5))(x, methods, PAINT, {"weak": nan_on_black}, labels())


def test_inputs_that_do_not_fit_are_refused():
    x = tokens()
    order = at_random(x)

    def told(how=None, methods=None, paint=PAINT, right=None):
        how = how or MaskingCurve(BLACK, (2, 5))
        right = labels() if right is None else right
        with pytest.raises((Refused, BadInput)) as error:
            how(x, methods or {"r": order}, paint, JUDGES, right)
        return str(error.value)

    assert told(right=labels() - 4) == (
        "masking needs images, and the number of the right class for each, from 0; it got 7 images "
        f"and 7 labels from {int(labels().min()) - 4}."
    )
    assert told(MaskingCurve(BLACK)) == (
        "masks take 0 to 16 cells of a grid of 16; 50 were asked for. Choose fewer."
    )
    assert told(paint=lambda z: PAINT(z) / 0) == (
        "the painter gave NaN or infinity in 7 of 7 pictures. Check the weights of the decoder."
    )
    with pytest.raises(BadInput) as error:
        MaskingCurve(BLACK)(x, {}, PAINT, JUDGES, labels())
    assert str(error.value) == (
        "masking needs at least one method; it got none. Add a random one too."
    )
    grow = {"grows": lambda count: order.place <= count}
    assert told(methods=grow) == (
        "method grows takes 3 to 3 cells where equal-area takes exactly 2. Give an order, or use "
        "mode='id'."
    )
    MaskingCurve(BLACK, (2, 5), "id")(x, grow, PAINT, JUDGES, labels())
    with pytest.raises(ShapeError) as error:
        checked_shape("r", x, order.positions[:3])
    assert str(error.value) == (
        "method r must order or mask all positions of all images (7, 16); it gave (3, 16). Make it "
        "from the same tokens."
    )
    assert told(methods={"r": at_random(x[:3])}).startswith("method r must order or mask")
    assert told(MaskingCurve(Squares((5, 5), -1.0), (2,))) == (
        "squares need a mask of 5 × 5 = 25 cells; it has 16. Give the grid of the tokens."
    )


def test_settings_are_checked_and_are_the_identity():
    how = MaskingCurve(BLACK, (1, 2), "id", seed=3)
    assert eval(repr(how)) == how
    for counts, batch in (((), 4), ((3, 3), 4), ((5, 2), 4), ((2,), 0)):
        with pytest.raises(BadInput) as error:
            MaskingCurve(BLACK, counts, batch=batch)
        assert str(error.value) == (
            f"MaskingCurve needs counts that rise, and a batch of 1 or more; it got "
            f"counts={counts}, batch={batch}. Try counts=(5, 10, 20)."
        )
    with pytest.raises(BadInput) as error:
        refused(how, "mode", "area")
    assert str(error.value) == (
        "MaskingCurve masks by 'position', 'id' or 'equal-area'; it got 'area'. Choose one of them."
    )
