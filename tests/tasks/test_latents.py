from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch

from legenda.core.answer import Answer
from legenda.core.units import Units
from legenda.dictionaries.linear import LinearDictionary, Projection
from legenda.errors import BadInput, Unsupported
from legenda.explain import traversal_grid
from legenda.measure.map import perceptual_change
from legenda.tasks import latent_nulls
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latents import study
from tests.explain.decoders import pictures as small_pictures
from tests.explain.decoders import sparse, spatial, tokens
from tests.tasks.latent_world import (
    ACROSS,
    BOTH,
    DOWN,
    GROUND,
    HUE,
    NOTHING,
    SIZE,
    SMALL,
    STILL,
    Discs,
    discs,
    pictures,
)
from tests.toys import ToyEncoder

HOW = LatentSettings(**SMALL)
QUICK = replace(HOW, rows=4, fresh=3, pool=48, frames=5)


@pytest.fixture(autouse=True)
def few_controls(monkeypatch):
    """`test_latent_nulls` has as many as there are."""
    monkeypatch.setattr(latent_nulls, "enough", lambda alpha: 48)


@cache
def studied():
    return study(discs(), HOW)


def told(story):
    """All of a story but its pictures."""
    return (
        story.label, story.nats, story.verdict, story.reason, story.answer, story.answers,
        story.certainty, story.interval, story.effect, story.effect_interval,
    )  # fmt: skip


# planted truth


@pytest.mark.parametrize(
    ("unit", "attribute"),
    [(ACROSS, "x"), (DOWN, "y"), (SIZE, "size"), (GROUND, "background"), (HUE, "hue")],
)
def test_what_was_planted_is_named_and_its_checks_hold(unit, attribute):
    story = studied().units[unit]
    assert (story.verdict, story.reason) == ("named", "")
    assert (story.answer.attribute, story.answer.direction) == (attribute, 1)
    assert story.certainty == 1.0 and story.interval == (1.0, 1.0) and story.nats > 1
    assert len(story.answers) == HOW.rows and "in 6 of 6 rows" in story.answer.text
    checked = story.checked
    assert checked.holds and checked.moved > 0.7 and abs(checked.control) < 0.3
    assert (checked.picked, checked.picks) == (HOW.fresh, HOW.fresh)
    assert story.effect_interval[0] <= story.effect <= story.effect_interval[1]


def test_what_moves_two_things_is_not_named():
    story = studied().units[BOTH]
    assert story.verdict == "abstained" and story.checked is None and story.answer.none
    labels = set(story.reason.removesuffix(" change at once").split(" and "))
    assert labels == {"horizontal position", "vertical position"}


def test_what_does_nothing_is_inactive_each_for_its_reason():
    silent, still = studied().units[NOTHING], studied().units[STILL]
    assert silent.verdict == still.verdict == "inactive"
    assert silent.reason == "it says 0.000 nats of a picture, less than 0.1"
    assert silent.sheet is None and silent.answer is None and silent.nats == 0
    assert still.reason == "colours change by 0.0000 of white along a row"
    assert still.nats > 1 and still.sheet is not None


def test_numbers_of_a_sentence_are_those_of_all_rows():
    story = studied().units[ACROSS]
    starts = [next(f.start for f in a.facts if f.attribute == "x") for a in story.answers]
    ends = [next(f.end for f in a.facts if f.attribute == "x") for a in story.answers]
    lead = story.answer.facts[0]
    assert lead.start == pytest.approx(sum(starts) / 6) and len(set(starts)) > 1
    assert lead.end == pytest.approx(sum(ends) / 6)
    assert f"{lead.start:.2f} to {lead.end:.2f} of the width" in story.answer.text


def test_sheets_without_a_pattern_are_silent():
    found = studied()
    assert found.nulls == 24 and found.silent == (24, 24) and found.threshold == 0.3


def test_the_record_says_what_was_done():
    found = studied()
    assert (found.model, found.ref, found.describer) == ("discs", "discs", "measurement")
    assert found.anchors == "draws of the prior" and found.calls == 0
    assert found.settings["rows"] == "6" and "threshold" not in found.settings
    assert [s.index for s in found.units] == list(range(8))
    assert [s.label for s in found.units][:2] == ["latent 0", "latent 1"]
    assert found.units[0].sheet.images.shape == (HOW.shown, HOW.frames, 3, 32, 32)
    assert found.units[0].change.shape == (32, 32)


# laws


