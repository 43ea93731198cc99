import pytest
import torch

from legenda.core.target import Logit
from legenda.errors import BadInput
from legenda.score.insertion_deletion import Deletion, Insertion
from legenda.score.removal import Removal, first, ranks, without_most
from legenda.score.road import RemoveAndDebias
from tests.score.toys import (
    MASK,
    READ,
    Patches,
    Sentences,
    maps,
    noise,
    of_words,
    pictures,
    refused,
    sentences,
    told,
    truth,
    units,
    wrong,
)  # fmt: skip


def test_ranks_are_the_order_of_scores_and_ties_go_by_lot():
    x = pictures(3)
    scores = noise(3)
    place = ranks(x, maps(scores, x), 0)
    assert torch.equal(place.argsort(1), scores.argsort(1, descending=True))
    flat = maps(torch.zeros(3, 16), x)
    tied = ranks(x, flat, 0)
    assert torch.equal(tied.sort(1).values, torch.arange(16).expand(3, 16))
    assert not torch.equal(tied[0], tied[1])
    assert not torch.equal(tied, ranks(x, flat, 1))


def test_undrawn_positions_come_last_and_are_never_chosen():
    ids, drawn = sentences()
    place = ranks(ids, of_words(noise(3, 6), ids), 0)
    assert (place[~drawn] >= drawn.sum(1, keepdim=True).expand(3, 6)[~drawn]).all()
    for share, counts in ((0.0, [0, 0, 0]), (0.5, [2, 1, 2]), (1.0, [4, 2, 3])):
        assert first(place, drawn, share).sum(1).tolist() == counts


def test_without_most_paints_whole_patches():
    x = pictures(2)
    got = without_most(x, truth(x), 2 / 16, 0)
    for patch in range(16):
        r, c = divmod(patch, 4)
        piece = got[:, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4]
        assert bool((piece == 0).all()) == (patch in READ)


def literal_curve(x, scores, steps, back):
    """Erase (or put back) patch after patch, one picture at a time."""
    curves = []
    for i in range(len(x)):
        order = sorted(range(16), key=lambda p: -float(scores[i, p]))
        curve = []
        for step in range(steps + 1):
            count = int(step / steps * 16 + 0.5)
            gone = order[count:] if back else order[:count]
            less = x[i].clone()
            for p in gone:
                r, c = divmod(p, 4)
                less[:, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4] = 0
            curve.append(float(Patches().run(less[None]).output[0, 0]))
        curves.append(curve)
    return torch.tensor(curves)


