"""Class-mean differences, probes and principal directions."""

import re

import numpy as np
import pytest
import torch

from legenda.dictionaries.class_mean_directions import ClassMeanDirections
from legenda.dictionaries.direction_check import checked, held_out
from legenda.dictionaries.directions import open_directions, save_directions
from legenda.dictionaries.principal_directions import PrincipalDirections, spectrum
from legenda.dictionaries.probe_directions import ProbeDirections
from legenda.errors import BadInput
from tests.contracts import check_dictionary
from tests.dictionaries.named import labelled_rows, lot_of

FAST = ProbeDirections(strengths=(0.1, 1.0), folds=3, shuffles=6)
ONE = ProbeDirections(strengths=(0.1,), shuffles=20)
NAMES = ["one", "other"]


def cosine(a, b):
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0))


def axis(*which, width=8):
    found = torch.zeros(width)
    found[list(which)] = 1.0
    return found


# ------------------------------------------------------------------------ class means


def test_plain_differences_are_equation_1():
    acts, labels = labelled_rows()
    found = ClassMeanDirections(shuffles=5)(acts, labels, NAMES).directions
    for i in range(2):
        ones, others = [], []
        for row, yes in zip(acts[:, 0].tolist(), labels[:, i].tolist(), strict=True):
            (ones if yes else others).append(row)
        delta = np.mean(ones, 0) - np.mean(others, 0)
        assert np.allclose(found.lines[i].numpy(), delta / np.linalg.norm(delta), atol=1e-5)


def test_standardised_and_shrunk_are_equations_2_and_3():
    from sklearn.covariance import LedoitWolf

    acts, labels = labelled_rows()
    rows, own = acts[:, 0].double(), labels[:, 0]
    ones, others = rows[own], rows[~own]
    delta = ones.mean(0) - others.mean(0)
    within = torch.cat([ones - ones.mean(0), others - others.mean(0)])
    plain = ClassMeanDirections("standardised").line(rows, own)
    assert torch.allclose(plain, delta / within.square().mean(0))
    whole = LedoitWolf(assume_centered=True).fit(within.numpy()).covariance_
    wanted = np.linalg.inv(whole) @ delta.numpy()
    assert np.allclose(ClassMeanDirections("shrunk").line(rows, own).numpy(), wanted, rtol=1e-5)


def test_planted_directions_are_found_and_hold():
    acts, labels = labelled_rows(nuisance=0.0)
    found = ClassMeanDirections()(acts, labels, NAMES)
    assert cosine(found.directions.lines[0], axis(0)) > 0.95
    assert cosine(found.directions.lines[1], axis(1, 2)) > 0.95
    assert all(check.holds for check in found.checks)
    assert found.checks[0].auroc.value > 0.85 and found.checks[0].auroc.n == 120
    assert found.checks[0].accuracy.interval[0] > 0.6
    check_dictionary(found.directions, acts[:8])
    codes = found.directions.encode(acts).dense()[:, 0]
    assert torch.allclose(codes.std(0), torch.ones(2), atol=1e-4), "1 is a standard deviation"
    assert torch.allclose(codes.mean(0), torch.zeros(2), atol=1e-4)


def test_shrinking_reads_better_where_something_else_varies_along():
    acts, labels = labelled_rows(1000, nuisance=3.0)
    plain, shrunk = (ClassMeanDirections(form, shuffles=5)(acts, labels, NAMES) for form in ("plain", "shrunk"))  # fmt: skip # noqa: E501
    assert shrunk.checks[0].auroc.interval[0] > plain.checks[0].auroc.interval[1]
    assert float(shrunk.directions.lines[0][3]) < -0.5, "it takes away what both axes share"


@pytest.mark.parametrize("learn", [ClassMeanDirections(shuffles=50), ONE], ids=["means", "probe"])
def test_labels_by_lot_do_not_hold(learn):
    acts, _ = labelled_rows()
    labels = torch.rand(len(acts), 6, generator=lot_of(9)) < 0.5
    found = learn(acts, labels, list("abcdef"))
    assert sum(check.holds for check in found.checks) <= 1
    assert abs(np.mean([check.auroc.value for check in found.checks]) - 0.5) < 0.1


def test_positions_are_pooled_and_the_seed_decides_the_check_alone():
    acts, labels = labelled_rows()
    many = acts.repeat(1, 3, 1) + torch.tensor([-1.0, 0.0, 1.0])[None, :, None]
    one, other = (ClassMeanDirections(shuffles=5, seed=s)(many, labels, NAMES) for s in (0, 1))
    again = ClassMeanDirections(shuffles=5)(acts, labels, NAMES)
    assert torch.allclose(one.directions.atoms, again.directions.atoms, atol=1e-5)
    assert torch.equal(one.directions.atoms, other.directions.atoms)
    assert one.checks[0].auroc.value == again.checks[0].auroc.value
    assert one.checks[0].auroc != other.checks[0].auroc


