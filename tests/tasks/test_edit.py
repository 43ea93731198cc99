"""Edits of tokens: what they do to tokens, acts and pictures, and who judges that beside what."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from legenda.concepts.model import ConceptModel
from legenda.core.codebook import Codebook
from legenda.errors import BadInput, Refused, ShapeError, Unsupported
from legenda.explain.codebook_search import CodebookSearch, EmbeddingSearch
from legenda.tasks.bench import LARGE_PRIME
from legenda.tasks.edit import put, rewritten, steered, toward
from legenda.tasks.steps import Put, Steer, Written, another, nearest_other
from legenda.tasks.verdict import cells, fillings, seen, side_effects
from tests.concepts.toys import Planted
from tests.tasks import toys
from tests.tasks.toys import BOX, CONCEPTS, ENTRIES, GRID, extractor, judges, model, pixels

SHORT = partial(CodebookSearch, steps=12, restarts=1, every=5)
OUTSIDE = [n for n in range(256) if n not in BOX]


def tokens():
    return model().tokens(pixels())


# ------------------------------------------------------------------------------- steps


def test_steering_by_nothing_is_the_clean_run_bit_for_bit():
    clean = model().run(pixels()).output
    found = steered(model(), pixels(), 3, 0.0, BOX, judges())
    assert torch.equal(found.before, clean)
    assert torch.equal(found.after, clean)
    assert torch.equal(found.after_tokens, tokens())
    assert (found.effects.changed_inside, found.effects.changed_outside) == (0, 0)
    assert all(one.source.before == one.source.after for one in found.judged)
    was, here = Written(tokens(), model().acts(pixels())), torch.ones(1, 256, dtype=torch.bool)
    assert Steer(3, 0.0)(model().codebook, was, here) is was, "not even a -0 becomes a 0"


def test_steering_is_its_equation_position_by_position():
    atoms, acts = model().codebook.atoms, model().acts(pixels())
    mean = sum(atoms) / len(atoms)
    for n in BOX:
        acts[0, n] = acts[0, n] - 1.5 * (atoms[3] - mean)
    found = steered(model(), pixels(), 3, -1.5, BOX, {})
    torch.testing.assert_close(found.after, model().decode(acts), rtol=1e-5, atol=1e-5)
    assert found.after_tokens is None, "these are no tokens any more"


def test_a_token_is_put_everywhere_in_the_region_and_nowhere_else():
    found = put(model(), pixels(), 3, 1, BOX, {})
    assert (found.after_tokens[:, list(BOX)] == 3).all()
    assert torch.equal(found.after_tokens[:, OUTSIDE], tokens()[:, OUTSIDE])
    assert torch.equal(found.after, model().decode(model().embed(found.after_tokens)))


def test_a_token_is_taken_away_where_it_is_and_only_there():
    book = model().codebook
    unit = int(tokens()[0, BOX[0]])
    gaps = [(float((book.atoms[k] - book.atoms[unit]).norm()), k) for k in range(ENTRIES)]
    stand_in = sorted(gaps)[1][1]
    found = put(model(), pixels(), unit, 0, BOX, {})
    for n in range(256):
        was = int(tokens()[0, n])
        wanted = stand_in if n in BOX and was == unit else was
        assert found.after_tokens[0, n] == wanted


def test_a_twin_of_an_entry_does_not_stand_in_for_it():
    atoms = torch.tensor([[0.0, 0], [0, 0], [3, 0], [1, 1]])
    assert nearest_other(Codebook(atoms), 0) == 3
    with pytest.raises(BadInput) as caught:
        nearest_other(Codebook(torch.ones(3, 2)), 1)
    assert str(caught.value) == "all entries of codebook are alike: none can stand in for 1."


def test_steps_are_taken_in_their_order():
    first = rewritten(model(), pixels(), [Steer(5, 2.0), Put(3, 1)], BOX, {})
    assert torch.equal(first.after, put(model(), pixels(), 3, 1, BOX, {}).after)
    second = rewritten(model(), pixels(), [Put(3, 1), Steer(5, 2.0)], BOX, {})
    assert not torch.equal(first.after, second.after)
    assert second.edit == "set 3=1, steer 5=+2"
    third = rewritten(model(), pixels(), [Put(3, 1), Put(3, 0)], BOX, {})
    assert (third.after_tokens[:, list(BOX)] == nearest_other(model().codebook, 3)).all()


def test_farther_is_farther():
    gaps = [
        steered(model(), pixels(), 3, by, BOX, {}).effects.difference_inside
        for by in (0.5, 1, 2, 4)
    ]
    assert gaps == sorted(gaps) and gaps[0] > 0


# ------------------------------------------------------------------------------- search


def finder(unit=4):
    """A concept model whose first concept is one entry, wherever it is."""
    book = model().codebook
    net = Planted(book.atoms[unit])
    return ConceptModel(net, book, ("planted", "none"), GRID, name="planted", ref="planted")


class Sees(nn.Module):
    """A judge whose first class is the picture it was shown, and the second any other."""

    def __init__(self, picture):
        super().__init__()
        self.picture = picture

    def forward(self, x):
        near = -20 * (x - self.picture).square().mean((1, 2, 3))
        return torch.stack([near, near - near - 1], 1)


@pytest.mark.parametrize("search", [CodebookSearch, EmbeddingSearch])
def test_a_search_plants_what_the_concept_is_and_a_judge_of_it_agrees(search):
    wanted = put(model(), pixels(), 4, 1, BOX, {})
    judge = Sees(seen(model(), wanted.after)).eval()
    found = toward(
        model(), finder(), pixels(), "planted", BOX, {"sees": judge},
        search=partial(search, steps=150),
    )  # fmt: skip
    assert (found.after_tokens[:, list(BOX)] == 4).all()
    assert torch.equal(found.after_tokens[:, OUTSIDE], tokens()[:, OUTSIDE])
    (one,) = found.judged
    assert one.target.label == "planted" and one.target.higher == 16
    assert one.target.after > max(one.target.control) and one.target.after > one.target.before
    assert found.optimised.after > found.optimised.before


def test_what_was_optimised_is_what_the_concept_model_says():
    found = toward(model(), extractor(), pixels(), "horse", BOX, judges(), search=SHORT)
    says = extractor().classify(torch.cat([found.tokens, found.after_tokens]))
    assert found.optimised.before == pytest.approx(float(says[0, 2]), abs=1e-5)
    assert found.optimised.after == pytest.approx(float(says[1, 2]), abs=1e-5)
    assert found.optimised.shares == pytest.approx(says.softmax(1)[:, 2].tolist(), abs=1e-5)
    assert [step for step, _ in found.optimised.trace] == [5, 10, 12]
    assert found.settings["method"] == repr(SHORT(BOX, seed=0))


def test_telling_of_the_search_changes_nothing():
    told = []
    quiet = toward(model(), extractor(), pixels(), "horse", BOX, {}, search=SHORT, seed=3)
    aloud = toward(
        model(), extractor(), pixels(), "horse", BOX, {}, search=SHORT, seed=3,
        report=lambda *said: told.append(said),
    )  # fmt: skip
    assert torch.equal(quiet.after_tokens, aloud.after_tokens)
    assert quiet.optimised == aloud.optimised and quiet.settings == aloud.settings
    assert told == [("searching", 5, 12), ("searching", 10, 12), ("searching", 12, 12)]


def test_the_same_seed_is_the_same_edit_and_nothing_is_left_in_a_model():
    torch.manual_seed(1)
    one = toward(model(), extractor(), pixels(), "ship", BOX, judges(), search=SHORT, seed=5)
    torch.manual_seed(2)
    two = toward(model(), extractor(), pixels(), "ship", BOX, judges(), search=SHORT, seed=5)
    assert torch.equal(one.bytes, two.bytes) and one.judged == two.judged
    other = toward(model(), extractor(), pixels(), "ship", BOX, judges(), search=SHORT, seed=6)
    assert one.judged != other.judged
    for module in (model().root, extractor().root, *judges().values()):
        assert not module.training
        assert all(p.grad is None for p in module.parameters())


# ------------------------------------------------------------------------------- judges


def test_judges_say_what_they_say_of_the_bytes_picture_by_picture():
    found = put(model(), pixels(), 3, 1, BOX, judges(), names=CONCEPTS)
    for one, judge in zip(found.judged, judges().values(), strict=True):
        shares = []
        for picture in (found.before, found.after, *found.controls):
            levels = ((picture * 0.5 + 0.5).clamp(0, 1) * 255).round()
            logits = judge(levels / 255 * 2 - 1)[0].detach().double()
            shares.append([float(v.exp() / logits.exp().sum()) for v in logits])
        source = shares[0].index(max(shares[0]))
        moved = [abs(a - b) for a, b in zip(shares[1], shares[0], strict=True)]
        largest = moved.index(max(moved))
        assert one.source.label == CONCEPTS[source] and one.largest.label == CONCEPTS[largest]
        for change, number in ((one.source, source), (one.largest, largest)):
            before, after, *control = (share[number] for share in shares)
            assert (change.before, change.after) == pytest.approx((before, after), abs=1e-5)
            assert change.control == pytest.approx(control, abs=1e-5)
            assert change.higher == sum(v < after for v in control)
        reach = [max(abs(a - b) for a, b in zip(s, shares[0], strict=True)) for s in shares[2:]]
        assert one.shifts == pytest.approx(reach, abs=1e-5)
        assert one.target is None


def test_what_no_judge_knows_is_not_judged():
    names = ("cat", "dog", "house", "ship")
    found = toward(
        model(), extractor(), pixels(), "horse", BOX, judges(), names=names, search=SHORT
    )
    assert all(one.target is None for one in found.judged)
    found = put(model(), pixels(), 3, 1, BOX, judges())
    assert found.judged[0].source.label.startswith("class ")


# ------------------------------------------------------------------------------- control


def test_random_fillings_are_of_the_region_alone_and_are_not_the_edit():
    found = put(model(), pixels(), 3, 1, BOX, judges())
    gone = torch.zeros(1, 256, dtype=torch.bool)
    gone[:, list(BOX)] = True
    drawn, by = fillings(model(), tokens(), gone, list(range(16)))
    assert by == found.controlled == "fillings with tokens of the picture by lot"
    changed = gone & (tokens() != 3)
    for grid, picture in zip(drawn, found.controls, strict=True):
        assert torch.equal(grid[:, OUTSIDE], tokens()[:, OUTSIDE])
        grid = torch.where(changed, grid, tokens())
        assert (grid[changed] != 3).any(), "other tokens than the edit's"
        assert torch.equal(picture, model().decode(model().embed(grid)))
    assert len({tuple(grid[0].tolist()) for grid in drawn}) == 16


def test_more_random_edits_leave_the_first_ones_as_they_are():
    few = toward(model(), extractor(), pixels(), "horse", BOX, judges(), search=SHORT, control=2)
    many = toward(model(), extractor(), pixels(), "horse", BOX, judges(), search=SHORT, control=5)
    assert torch.equal(torch.stack(many.controls[:2]), torch.stack(few.controls))
    assert many.judged[0].target.control[:2] == few.judged[0].target.control


def test_fillings_without_a_prior_are_as_frequent_as_tokens_are():
    grid = torch.tensor([[0] * 192 + [1] * 64])
    drawn, _ = fillings(model(), grid, torch.ones_like(grid, dtype=torch.bool), [*range(40)])
    assert float(torch.cat(drawn).float().mean()) == pytest.approx(0.25, abs=0.02)


def test_a_prior_is_told_no_class():
    asked = []

    class Prior:
        def fill(self, tokens, gone, classes=None, rounds=8, heat=1.0, seed=0):
            asked.append((classes, seed, gone))
            return tokens.masked_fill(gone, 7)

    vq = replace(model(), prior=Prior())
    found = toward(
        vq, extractor(), pixels(), "horse", BOX, judges(), search=SHORT, control=3, seed=2
    )
    assert [a[:2] for a in asked] == [(None, 2 * LARGE_PRIME + i) for i in range(3)]
    assert all(a[2][0].nonzero()[:, 0].tolist() == list(BOX) for a in asked)
    filled = tokens()
    filled[:, list(BOX)] = 7
    assert torch.equal(found.controls[1], vq.decode(vq.embed(filled)))
    assert found.controlled == "fillings by the prior"


def test_a_real_prior_fills_in():
    found = put(toys.model_with_prior(), pixels(), 3, 1, BOX, judges(), control=2)
    assert not torch.equal(found.controls[0], found.controls[1])


def test_steering_is_held_against_other_units_at_the_same_strength():
    found = steered(model(), pixels(), 3, 2.0, BOX, judges(), control=4, seed=1)
    assert found.controlled == "edits with other units, by lot"
    others = {
        unit: steered(model(), pixels(), unit, 2.0, BOX, {}).after
        for unit in range(ENTRIES)
        if unit != 3
    }
    for picture in found.controls:
        assert any(torch.equal(picture, other) for other in others.values())
    assert not any(torch.equal(picture, found.after) for picture in found.controls)


def test_another_unit_is_any_other_one():
    lot = torch.Generator().manual_seed(0)
    assert {another(2, lot, 5) for _ in range(99)} == {0, 1, 3, 4}
    assert {another(4, lot, 5) for _ in range(99)} == {0, 1, 2, 3}


def test_without_judges_there_is_no_control():
    found = put(model(), pixels(), 3, 1, BOX, {})
    assert found.judged == () and found.controls == ()
    assert found.settings["control"] == "none" and found.settings["judges"] == "none"


# ------------------------------------------------------------------------------- side effects


def test_side_effects_are_counted_pixel_by_pixel():
    lot = torch.Generator().manual_seed(0)
    before = torch.randint(256, (6, 9, 3), generator=lot).byte()
    after = torch.where(torch.rand(6, 9, 1, generator=lot) < 0.5, before, before.flip(0))
    grid, positions = (2, 3), (0, 4)
    parts = {True: ([], []), False: ([], [])}
    for y in range(6):
        for x in range(9):
            changed, gaps = parts[(y // 3) * 3 + x // 3 in positions]
            gap = [abs(int(a) - int(b)) for a, b in zip(after[y, x], before[y, x], strict=True)]
            changed.append(any(gap))
            gaps += gap
    found = side_effects(before, after, positions, grid)
    for inside, name in ((True, "inside"), (False, "outside")):
        changed, gaps = parts[inside]
        assert getattr(found, f"changed_{name}") == pytest.approx(sum(changed) / len(changed))
        assert getattr(found, f"difference_{name}") == pytest.approx(sum(gaps) / len(gaps))
    whole = side_effects(before, after, range(6), grid)
    assert whole.changed_outside is None and whole.difference_outside is None


def test_cells_share_out_a_picture_that_they_do_not_divide():
    shares = [cells([n], (2, 3), (5, 7)) for n in range(6)]
    assert torch.stack(shares).sum(0).eq(1).all()


def test_a_decoder_reaches_past_the_region_and_most_of_it_stays():
    effects = put(model(), pixels(), 3, 1, BOX, {}).effects
    assert effects.difference_inside > 3 * effects.difference_outside > 0


# ------------------------------------------------------------------------------- refusals


class Deaf(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


SAID = [
    ({"j": Deaf(torch.zeros(1, 3)).eval()}, BadInput, "judge j knows 3 classes; 4 are named. A judge needs a logit for each name, in their order."),  # noqa: E501
    ({"j": Deaf(torch.zeros(2, 4)).eval()}, ShapeError, "judge j must give a row of two logits or more per picture (b c); for one picture it gave (2, 4). Leave out what comes after."),  # noqa: E501
    ({"j": Deaf([1, 2]).eval()}, ShapeError, "judge j must give a row of two logits or more per picture (b c); for one picture it gave list. Leave out what comes after."),  # noqa: E501
    ({"j": Deaf(torch.full((1, 4), torch.nan)).eval()}, Refused, "judge j gave NaN or infinity. Check its weights and the range of its pixels."),  # noqa: E501
    ({"j": Deaf(RuntimeError("no")).eval()}, Refused, "judge j raised RuntimeError: no. It is called with pictures (1, 3, 32, 32); call it yourself to see where."),  # noqa: E501
    ({"j": Deaf(torch.zeros(1, 4))}, Refused, "judge j is in training mode, so that its answers depend on chance and on the batch. Call `.eval()` on it."),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize(("panel", "error", "sentence"), SAID, ids=lambda v: str(v)[:30])
def test_a_bad_judge_is_refused(panel, error, sentence):
    with pytest.raises(error) as caught:
        put(model(), pixels(), 3, 1, BOX, panel, names=CONCEPTS)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("judge", [lambda: extractor().root, lambda: extractor().classify])
def test_the_concept_model_does_not_judge_itself(judge):
    with pytest.raises(Refused) as caught:
        toward(model(), extractor(), pixels(), "horse", BOX, {"itself": judge()}, search=SHORT)
    assert str(caught.value) == (
        "judge itself is the extractor that the tokens were chosen with. Give a classifier that "
        "was trained without it."
    )


BAD = [
    (lambda: Put(3, 0.5), "a token is there or it is not: a unit is set to 1 or to 0; it got set 3=0.5. For a matter of degree, steer 3."),  # noqa: E501
    (lambda: Steer(3, float("inf")), "steering needs a finite strength, such as +1; it got steer 3=+inf."),  # noqa: E501
    (lambda: put(model(), pixels(), 16, 1, BOX, {}), "unit 16 is not in toy-vq/codebook, which has 16 units, numbered from 0."),  # noqa: E501
    (lambda: put(model(), pixels(), -1, 1, BOX, {}), "unit -1 is not in toy-vq/codebook, which has 16 units, numbered from 0."),  # noqa: E501
    (lambda: rewritten(model(), pixels(), [], BOX, {}), "an edit needs a step; it got none. Set a unit, or steer one."),  # noqa: E501
    (lambda: put(model(), pixels(), 3, 1, (), {}), "an edit of toy-vq needs one or more of the positions 0 to 255; it got none. Choose a region on the grid."),  # noqa: E501
    (lambda: put(model(), pixels(), 3, 1, (0, 256), {}), "an edit of toy-vq needs one or more of the positions 0 to 255; it got 0 to 256. Choose a region on the grid."),  # noqa: E501
    (lambda: put(model(), pixels(2), 3, 1, BOX, {}), "an edit is of one picture; it got 2. Edit each by itself."),  # noqa: E501
    (lambda: put(model(), pixels(), 3, 1, BOX, {}, control=0), "an edit needs one random edit beside it or more; it got 0."),  # noqa: E501
    (lambda: toward(model(), extractor(), pixels(), "hors", BOX, {}), "toy-cnn knows no concept 'hors'. Did you mean 'horse'? Known: cat, dog, horse, ship."),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize(("edit", "sentence"), BAD, ids=lambda v: str(v)[:40])
def test_what_is_no_edit_is_refused(edit, sentence):
    with pytest.raises(BadInput) as caught:
        edit()
    assert str(caught.value) == sentence


def test_what_is_not_there_cannot_be_taken_away():
    counts = one_hot(tokens()[0, list(BOX)], ENTRIES).sum(0)
    absent = int((counts == 0).nonzero()[0])
    often = sorted(range(ENTRIES), key=lambda k: (-int(counts[k]), k))[:3]
    with pytest.raises(BadInput) as caught:
        put(model(), pixels(), absent, 0, BOX, {})
    assert str(caught.value) == (
        f"unit {absent} is at no position of the region, so there is nothing to take away. Most "
        f"often there: {', '.join(map(str, often))}."
    )


def test_a_concept_model_of_other_tokens_is_refused():
    other = replace(extractor(), codebook=Codebook(model().codebook.atoms + 1))
    with pytest.raises(Refused, match=r"^toy-cnn reads 16 entries of width 6 \(\w{12}\) on a grid") as caught:  # fmt: skip # noqa: E501
        toward(model(), other, pixels(), "horse", BOX, {}, search=SHORT)
    assert str(caught.value).endswith(
        ") on 16 × 16. Give a concept model that was trained on its tokens."
    )


def test_a_tokenizer_without_a_decoder_cannot_show_an_edit():
    with pytest.raises(Unsupported) as caught:
        put(replace(model(), unquantise=None), pixels(), 3, 1, BOX, {})
    assert str(caught.value) == (
        "Decoding needs a model with a decoder; toy-vq has none. "
        "Its tokens can be read and explained, not shown."
    )