def test_same_seed_same_bits_another_seed_others():
    one, two = (study(discs(), QUICK, only=[ACROSS, NOTHING]) for _ in range(2))
    other = study(discs(), replace(QUICK, seed=9), only=[ACROSS, NOTHING])
    assert list(map(told, one.units)) == list(map(told, two.units))
    assert one.units[0].checked == two.units[0].checked
    assert one.units[0].sheet.images.equal(two.units[0].sheet.images)
    assert not one.units[0].sheet.images.equal(other.units[0].sheet.images)
    assert other.units[0].answer.attribute == one.units[0].answer.attribute == "x"


def test_a_unit_alone_is_told_as_among_all_and_in_any_batch(monkeypatch):
    monkeypatch.setattr(traversal_grid, "CACHED", 5 * 32 * 32)
    (alone,) = study(discs(), HOW, only=[DOWN]).units
    assert told(alone) == told(studied().units[DOWN])
    assert alone.sheet.images.equal(studied().units[DOWN].sheet.images)
    assert (alone.checked.picked, alone.checked.picks) == (0, 0)  # there is none to choose among


def test_nothing_is_left_in_the_model():
    units, lots = discs(), torch.get_rng_state()
    root = units.model.root
    before = {k: v.clone() for k, v in root.state_dict().items()}
    study(units, QUICK, only=[ACROSS])
    assert all(p.grad is None and p.dtype == torch.float32 for p in root.parameters())
    assert not root.training and torch.is_grad_enabled()
    assert all(v.equal(before[k]) for k, v in root.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in root.modules())
    assert torch.get_rng_state().equal(lots)


def test_pictures_are_where_rows_begin():
    x = pictures()
    found = study(discs(), QUICK, x=x, only=[ACROSS, NOTHING])
    story = found.units[0]
    assert found.anchors == "pictures" and story.answer.attribute == "x"
    z = discs().model.acts(x[:2])
    z[..., ACROSS] = float(story.sheet.values[0])
    assert torch.allclose(story.sheet.images[:2, 0], discs().model.decode(z).clamp(0, 1), atol=1e-6)
    other = study(discs(), QUICK, x=x.flip(0), only=[ACROSS]).units[0]
    assert not other.sheet.images.equal(story.sheet.images)


def test_names_are_given_to_units():
    names = [f"n{i}" for i in range(8)]
    assert study(discs(), QUICK, only=[NOTHING], names=names).units[0].label == "n4"
    with pytest.raises(BadInput) as error:
        study(discs(), QUICK, names=names[:3])
    assert str(error.value) == (
        "names are given to all 8 units of discs/latents; it got 3. Give one for each, or none."
    )


def test_progress_counts_the_units_that_are_asked_about():
    heard = []
    study(discs(), QUICK, only=[ACROSS, NOTHING, STILL], report=lambda *said: heard.append(said))
    assert heard[0] == ("looking at pictures of the model", 0, 3)
    assert heard[1:] == [("asking about unit 0", 1, 2), ("asking about unit 6", 2, 2)]


# whoever is asked


@dataclass
class Says:
    """Says the same answers of every sheet, and keeps what it saw."""

    answers: tuple[Answer, ...]
    name: str = "a parrot"
    calls: int = 7

    def __post_init__(self):
        self.seen = []

    def __call__(self, sheet, values):
        self.seen.append(sheet)
        return self.answers


X, Y = Answer("It goes right.", "x", "left", "right", 1), Answer("Down.", "y", "top", "bottom", 1)


@pytest.mark.parametrize(("threshold", "verdict"), [(0.5, "named"), (0.51, "abstained")])
def test_the_threshold_is_honoured(threshold, verdict):
    says = Says((X, X, X, Y))  # three of six pairs agree
    how = replace(QUICK, threshold=threshold, nulls=4)
    found = study(discs(), how, ask=lambda _: says, only=[ACROSS])
    story = found.units[0]
    assert (story.verdict, story.certainty, found.threshold) == (verdict, 0.5, threshold)
    if verdict == "named":
        assert story.answer == X and story.checked.holds  # in its own words
    else:
        assert story.reason == "its answers disagree: certainty 0.50 is below 0.51"
    assert (found.nulls, found.describer, found.calls) == (0, "a parrot", 7)