@pytest.mark.parametrize(("kind", "back"), [(Deletion, False), (Insertion, True)])
@pytest.mark.parametrize("steps", [3, 16])
def test_curves_agree_with_their_literal_twin(kind, back, steps):
    x, scores = pictures(3), noise(3)
    measure = kind(steps=steps, fill="mean", batch=4)
    want = literal_curve(x, scores, steps, back)
    got = measure.curve(units(), x, Logit(0), maps(scores, x))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
    area = torch.trapezoid(want, dx=1 / steps, dim=1)
    got = measure.each(units(), x, Logit(0), maps(scores, x))
    torch.testing.assert_close(got, area, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fill", ["mean", "blur", "road"])
@pytest.mark.parametrize("kind", [Deletion, Insertion])
def test_the_true_map_beats_chance_and_its_opposite(kind, fill):
    x = pictures() * torch.linspace(0.1, 2, 16)  # the toys' blur must lose something
    measure = kind(steps=8, fill=fill, sigma=0.4)
    good = measure(units(), x, Logit(0), told(truth(x)))
    bad = measure(units(), x, Logit(0), told(wrong(x)))
    if fill == "mean":
        assert good.beats_control and not bad.beats_control
        assert (good.value > bad.value) == good.higher_is_better
    assert good.n == 5


@pytest.mark.parametrize("blank", [MASK, None])
def test_words_come_and_go(blank):
    ids, _ = sentences()
    good, bad = (of_words(s, ids) for s in ((ids >= 20).float(), (ids < 20).float()))
    of = units(Sentences())
    out = Deletion(steps=4, blank=blank)
    back = Insertion(steps=4, blank=blank)
    assert (out.each(of, ids, Logit(0), good) < out.each(of, ids, Logit(0), bad)).all()
    assert (back.each(of, ids, Logit(0), good) > back.each(of, ids, Logit(0), bad)).all()
    ends = out.curve(of, ids, Logit(0), good)
    torch.testing.assert_close(ends[:, 0], of.model.run(ids).output[:, 0])


def test_blanked_sentences_keep_their_special_tokens():
    ids, drawn = sentences()
    removal = Removal(units(Sentences()), ids, Logit(0), of_words(noise(3, 6), ids), blank=MASK)
    less, edit = removal.without(torch.arange(3), drawn)
    assert edit is None
    assert torch.equal(less[~drawn], ids[~drawn]) and (less[drawn] == MASK).all()


def literal_road(x, scores, shares):
    from legenda.intervene.pixels import noisy_linear

    values = {}
    for sign, name in ((-1, "most"), (1, "least")):
        rows = []
        for i in range(len(x)):
            order = sorted(range(16), key=lambda p, i=i: sign * float(scores[i, p]))
            total = 0.0
            for share in shares:
                where = torch.zeros(1, 16, 16, dtype=torch.bool)
                for p in order[: int(share * 16 + 0.5)]:
                    r, c = divmod(p, 4)
                    where[:, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4] = True
                total += float(Patches().run(noisy_linear(x[i : i + 1], where, 0)).output[0, 0])
            rows.append(total / len(shares))
        values[name] = torch.tensor(rows)
    values["difference"] = values["least"] - values["most"]
    return values


def test_road_agrees_with_its_literal_twin():
    x, scores, shares = pictures(2), noise(2), (0.2, 0.6)
    for order, want in literal_road(x, scores, shares).items():
        measure = RemoveAndDebias(order, shares, batch=3)
        got = measure.each(units(), x, Logit(0), maps(scores, x))
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_road_finds_the_planted_patches():
    x = pictures()
    for patch in READ:
        r, c = divmod(patch, 4)
        x[:, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4] += 0.8  # unlike what their neighbours say
    measure = RemoveAndDebias()
    good = measure(units(), x, Logit(0), told(truth(x)))
    assert good.beats_control and good.name == "road" and good.higher_is_better
    most = RemoveAndDebias("most")
    assert (most.name, most.higher_is_better) == ("road-most", False)
    mirrored = measure.each(units(), x, Logit(0), wrong(x))
    torch.testing.assert_close(mirrored, -measure.each(units(), x, Logit(0), truth(x)))


@pytest.mark.parametrize("shares", [(), (0.0,), (0.5, 1.0)])
def test_shares_that_make_no_sense_are_refused(shares):
    with pytest.raises(BadInput) as caught:
        RemoveAndDebias(shares=shares)
    assert str(caught.value) == (
        f"RemoveAndDebias removes shares between 0 and 1; it got {shares!r}. Try (0.1, 0.3, 0.5)."
    )


def test_unknown_fills_orders_and_no_steps_are_refused():
    with pytest.raises(BadInput) as caught:
        refused(Deletion(), "fill", "black")
    assert str(caught.value) == (
        "Deletion fills with 'mean', 'blur' or 'road'; it got 'black'. Choose one."
    )
    with pytest.raises(BadInput) as caught:
        Insertion(steps=0)
    assert str(caught.value) == "Insertion needs at least one step; it got 0. Try 12."
    with pytest.raises(BadInput) as caught:
        refused(RemoveAndDebias(), "order", "random")
    assert str(caught.value) == (
        "RemoveAndDebias removes in order 'most', 'least' or 'difference'; it got 'random'. "
        "Choose one."
    )
