import pytest

from legenda.core.attribute import ATTRIBUTES, FAMILIES, attribute_of


def test_every_attribute_is_in_one_family():
    assert sorted(n for names in FAMILIES.values() for n in names) == sorted(ATTRIBUTES)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_word_for_it_means_it(name):
    one = ATTRIBUTES[name]
    assert one.name == name
    for words in (name, name.replace("_", " "), one.label, one.label.upper(), f"The  {one.label}", *one.also):  # fmt: skip # noqa: E501
        assert attribute_of(words) == name


def test_no_word_means_two_attributes():
    words = [w for n, one in ATTRIBUTES.items() for w in {n.replace("_", " "), one.label, *one.also}]  # fmt: skip # noqa: E501
    assert len(words) == len(set(words))


def test_ends_differ_and_turns_are_of_angles():
    for one in ATTRIBUTES.values():
        assert one.less and one.more and one.less != one.more
        assert bool(one.circular) == (one.unit == "degrees")


def test_what_has_no_name_keeps_its_words():
    assert attribute_of("  The Hair   length ") == "hair length"
    assert attribute_of("") == ""
    assert attribute_of("sizes") == "sizes"
