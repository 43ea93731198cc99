"""A person's name stands above every other, until it is undone."""

import pytest

from legenda.atlas.corrections import rename, said_of, undo, unit_of
from legenda.atlas.entries import ModelEntry, SetEntry, UnitEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_model, put_set, put_units
from legenda.errors import BadInput
from tests.atlas.made import made


@pytest.fixture
def atlas(tmp_path):
    with Atlas(made(tmp_path / "a"), write=True) as opened:
        yield opened


def row(atlas, unit):
    return tuple(atlas.one("SELECT name, said, state FROM units WHERE id = ?", unit))


def test_a_name_is_given_changed_and_taken_back(atlas):
    rename(atlas, 2, "  slant,\n to the left ", "me")
    assert row(atlas, 2) == ("slant, to the left", "", "named")
    assert said_of(atlas, 2) == {
        "id": 2, "address": "zoo:vae/latents/1", "name": "slant, to the left", "said": "",
        "state": "named", "by": "me",
    }  # fmt: skip
    rename(atlas, 2, "slant")
    assert row(atlas, 2) == ("slant", "", "named")
    assert atlas.value("SELECT count(*) FROM corrections") == 1
    assert undo(atlas, 2) == ""
    assert row(atlas, 2) == ("", "", "abstained")


def test_undoing_brings_back_what_was_said_meanwhile(atlas):
    rename(atlas, 5, "tabby")
    put_units(atlas, [UnitEntry(2, 1, "concept 1", "inactive", "kitten")])
    assert row(atlas, 5) == ("tabby", "kitten", "named")
    assert undo(atlas, 5) == "kitten"
    assert row(atlas, 5) == ("kitten", "kitten", "inactive")


def test_a_correction_is_found_by_its_words(atlas):
    rename(atlas, 2, "zebra")
    asked = "SELECT rowid FROM words WHERE words MATCH 'zebra'"
    assert atlas.value(asked) == 2
    undo(atlas, 2)
    assert atlas.value(asked) is None


@pytest.mark.parametrize("given", ["5", "zoo:scenes/matryoshka/1", "scenes/matryoshka/1"])
def test_a_unit_is_given_by_id_or_address(atlas, given):
    assert unit_of(atlas, given) == 5


UNKNOWN = {
    "99": "{0} has no unit 99. `legenda atlas search` lists ids.",
    "9" * 30: "{0} has no unit " + "9" * 30 + ". `legenda atlas search` lists ids.",
    "cat": "a unit is given by its id, or as model/dictionary/number; it got 'cat'. `legenda atlas search` lists both.",  # noqa: E501
    "a/b/-1": "a unit is given by its id, or as model/dictionary/number; it got 'a/b/-1'. `legenda atlas search` lists both.",  # noqa: E501
    "zoo:vae/latents/3": "zoo:vae/latents of {0} has 3 units; there is no zoo:vae/latents/3.",
    "zoo:vae/latent/1": "{0} has no unit zoo:vae/latent/1. Did you mean 'zoo:vae/latents' or "
    "'zoo:vae/codebook'? "
    "`legenda atlas info` lists what it has.",
}


@pytest.mark.parametrize(("given", "said"), UNKNOWN.items())
def test_an_unknown_unit_is_refused(atlas, given, said):
    with pytest.raises(BadInput) as caught:
        rename(atlas, unit_of(atlas, given), "x")
    assert str(caught.value) == said.format(atlas.folder)


def test_an_address_of_two_units_is_refused(atlas):
    model = put_model(atlas, ModelEntry("zoo:vae", "vae", "deeper", "1", "aa" * 16))
    put_units(atlas, [UnitEntry(put_set(atlas, SetEntry(model, "latents", "latent", 3)), 1, "l")])
    with pytest.raises(BadInput) as caught:
        unit_of(atlas, "zoo:vae/latents/1")
    assert str(caught.value) == (
        f"zoo:vae/latents/1 is 2 units of {atlas.folder}. Say which by id: 2 (site latents) or 12 "
        "(site deeper)."
    )


def test_a_name_needs_letters_and_not_too_many(atlas):
    with pytest.raises(BadInput) as caught:
        rename(atlas, 2, " \n")
    assert str(caught.value) == (
        "a name needs a letter; it got none. Give a name, or --undo the last one."
    )
    with pytest.raises(BadInput) as caught:
        rename(atlas, 2, "x" * 201)
    assert str(caught.value) == "a name has up to 200 letters; it got 201. Give a shorter."
    with pytest.raises(BadInput) as caught:
        rename(atlas, 999, "x")
    assert str(caught.value) == (
        f"{atlas.folder} has no unit 999. `legenda atlas search` lists ids."
    )
    with pytest.raises(BadInput) as caught:
        undo(atlas, 2)
    assert str(caught.value) == (
        f"unit 2 of {atlas.folder} has no name by a person. There is none to undo."
    )
    assert row(atlas, 2) == ("", "", "abstained")
