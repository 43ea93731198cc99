import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from legenda.describe.centred_naming import CentredNaming
from legenda.describe.contrastive_naming import ContrastiveNaming
from legenda.describe.family_naming import FamilyNaming
from legenda.describe.name_file import names_to_json, read_names
from legenda.describe.naming import (
    Abstention,
    Name,
    NameCheck,
    apart,
    elders_first,
    named,
    short,
)
from legenda.describe.unit_vectors import UnitEvidence, VanillaNaming
from legenda.errors import BadInput, Missing, Refused, ShapeError
from tests.describe.toys import numbered, random, survey_of


def world(words=400, meant=60, empty=60, noise=0.3, seed=0):
    """Units of which the first `meant` each point to a word and the rest to nothing."""
    lot = torch.Generator().manual_seed(seed)
    scale = torch.linspace(2, 0.3, 48)
    told = normalize(torch.randn(words, 48, generator=lot) * scale, dim=1)
    pick = torch.randperm(words, generator=lot)[:meant]
    blur = noise * normalize(torch.randn(meant, 48, generator=lot), dim=1)
    nothing = torch.randn(empty, 48, generator=lot) * scale
    return normalize(torch.cat([told[pick] + blur, nothing]), dim=1), told, pick


METHODS = (
    VanillaNaming(),
    VanillaNaming(hubs="csls"),
    VanillaNaming(hubs="zscore"),
    CentredNaming(),
    ContrastiveNaming(),
    ContrastiveNaming(of=CentredNaming()),
)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_planted_words_are_found_and_units_without_meaning_have_no_name(method):
    right, false = [], []
    for seed in range(3):
        atoms, words, pick = world(seed=seed)
        names = named(UnitEvidence(atoms), numbered(400), words, method)
        right += [names[i].word == f"w{w}" for i, w in enumerate(pick.tolist())]
        false += [name.word is not None for name in names[60:]]
    assert np.mean(right) > 0.95
    assert np.mean(false) < 0.1


def test_a_higher_level_names_fewer_and_the_reason_says_by_how_much():
    atoms, words, _ = world(noise=1.5)
    count = {}
    for level in (0.0, 0.5, 0.99):
        names = named(UnitEvidence(atoms), numbered(400), words, abstain=Abstention(level))
        count[level] = sum(name.word is not None for name in names)
    assert count[0.0] > count[0.5] > count[0.99]
    left = next(name for name in names if name.word is None)
    assert left.reason == (
        f"no word stands out: {short(left.score)}, null .99 quantile {short(left.null)}"
    )
    assert left.score <= left.null and len(left.candidates) == 6 and left.by == "VanillaNaming"
    assert left.margin == left.candidates[0][1] - left.candidates[1][1]


def test_the_seed_decides_and_order_of_units_does_not():
    atoms, words, _ = world()
    first = named(UnitEvidence(atoms), numbered(400), words)
    assert first == named(UnitEvidence(atoms), numbered(400), words)
    other = named(UnitEvidence(atoms), numbered(400), words, abstain=Abstention(seed=1))
    assert other[0].null != first[0].null
    assert [n.candidates for n in other] == [n.candidates for n in first]


def test_the_length_of_atoms_and_words_is_nothing():
    atoms, words, _ = world()
    plain = named(UnitEvidence(atoms), numbered(400), words)
    long = named(UnitEvidence(7 * atoms), numbered(400), 0.2 * words)
    assert [n.word for n in plain] == [n.word for n in long]


def test_one_word_alone_is_matched():
    names = named(UnitEvidence(random(5, 0)), numbered(1), random(1, 1))
    assert all(name.candidates[0][0] == "w0" and name.margin == 0 for name in names)


def test_a_unit_that_was_never_on_has_no_name_and_takes_no_part():
    codes = np.array([[1.0, 0, 0.5], [0.5, 0, 1.0]])
    survey = survey_of(codes)
    atoms, words = random(3, 0), random(20, 1)
    names = named(UnitEvidence(atoms, survey=survey), numbered(20), words)
    assert names[1].word is None
    assert names[1].reason == "it was on at no position of the survey"
    other = atoms.clone()
    other[1] = random(1, 9)[0]
    again = named(UnitEvidence(other, survey=survey), numbered(20), words)
    assert again[0] == names[0] and again[2] == names[2]
    with pytest.raises(BadInput) as found:
        named(UnitEvidence(atoms, survey=survey_of(0 * codes)), numbered(20), words)
    assert str(found.value) == (
        "no unit was on at any position of the survey. Survey other images."
    )


def name(unit, *candidates, null=0.1):
    word = candidates[0][0] if candidates[0][1] > null else None
    return Name(unit, word, candidates[0][1], 0.0, candidates, null=null)


def test_a_child_gives_way_to_its_parent_where_it_can():
    names = (
        name(0, ("boat", 0.8), ("ship", 0.7), ("sea", 0.05)),
        name(1, ("boat", 0.9), ("sail", 0.6), ("sea", 0.5)),
        name(2, ("boat", 0.9), ("sea", 0.05)),
        name(3, ("sail", 0.9), ("boat", 0.8), ("mast", 0.3)),
    )
    found = apart(names, {0: [1], 2: [1], 3: [0, 1]})
    assert [n.word for n in found] == ["ship", "boat", "boat", "sail"]
    assert found[0].reason == "'boat' is the name of its parent, unit 1"
    assert found[0].score == 0.7 and found[0].margin == pytest.approx(-0.1)
    assert found[1] is names[1] and found[2] is names[2]


