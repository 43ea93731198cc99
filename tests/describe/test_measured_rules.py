"""What follows from what, and the plain word of a family: each rule by itself."""

import torch

from legenda.describe.measured_rules import NAMES, follows, plainest

NONE = torch.zeros(len(NAMES), len(NAMES), dtype=torch.bool)


def moved(**own):
    row = torch.zeros(1, len(NAMES), dtype=torch.float64)
    for name, value in own.items():
        row[0, NAMES.index(name)] = value
    return row


def left_out(row, shadows=NONE):
    return {name for name, out in zip(NAMES, follows(row, shadows, 0.5)[0].tolist(), strict=True) if out}  # fmt: skip # noqa: E501


WHOLE = {"brightness", "contrast", "texture"}


def test_of_a_whole_picture_nothing_is_named_where_there_is_an_object():
    assert left_out(moved(x=1.0)) == WHOLE
    assert left_out(moved(size=torch.nan)) == set()


def test_what_shrinks_grows_pale_and_not_the_other_way_round():
    assert left_out(moved(size=-2.0, saturation=-1.0)) >= {"saturation", "object_brightness"}
    assert "saturation" not in left_out(moved(size=-0.4, saturation=-0.3))
    assert "saturation" not in left_out(moved(size=-1.0, saturation=-2.0))
    assert "saturation" in left_out(moved(stroke=-2.0, saturation=1.0))


def test_a_whole_that_follows_casts_no_shadow():
    shadows = NONE.clone()
    shadows[NAMES.index("brightness"), NAMES.index("background")] = True
    assert "background" not in left_out(moved(background=2.0), shadows)
    assert "background" in left_out(moved(size=torch.nan, background=2.0), shadows)


def test_a_family_is_named_by_its_plainest_word_that_moves_enough():
    best = torch.tensor([NAMES.index("contrast")])
    row = moved(contrast=2.0, background=1.1)
    for strength, steady, found in ((row, row * 1, "background"), (moved(contrast=2.0, background=0.9), row, "contrast")):  # fmt: skip # noqa: E501
        assert NAMES[int(plainest(best, strength, steady, 0.8)[0])] == found
    assert NAMES[int(plainest(best, row, moved(contrast=1.0, background=0.7), 0.8)[0])] == "contrast"  # fmt: skip # noqa: E501
