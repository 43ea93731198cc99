import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from legenda.describe.centred_naming import CentredNaming
from legenda.describe.contrastive_naming import ContrastiveNaming, nearest, together
from legenda.describe.naming import Abstention, named
from legenda.describe.unit_vectors import UnitEvidence, VanillaNaming
from legenda.errors import BadInput
from tests.describe.toys import numbered, random, survey_of

FREE = Abstention(0.0)


def siblings():
    """Four units of one kind, each with a quality of its own, among words for kind and quality."""
    words = random(60, 1)
    units = normalize(words[0] + 0.6 * words[1:5], dim=1)
    return units, words


def test_siblings_get_words_of_their_own():
    units, words = siblings()
    evidence = UnitEvidence(units)
    plain = [n.word for n in named(evidence, numbered(60), words, abstain=FREE)]
    method = ContrastiveNaming(neighbours=3, share=1.0)
    own = [n.word for n in named(evidence, numbered(60), words, method, FREE)]
    assert plain == ["w0"] * 4
    assert own == ["w1", "w2", "w3", "w4"]


def test_a_larger_share_says_less_of_what_siblings_have_in_common():
    units, words = siblings()
    near = []
    for share in (0.0, 0.5, 1.0):
        v = ContrastiveNaming(neighbours=3, share=share).directions(UnitEvidence(units))
        near.append(float((normalize(v, dim=1) @ words[0]).mean()))
    assert near[0] > near[1] > near[2]
    nothing = ContrastiveNaming(share=0.0).directions(UnitEvidence(units))
    torch.testing.assert_close(nothing, units)


@pytest.mark.parametrize("against", ["nearest", "together"])
def test_directions_are_those_of_the_literal_loop(against):
    lot = np.random.default_rng(0)
    codes = lot.exponential(size=(40, 7)) * (lot.random((40, 7)) < 0.5)
    codes[:, 5] = 0.0
    survey, x = survey_of(codes), random(7, 0, 6)
    on = (codes > 1e-3).astype(float)
    found = ContrastiveNaming(against=against, neighbours=3).directions(
        UnitEvidence(x, survey=survey)
    )
    for i in range(7):
        near = {}
        for j in range(7):
            pairs = (on[:, i] * on[:, j]).sum()
            cosine = pairs / np.sqrt(max(1e-30, on[:, i].sum() * on[:, j].sum()))
            near[j] = float(x[i] @ x[j]) if against == "nearest" else cosine
        least = -2.0 if against == "nearest" else 0.0
        best = sorted((j for j in near if j != i and near[j] > least), key=lambda j: -near[j])[:3]
        mean = x[best].mean(0) if best else torch.zeros(6)
        torch.testing.assert_close(found[i], x[i] - 0.5 * mean)


def test_neighbours_never_hold_the_unit_itself_nor_more_than_there_are():
    which, there = nearest(random(4, 0), 9)
    assert which.shape == (4, 3) and bool((which != torch.arange(4)[:, None]).all())
    assert bool((there == 1).all())
    which, there = together(survey_of(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])), 2)
    assert there.tolist() == [[1, 0], [1, 0], [0, 0]] and which[0, 0] == 1 and which[1, 0] == 0
    alone = ContrastiveNaming().directions(UnitEvidence(random(1, 0)))
    torch.testing.assert_close(alone, random(1, 0))


def test_it_goes_on_from_another_way_of_naming():
    method = ContrastiveNaming(of=CentredNaming(hubs="zscore", near=7))
    assert (method.hubs, method.near) == ("zscore", 7)
    words = random(5, 0)
    torch.testing.assert_close(method.lexicon(words), CentredNaming().lexicon(words))


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(BadInput) as found:
        ContrastiveNaming(neighbours=0)
    assert str(found.value) == (
        "ContrastiveNaming needs at least one neighbour and a share from 0 to 1; it got "
        "neighbours=0, share=0.5."
    )


def test_centring_is_its_equation_and_undoes_two_cones():
    lot = torch.Generator().manual_seed(0)
    told = random(80, 1)
    cone = 3 * random(1, 2)[0]
    words = normalize(told + cone, dim=1)  # words lie in one cone
    away = 3 * random(1, 3)[0]  # and pictures in another
    atoms = normalize(told[:20] + 0.5 * torch.randn(20, 48, generator=lot) / 48**0.5, dim=1)
    evidence = UnitEvidence(atoms, away, image_mean=away)
    expected = normalize(words - words.mean(0), dim=1)
    torch.testing.assert_close(CentredNaming().lexicon(words), expected)
    torch.testing.assert_close(CentredNaming().directions(evidence), atoms, atol=1e-5, rtol=1e-5)
    right = {}
    for method in (VanillaNaming(add_bias=True), CentredNaming()):
        names = named(evidence, numbered(80), words, method, FREE)
        right[method] = sum(n.word == f"w{i}" for i, n in enumerate(names))
    assert list(right.values())[0] < 10 and list(right.values())[1] == 20


def test_the_mean_activation_is_that_of_the_survey():
    codes = np.random.default_rng(0).exponential(size=(30, 4))
    atoms, bias = random(4, 0), random(1, 1)[0]
    mean = UnitEvidence(atoms, bias, survey_of(codes)).mean
    slow = torch.from_numpy(codes).float() @ atoms + bias
    torch.testing.assert_close(mean, slow.mean(0))
    assert torch.equal(UnitEvidence(atoms, bias).mean, bias)
    assert torch.equal(UnitEvidence(atoms).mean, torch.zeros(48))


def test_strength_is_that_of_the_exemplars():
    codes = np.array([[4.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    atoms, bias = random(2, 0), random(1, 1)[0]
    evidence = UnitEvidence(atoms, bias, survey_of(codes, top=2))
    found = VanillaNaming(add_bias=True, strength="exemplars").directions(evidence)
    torch.testing.assert_close(found, torch.tensor([[3.0], [1.0]]) * atoms + bias)
    torch.testing.assert_close(VanillaNaming(add_bias=True).directions(evidence), atoms + bias)