def test_grandparents_come_first_and_circles_end():
    assert elders_first({0: [1], 1: [2]}, 3) == [2, 1, 0]
    assert elders_first({0: [1], 1: [0]}, 2) == [1, 0]
    names = (name(0, ("a", 0.9), ("b", 0.8)), name(1, ("a", 0.9), ("c", 0.8)))
    assert [n.word for n in apart(names, {0: [1], 1: [0]})] == ["b", "a"]
    with pytest.raises(BadInput) as found:
        elders_first({0: [7]}, 2)
    assert str(found.value) == "parents name unit 7; there are 2 units."


def test_named_keeps_children_apart():
    words = random(50, 1)
    atoms = normalize(torch.stack([words[0] + 0.4 * words[1], words[0] + 0.1 * words[2]]), dim=1)
    evidence = UnitEvidence(torch.cat([atoms, random(60, 3)]))
    free = named(evidence, numbered(50), words)
    kept = named(evidence, numbered(50), words, abstain=Abstention(0.0), parents={0: [1]})
    assert free[0].word == free[1].word == "w0"
    assert kept[0].word != "w0" and kept[1].word == "w0"


def refusal(function):
    with pytest.raises((BadInput, ShapeError, Refused)) as found:
        function()
    return str(found.value)


def test_what_cannot_be_named_is_refused_in_words():
    atoms, words = random(4, 0), random(5, 1)
    five = numbered(5)
    assert refusal(lambda: named(UnitEvidence(atoms), numbered(6), words)) == (
        "6 words need as many embeddings; there are (5, 48). Embed this vocabulary."
    )
    assert refusal(lambda: named(UnitEvidence(random(4, 0, 9)), five, words)) == (
        "units of width 9 and words of width 48 are not in one space. Embed the words with the "
        "model whose units are named."
    )
    assert refusal(lambda: named(UnitEvidence(atoms), five, words, VanillaNaming(near=0))) == (
        "hubs are corrected by none, csls, zscore, over one neighbour or more; it got 'none' and "
        "near=0."
    )
    assert refusal(lambda: Abstention(1.0)) == (
        "Abstention needs a level from 0 to below 1 and at least one draw; it got level=1.0, "
        "draws=2048."
    )
    assert refusal(lambda: named(UnitEvidence(atoms), five, words, FamilyNaming())) == (
        "FamilyNaming needs a survey of the units; there is none. Run a survey first, or use "
        "VanillaNaming, which needs none."
    )
    broken = atoms.clone()
    broken[2, 0] = torch.nan
    assert refusal(lambda: UnitEvidence(broken)) == (
        "1 of 4 atoms hold NaN or infinity. Fit the dictionary anew."
    )
    assert refusal(lambda: UnitEvidence(atoms, survey=survey_of(np.eye(3)))) == (
        "4 units need a survey of 4; that of toy/sae has 3. Survey this dictionary."
    )
    assert refusal(lambda: UnitEvidence(atoms, bias=torch.zeros(9))) == (
        "units of width 48 need a bias of that width; it has (9,)."
    )


def test_names_go_to_json_and_back(tmp_path):
    check = NameCheck(0.8, (0.7, 0.9), 40, 12, 0.5, float("nan"))
    names = (
        Name(0, "dog", 0.5, 0.1, (("dog", 0.5), ("cat", 0.4)), "", "VanillaNaming", 0.3, check),
        Name(1, None, 0.2, 0.1, (("é", 0.2), ("b", 0.1)), "no word stands out", "x", 0.3),
    )
    path = tmp_path / "names.json"
    path.write_text(names_to_json(names, {"method": VanillaNaming()}), "utf-8")
    back = read_names(path)
    assert back[1] == names[1]
    assert back[0].check is not None and back[0].check.shuffled != back[0].check.shuffled
    assert back[0].check.interval == (0.7, 0.9) and back[0].candidates == names[0].candidates
    assert "VanillaNaming(add_bias=False" in path.read_text("utf-8")
    empty = tmp_path / "empty.json"
    empty.write_text(names_to_json(()), "utf-8")
    assert read_names(empty) == ()


def test_files_that_hold_no_names_are_refused(tmp_path):
    path = tmp_path / "names.json"
    with pytest.raises(Missing):
        read_names(path)
    path.write_text('{"schema": 1,\n oops')
    assert refusal(lambda: read_names(path)) == (
        f"{path} is not JSON at line 2. Name the units again."
    )
    path.write_text('{"schema": 2, "names": []}')
    assert refusal(lambda: read_names(path)) == (
        f"{path} needs schema 1; it has 2. Name the units again with this version."
    )
    path.write_text('{"schema": 1, "names": [{"unit": 1}]}')
    assert refusal(lambda: read_names(path)) == (
        f"{path} holds a name that cannot be read: 'check'. Name the units again."
    )
