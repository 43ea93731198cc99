import pytest
import torch
from torch.nn.functional import normalize

from legenda.describe.centred_naming import CentredNaming
from legenda.describe.naming import Abstention
from legenda.describe.token_names import Crops, embedded_crops, means, token_names
from legenda.describe.unit_vectors import VanillaNaming
from legenda.errors import BadInput
from tests.describe.toys import numbered, random


def world(tokens=40, meant=20, each=12, seed=0):
    """Crops of tokens: those of the first lean to a word each, those of the rest to nothing."""
    lot = torch.Generator().manual_seed(seed)
    words = random(200, seed)
    cone = 2 * random(1, 77)[0]
    token = torch.arange(tokens).repeat_interleave(each)
    lean = torch.zeros(tokens, 48)
    lean[:meant] = words[:meant]
    rows = 1.0 * lean[token] + torch.randn(len(token), 48, generator=lot) / 48**0.5 + cone
    return Crops(normalize(rows, dim=1), token), words


def test_tokens_whose_crops_have_something_in_common_are_named_and_others_are_not():
    right, false = [], []
    for seed in range(3):
        crops, words = world(seed=seed)
        for method in (CentredNaming(), CentredNaming(hubs="none")):
            names = token_names(crops, 40, numbered(200), words, method)
            right += [names[i].word == f"w{i}" for i in range(20)]
            false += [name.word is not None for name in names[20:]]
    assert sum(right) / len(right) > 0.95
    assert sum(false) / len(false) < 0.12


def test_equation_one_is_a_mean_of_unit_length():
    crops, _ = world(tokens=5, meant=3)
    found = means(crops.rows, crops.token, 6)
    for token in range(5):
        own = crops.rows[crops.token == token].mean(0)
        torch.testing.assert_close(found[token], own / own.norm())
    assert bool((found[5] == 0).all())


def test_a_token_with_few_crops_has_no_name_and_changes_nothing_for_others():
    crops, words = world()
    names = token_names(crops, 40, numbered(200), words, VanillaNaming())
    more = Crops(
        torch.cat([crops.rows, random(1, 9)]), torch.cat([crops.token, torch.tensor([41])])
    )
    found = token_names(more, 42, numbered(200), words, VanillaNaming())
    assert found[40].word is None and found[40].reason == "it was seen in 0 crops; 3 are needed"
    assert found[41].word is None and found[41].reason == "it was seen in 1 crop; 3 are needed"
    assert [n.candidates for n in found[:40]] == [n.candidates for n in names]


def test_the_seed_deals_and_the_draws_are_those_that_were_asked_for():
    crops, words = world()
    first = token_names(crops, 40, numbered(200), words, abstain=Abstention(draws=100))
    assert first == token_names(crops, 40, numbered(200), words, abstain=Abstention(draws=100))
    other = token_names(crops, 40, numbered(200), words, abstain=Abstention(draws=100, seed=1))
    assert other[0].null != first[0].null


def test_crops_are_embedded_in_batches_in_the_order_of_tokens():
    seen = []

    def embed_images(pictures):
        seen.append(list(pictures))
        return torch.stack([torch.tensor([float(p), 1.0]) for p in pictures])

    crops = embedded_crops({7: [70, 71], 2: [20], 5: []}, embed_images, batch=2)
    assert seen == [[20, 70], [71]]
    assert crops.token.tolist() == [2, 7, 7]
    torch.testing.assert_close(crops.rows.norm(dim=1), torch.ones(3))


def refusal(function):
    with pytest.raises(BadInput) as found:
        function()
    return str(found.value)


def test_crops_that_name_nothing_are_refused():
    crops, words = world(tokens=4, meant=2, each=2)
    twenty = numbered(200)
    assert refusal(lambda: token_names(crops, 4, twenty, words)) == (
        "no token has 3 crops or more; the most is 2. Survey more pictures."
    )
    assert refusal(lambda: token_names(crops, 3, twenty, words)) == (
        "crops show token 3; the codebook has 3 tokens."
    )
    assert refusal(lambda: embedded_crops({}, lambda p: torch.zeros(0, 1))) == (
        "tokens are named by crops; none has any. Survey pictures that hold them."
    )
    bad = crops.rows.clone()
    bad[0] = torch.nan
    assert refusal(lambda: Crops(bad, crops.token)) == ("1 of 8 crops embed to NaN or infinity.")