def test_a_flipped_label_turns_the_direction_round():
    acts, labels = labelled_rows()
    one, other = (ClassMeanDirections(shuffles=5)(acts, y, NAMES) for y in (labels, ~labels))
    assert torch.allclose(one.directions.lines, -other.directions.lines, atol=1e-5)


# ------------------------------------------------------------------------ the check


def test_who_is_held_out_is_drawn_label_by_label():
    labels = torch.arange(40) < 10
    out = held_out(labels, 0.3, lot_of(0))
    assert int(out[labels].sum()) == 3 and int(out[~labels].sum()) == 9
    few = held_out(torch.arange(8) < 4, 0.01, lot_of(0))
    assert int(few.sum()) == 4, "two of each at least"


def test_the_check_never_shows_the_learner_what_it_asks():
    acts, labels = labelled_rows(60)
    seen = []

    def learn(rows, own):
        seen.append(rows)
        return rows[own].mean(0) - rows[~own].mean(0), 0.0

    found = checked(learn, acts[:, 0].double(), labels[:, 0], "x", 0.3, 4, 0)
    assert len(seen) == 5 and all(torch.equal(rows, seen[0]) for rows in seen)
    assert len(seen[0]) + found.auroc.n == 60


def test_the_check_is_equations_1_and_2():
    acts, labels = labelled_rows(60)
    rows, own = acts[:, 0].double(), labels[:, 0]
    line = torch.arange(8.0).double()
    found = checked(lambda x, y: (line, 2.0), rows, own, "x", 0.3, 4, 0)
    out = held_out(own, 0.3, lot_of(0))
    wins, pairs, right = 0.0, 0, 0
    for x, yes in zip(rows[out], own[out], strict=True):
        right += bool((x @ line > 2.0) == yes)
        for other, its in zip(rows[out], own[out], strict=True):
            if yes and not its:
                pairs += 1
                wins += float(x @ line > other @ line) + 0.5 * float(x @ line == other @ line)
    assert found.auroc.value == pytest.approx(wins / pairs)
    assert found.accuracy.value == pytest.approx(right / int(out.sum()))


# ------------------------------------------------------------------------ probes


def test_a_probe_descends_to_equation_1():
    acts, labels = labelled_rows(200)
    rows, own = acts[:, 0].double(), labels[:, 0]
    line, threshold, strength = ProbeDirections(strengths=(0.5,)).fitted(rows, own)
    assert strength == 0.5
    x = (rows - rows.mean(0)) / rows.std(0)
    weight = torch.where(own, len(own) / 2 / own.sum(), len(own) / 2 / (~own).sum())

    def loss(w, c):
        p = (x @ w + c).sigmoid()
        each = -(own * p.log() + ~own * (1 - p).log())
        return 0.5 * w @ w + 0.5 * (weight * each).sum()

    w = (line * rows.std(0)).requires_grad_()
    c = (rows.mean(0) @ line - threshold).detach().clone().requires_grad_()
    slopes = torch.autograd.grad(loss(w, c), [w, c])
    assert all(float(s.abs().max()) < 0.05 for s in slopes), "no way down is left"


def test_a_probe_takes_away_what_varies_along_and_chooses_its_strength():
    acts, labels = labelled_rows(600, nuisance=3.0)
    found = FAST(acts, labels, NAMES)
    assert found.checks[0].holds and found.checks[0].auroc.value > 0.75
    assert float(found.directions.lines[0][3]) < -0.5
    assert cosine(found.directions.lines[1], axis(1, 2)) > 0.9
    assert len(found.directions.made["chosen"]) == 2
    assert set(found.directions.made["chosen"]) <= {0.1, 1.0}


def test_few_labels_and_many_channels_choose_to_shrink():
    acts, labels = labelled_rows(60, width=40, shift=0.5, nuisance=0.0)
    probe = ProbeDirections(strengths=(1e-3, 1e3), folds=3)
    assert probe.fitted(acts[:, 0].double(), labels[:, 0])[2] == 1e-3


def test_how_they_were_made_is_kept(tmp_path):
    acts, labels = labelled_rows(100)
    for learn in (FAST, ClassMeanDirections(shuffles=5)):
        found = learn(acts, labels, NAMES)
        save_directions(tmp_path, found.directions)
        made = open_directions(tmp_path, 8).made
        assert made["learner"] == type(learn).__name__ and made["pictures"] == 100
        assert eval(repr(learn), {type(learn).__name__: type(learn)}) == learn


# ------------------------------------------------------------------------ principal directions


def tilted(count=400, seed=0):
    lot = lot_of(seed)
    rows = torch.randn(count, 6, generator=lot)
    return (rows + 2.0 * torch.randn(count, 1, generator=lot) * axis(0, 1, width=6))[:, None]