def test_what_is_said_without_looking_is_not_named():
    says = Says((X, X, X))
    found = study(discs(), replace(QUICK, alpha=0.5, nulls=16), ask=lambda _: says, only=[ACROSS])
    assert found.threshold > 1 and found.silent == (8, 8)
    assert found.units[0].reason == "answers are as sure about sheets without a pattern"


def test_a_false_answer_is_named_but_does_not_hold():
    says = Says((Y, Y, Y))
    found = study(discs(), replace(QUICK, threshold=0.5, nulls=0), ask=lambda _: says, only=[ACROSS])  # fmt: skip # noqa: E501
    story = found.units[0]
    assert story.verdict == "named" and not story.checked.holds and story.checked.pairs == 0


def test_silence_keeps_its_reason():
    says = Says((Answer(abstained="the server is down"),) * 3)
    story = study(discs(), QUICK, ask=lambda _: says, only=[ACROSS]).units[0]
    assert (story.verdict, story.reason) == ("abstained", "the server is down")
    assert story.certainty == 0


def test_controls_have_all_rows_of_what_was_asked_about():
    says = Says((X, X))
    study(discs(), replace(QUICK, nulls=9, shown=1), ask=lambda _: says, only=[ACROSS, DOWN])
    kinds = [sheet.kind for sheet in says.seen]
    assert kinds == ["traversal"] * 2 + ["shuffled"] * 6 + ["constant"] * 2 + ["shuffled"]
    assert {len(sheet) for sheet in says.seen} == {QUICK.rows}


def test_words_of_a_dual_encoder_stand_beside():
    found = study(discs(), QUICK, only=[ACROSS, NOTHING], near=lambda s: ((f"{len(s)} rows", 0.5),))
    assert found.units[0].near == (("4 rows", 0.5),) and found.units[1].near == ()


# what decides on names, and how often is asked


def test_conformal_names_are_told_with_their_q():
    how = replace(HOW, conformal=True, alpha=0.4)
    found = study(discs(), how)
    assert (found.naming, found.alpha, studied().naming) == ("conformal", 0.4, "quantile")
    named = [s.index for s in found.units if s.verdict == "named"]
    assert named == [s.index for s in studied().units if s.verdict == "named"]
    moving = 6  # what is inactive is no unit that could have been named
    for story in found.units:
        if story.index in named:  # none of 6 constant sheets that gave p values was as sure
            assert story.q == pytest.approx(moving / len(named) / 7) and story.q <= 0.4
        else:
            assert story.q == (pytest.approx(1) if story.index == BOTH else None)
    assert [s.certainty for s in found.units] == [s.certainty for s in studied().units]
    assert found.units[BOTH].reason == studied().units[BOTH].reason
    assert all(s.q is None for s in studied().units)


def test_units_that_are_not_surer_than_controls_say_so():
    says = Says((X, X, X))
    how = replace(QUICK, conformal=True, alpha=0.4, nulls=24)
    story = study(discs(), how, ask=lambda _: says, only=[ACROSS]).units[0]
    assert (story.verdict, story.q) == ("abstained", 1.0)
    assert story.reason == (
        "its answers are not surer than those about sheets without a pattern: q 1.000 is above 0.4"
    )
    says = Says((X, Y, X, Y, X))
    how = replace(how, alpha=0.9)
    story = study(discs(), replace(how, alpha=0.9), ask=lambda _: Says((X, Y)), only=[ACROSS]).units[0]  # fmt: skip # noqa: E501
    assert story.reason == "its answers disagree: certainty 0.00 is below 0.30"


def test_conformal_names_are_refused_before_anyone_is_asked():
    says = Says((X, X))
    with pytest.raises(BadInput) as error:
        study(discs(), replace(QUICK, conformal=True), ask=lambda _: says)
    assert str(error.value).startswith("conformal names at alpha 0.05 need 152 sheets") and not says.seen  # fmt: skip # noqa: E501


def test_asking_stops_once_one_answer_speaks_for_all():
    found = study(discs(), replace(HOW, adaptive=True))
    for story, full in zip(found.units, studied().units, strict=True):
        assert story.answers == full.answers[: len(story.answers)] and full.most == 0
        assert (story.verdict, story.q) == (full.verdict, None)
        if full.verdict == "named":  # all rows agree from the first on
            assert (len(story.answers), story.most, story.certainty) == (3, HOW.rows, 1.0)
            assert story.answer == full.answer, "its numbers are those of all rows"


