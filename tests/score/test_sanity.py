import pytest
import torch

from legenda.core.dictionary import Identity
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.errors import BadInput, Missing, Unsupported
from legenda.score.cascade import CascadingRandomisation, redraw
from legenda.score.inputs import STREAMS
from legenda.score.likeness import spearman
from legenda.score.sanity import CaptionSwap, Gibberish, SeedStability, nonsense
from tests.score.toys import Activity, Edges, Patches, maps, network, noise, pictures, told

X = pictures(6)
ALL = torch.ones(6, 16, dtype=torch.bool)


def opened():
    return Units(network(), Identity(6))


def test_a_map_that_knows_nothing_of_the_model_survives_the_cascade():
    units, explain = opened(), Edges()
    evidence = explain(units, X, Logit(0))
    found = CascadingRandomisation(explain)(units, X, Logit(0), told(evidence))
    assert found.value == pytest.approx(1) and found.beats_control is False
    curve = CascadingRandomisation(explain).curve(units, X, Logit(0), evidence)
    torch.testing.assert_close(curve, torch.ones(4, 6))


@pytest.mark.parametrize("by", ["spearman", "ssim"])
def test_a_map_that_knows_the_model_does_not(by):
    units, explain = opened(), Activity()
    evidence = explain(units, X, Logit(0))
    measure = CascadingRandomisation(explain, by=by, seed=1)
    curve = measure.curve(units, X, Logit(0), evidence)
    torch.testing.assert_close(curve[0], torch.ones(6))
    assert curve[-1].mean() < 0.7
    assert torch.equal(curve[-1], measure.each(units, X, Logit(0), evidence))
    found = measure(units, X, Logit(0), told(evidence))
    assert found.value == pytest.approx(float(curve[-1].mean()))
    assert found == measure(units, X, Logit(0), told(evidence))


def test_the_cascade_agrees_with_its_literal_twin():
    units, explain = opened(), Activity()
    evidence = explain(units, X, Logit(0))
    curve = CascadingRandomisation(explain, ("5", "0"), seed=2).curve(units, X, Logit(0), evidence)
    twin = network()
    for step, (number, part) in enumerate([(0, "5"), (1, "0")]):
        lot = torch.Generator().manual_seed((STREAMS * (2 * 1009 + number + 1)) % 2**63)
        for weight in twin.module.get_submodule(part).parameters():
            spread = ((weight - weight.mean()) ** 2).mean().sqrt()
            weight.data = weight.mean() + spread * torch.randn(weight.shape, generator=lot)
        again = explain(Units(twin, Identity(6)), X, Logit(0))
        want = spearman(evidence.scores, again.scores, ALL)
        torch.testing.assert_close(curve[step + 1], want, rtol=1e-3, atol=1e-3)


def test_the_model_is_left_as_it_was():
    units = opened()
    before = [p.clone() for p in units.model.parameters()]
    explain = Activity()
    CascadingRandomisation(explain).each(units, X, Logit(0), explain(units, X, Logit(0)))
    assert all(torch.equal(a, b) for a, b in zip(before, units.model.parameters(), strict=True))
    assert all(p.grad is None for p in units.model.parameters())


def test_redrawn_weights_keep_their_spread():
    torch.manual_seed(0)
    part = torch.nn.Linear(200, 200)
    before = part.weight.detach().clone()
    redraw(part, 0)
    after = part.weight.detach()
    assert float(after.std()) == pytest.approx(float(before.std()), rel=0.02)
    both = torch.stack([before.flatten(), after.flatten()])
    assert abs(float(torch.corrcoef(both)[0, 1])) < 0.02


def test_an_unknown_part_is_refused_with_near_names():
    units = opened()
    measure = CascadingRandomisation(Edges(), ("7",))
    with pytest.raises(Missing) as caught:
        measure.each(units, X, Logit(0), Edges()(units, X, Logit(0)))
    assert str(caught.value) == ("cascade redraws modules by their dotted names; there is no '7'.")


def test_a_model_without_weights_is_refused():
    units = Units(Patches(), Identity(3))
    with pytest.raises(Unsupported) as caught:
        CascadingRandomisation(Edges()).each(units, X, Logit(0), Edges()(units, X, Logit(0)))
    assert str(caught.value) == (
        "cascade needs a network whose weights can be redrawn; patches has none. "
        "Open it as an nn.Module."
    )


@pytest.mark.parametrize("kind", [CaptionSwap, Gibberish])
def test_a_map_that_ignores_the_sentence_is_caught(kind):
    units = opened()
    deaf, hears = Edges(), Activity()
    found = kind(deaf, Logit(1))(units, X, Logit(0), told(deaf(units, X, Logit(0))))
    assert found.value == pytest.approx(1) and not found.higher_is_better
    evidence = hears(units, X, Logit(0))
    measure = kind(hears, Logit(1))
    values = measure.each(units, X, Logit(0), evidence)
    want = spearman(evidence.scores, hears(units, X, Logit(1)).scores, ALL)
    assert torch.equal(values, want)
    assert measure(units, X, Logit(0), told(evidence)).value == pytest.approx(float(want.mean()))
    assert float(want.mean()) < 1


def test_stability_is_one_without_luck_and_falls_with_it():
    units = opened()
    evidence = Activity()(units, X, Logit(0))
    values = []
    for jitter in (0.0, 0.5, 50.0):
        measure = SeedStability((Activity(jitter), Activity(jitter)))
        values.append(measure(units, X, Logit(0), told(evidence)).value)
    assert values[0] == pytest.approx(1) and values == sorted(values, reverse=True)
    both = SeedStability((Activity(0.5), Edges())).each(units, X, Logit(0), evidence)
    one = SeedStability((Activity(0.5),)).each(units, X, Logit(0), evidence)
    other = SeedStability((Edges(),)).each(units, X, Logit(0), evidence)
    torch.testing.assert_close(both, (one + other) / 2)


def test_the_control_of_a_likeness_is_near_zero():
    x = pictures(60)
    measure = SeedStability((Edges(),))
    found = measure(opened(), x, Logit(0), told(maps(noise(60), x)))
    assert abs(found.control) < 0.1 and found.control_interval[0] < 0 < found.control_interval[1]


def test_stability_without_seeds_is_refused():
    with pytest.raises(BadInput) as caught:
        SeedStability(())
    assert str(caught.value) == (
        "seed-stability needs the method with at least one other seed; it got 0."
    )


def test_nonsense_can_be_read_and_means_nothing():
    first = nonsense(20, words=4, seed=1)
    assert first == nonsense(20, words=4, seed=1) != nonsense(20, words=4, seed=2)
    assert all(len(text.split()) == 4 and text.islower() for text in first)
    assert len(set(first)) == 20