def test_shares_are_those_of_the_singular_values():
    acts = tilted()
    found = PrincipalDirections(draws=20)(acts)
    rows = acts[:, 0].double().numpy()
    _, sizes, right = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    assert np.allclose(found.shares, sizes**2 / (sizes**2).sum())
    assert np.allclose(np.abs((found.directions.lines.numpy() * right).sum(1)), 1, atol=1e-4)
    codes = found.directions.encode(acts).dense()[:, 0]
    assert torch.allclose(codes.std(0, correction=0), torch.ones(6), atol=1e-4)
    assert found.directions.names[:2] == ("pc1", "pc2") and found.n == 400


def test_a_broken_stick_is_equation_2():
    null = PrincipalDirections(null="stick").control(tilted()[:, 0].double())
    for k in range(6):
        assert float(null[k]) == pytest.approx(sum(1 / i for i in range(k + 1, 7)) / 6)
    lot = np.random.default_rng(0)
    cuts = np.sort(lot.random((20_000, 5)), 1)
    parts = np.diff(np.concatenate([np.zeros((len(cuts), 1)), cuts, np.ones((len(cuts), 1))], 1))
    assert np.allclose(-np.sort(-parts, 1).mean(0), null.numpy(), atol=0.01), "a stick, broken"


def test_channels_dealt_anew_are_equation_3():
    rows = tilted(60)[:, 0].double()
    how = PrincipalDirections(draws=8)
    lot, found = lot_of(0), []
    for _ in range(8):
        order = torch.rand(rows.shape, generator=lot).argsort(0)
        dealt = torch.stack([rows[order[:, i], i] for i in range(6)], 1).numpy()
        values = np.linalg.eigvalsh(np.cov(dealt.T, bias=True))[::-1]
        found.append(values / values.sum())
    assert np.allclose(how.control(rows).numpy(), np.quantile(found, 0.95, axis=0))


@pytest.mark.parametrize("null", ["dealt", "stick"])
def test_one_planted_direction_is_supported_and_no_more(null):
    found = PrincipalDirections(null=null, draws=50)(tilted())
    assert found.supported == 1
    assert cosine(found.directions.lines[0], axis(0, 1, width=6)) > 0.98
    low, high = found.intervals[0]
    assert found.control[0] < low < found.shares[0] < high


def test_independent_channels_have_no_principal_direction_but_themselves():
    scale = torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2, 0.1])
    acts = (torch.randn(500, 6, generator=lot_of(0)) * scale)[:, None]
    assert PrincipalDirections(draws=50)(acts).supported == 0
    assert PrincipalDirections(null="stick", draws=5)(acts).supported > 0, "unequal sticks"


def test_axes_that_are_empty_are_left_out():
    acts = torch.cat([tilted(), torch.ones(400, 1, 2)], 2)
    assert len(PrincipalDirections(draws=5)(acts).directions) == 6
    assert len(PrincipalDirections(most=2, draws=5)(acts).directions) == 2
    assert spectrum(acts[:, 0].double())[0].min() >= 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ClassMeanDirections()(*labelled_rows(20)[:1], torch.ones(20, 1).bool(), ["a"]),
            "ClassMeanDirections needs 4 pictures with and 4 without 'a', to learn from some and "
            "ask others; the rarer has 0. Label more, or leave it out.",
        ),
        (
            lambda: FAST(labelled_rows(20)[0], torch.ones(20, 2).bool(), ["a"]),
            "ProbeDirections needs a label of each of 1 names for each of 20 pictures; it got "
            "20 × 2. Give one row per picture.",
        ),
        (
            lambda: ClassMeanDirections(held=1.0),
            "ClassMeanDirections are plain, standardised, shrunk, with a share held out between 0 "
            "and 1 and two shuffles or more; they got 'plain', held=1.0 and shuffles=100.",
        ),
        (
            lambda: ProbeDirections(strengths=(0.0,)),
            "ProbeDirections choose among strengths above 0 in two folds or more; they got (0.0,) "
            "and 5.",
        ),
        (
            lambda: ProbeDirections(held=0.0),
            "ProbeDirections hold out a share between 0 and 1 and shuffle twice or more; they got "
            "held=0.0 and shuffles=40.",
        ),
        (
            lambda: PrincipalDirections(most=0),
            "PrincipalDirections keep one direction or more, by the null 'dealt' or 'stick' and "
            "two draws or more; they got most=0, 'dealt' and draws=200.",
        ),
        (
            lambda: PrincipalDirections()(torch.ones(5, 1, 2)),
            "PrincipalDirections need three pictures or more that differ; they got 5. Give more.",
        ),
    ],
)
def test_what_they_refuse(call, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        call()