@pytest.mark.parametrize(
    ("said", "count"), [((X,) * 9, 3), ((X, Y) * 5, 10), ((Y, X, X, X, X, X, X, X, X), 9)]
)
def test_answers_that_disagree_are_asked_for_longer(said, count):
    how = replace(QUICK, adaptive=True, nulls=0)
    story = study(discs(), how, ask=lambda _: Says(said), only=[ACROSS]).units[0]
    assert (len(story.answers), story.most) == (count, len(said))


def test_controls_are_of_units_that_move():
    """The first unit shows the same throughout: it is none that controls could be made of."""
    says = Says((X, X))
    study(discs(), replace(QUICK, nulls=1), ask=lambda _: says, only=[STILL, ACROSS])
    assert [(s.index, s.kind) for s in says.seen] == [(STILL, "traversal"), (ACROSS, "traversal"), (ACROSS, "shuffled")]  # fmt: skip # noqa: E501


def test_the_map_shows_change_as_an_eye_sees_it():
    story = study(discs(), replace(QUICK, shown=4), only=[HUE]).units[0]
    assert story.change.equal(perceptual_change(story.sheet.images))
    assert not torch.allclose(story.change.float(), story.sheet.change(), atol=0.01)


def test_how_units_are_moved_is_in_the_record():
    assert studied().settings["move"] == "set"
    x = small_pictures(16)
    how = replace(QUICK, nulls=0, frames=5)
    found = study(spatial(), how, x=x, only=[2])
    assert found.settings["move"] == "add"
    clean = spatial().model.visible(spatial().model.decode(spatial().model.acts(x[:4])))
    assert torch.allclose(found.units[0].sheet.images[:, 2], clean, atol=1e-6)
    assert study(spatial(), replace(how, move="set"), x=x, only=[2]).settings["move"] == "set"
    assert "move" not in study(tokens(), how, x=x, only=[2]).settings


# units of other dictionaries


def test_directions_are_studied_and_have_no_nats_of_their_own():
    """As many directions as latents, in another order: what a latent says is not theirs."""
    units = discs()
    turned = Units(units.model, LinearDictionary(torch.eye(8).flip(0), torch.zeros(8), Projection(8, True), "ways"))  # fmt: skip # noqa: E501
    found = study(turned, QUICK, only=[7 - DOWN, 7 - ACROSS, 7 - NOTHING]).units
    assert [s.answer.attribute for s in found[:2]] == ["y", "x"]
    assert all(s.nats is None for s in found) and found[0].label == "way 0"
    assert found[2].reason == "colours change by 0.0000 of white along a row"


def test_sparse_units_are_added_and_silent_ones_inactive():
    atoms = torch.cat([sparse(discs(), width=8).dictionary.atoms, torch.zeros(1, 8)])
    dictionary = LinearDictionary(atoms, torch.zeros(8), Projection(3, False), "sparse")
    found = study(Units(discs().model, dictionary), QUICK, only=[1, 7]).units
    assert found[0].sheet.values[0] == 0 and found[0].effect > 0.002
    assert (found[1].verdict, found[1].reason) == ("inactive", "it is on in none of 48 pictures")


def test_tokens_are_put_at_more_and_more_positions():
    found = study(tokens(), replace(QUICK, nulls=0), x=small_pictures(16), only=[2, 5])
    assert [s.label for s in found.units] == [f"{tokens().dictionary.name.rstrip('s')} {i}" for i in (2, 5)]  # fmt: skip # noqa: E501
    for story in found.units:
        assert story.nats is None and float(story.sheet.values[0]) == 0
        assert story.effect > 0.002 and len(story.answers) == QUICK.rows


# what is refused


def test_a_model_without_a_decoder_is_refused():
    from legenda.core.dictionary import Identity

    with pytest.raises(Unsupported) as error:
        study(Units(ToyEncoder(), Identity(4, "latents")), QUICK)
    assert str(error.value) == (
        "a study of latents needs a model that decodes; toy-encoder has none. Its units can be "
        "surveyed: see `legenda survey` and `legenda concepts`."
    )


def test_units_that_are_not_there_are_refused():
    with pytest.raises(BadInput) as error:
        study(discs(), QUICK, only=[0, 8])
    assert str(error.value) == (
        "unit 8 is not in discs/latents, which has 8 units, numbered from 0. Choose one of them."
    )


def test_the_world_encodes_what_it_decodes():
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(2))
    z[:, NOTHING] = 0
    assert torch.allclose(Discs().encode(Discs().decode(z))[0], z, atol=2e-3)
