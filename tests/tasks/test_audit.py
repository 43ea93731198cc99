"""An audit of two groups, in a world of mosaics where the truth is planted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.audit.presence import shuffled, standing
from legenda.audit.shortcut import ShortcutTokens
from legenda.core.codebook import Codebook
from legenda.errors import BadInput, Missing, Refused
from legenda.explain.token_importance import TokenImportance
from legenda.show.audit import plain
from legenda.tasks.audit import audited
from legenda.tasks.audit_findings import Margin, Read, by_chance, right, substitutes
from legenda.tasks.audit_groups import part_of, read_groups
from legenda.tasks.audit_questions import why_silent
from legenda.tasks.shelf import Shelf
from legenda.tasks.token_survey import survey_tokens
from tests.tasks.audit_world import (
    BLUE,
    GROUPS,
    PALETTE,
    RED,
    SIDE,
    SIGNS,
    Bag,
    model,
    mosaic,
    painted,
    planted,
    token,
    without_decoder,
    written,
)

QUICK = TokenImportance(draws=4)
SIGN = {group: token(colour) for group, colour in SIGNS.items()}


def audit(groups, folder=None, **options):
    options = {"extractor": Bag(), "importance": QUICK, "epochs": 60} | options
    return audited(options.pop("vq", model()), groups, folder, **options)


def groups_of(base, rows, between=None):
    return read_groups(written(base / "labels.csv", rows), base / "pictures", between)


def tokens_of(groups, work, part):
    """The tokens of the images of a part, read again."""
    return part_of(survey_tokens(model(), groups.labels, Shelf(work)), part).tokens


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    """The tied world: its groups, the folder of work, and the audit."""
    base = tmp_path_factory.mktemp("tied")
    groups = groups_of(base, painted(base / "pictures", neutral=20, red=1.0))
    return groups, base / "work", audit(groups, base / "work")


@pytest.fixture(scope="module")
def lone(tmp_path_factory):
    """A small world of training images only."""
    base = tmp_path_factory.mktemp("lone")
    return groups_of(base, painted(base / "pictures", training=20, reference=0))


# ------------------------------------------------------------------------------- what is found


def test_the_planted_colour_is_flagged_toward_its_group(tied):
    _, _, found = tied
    flagged = {one.token: one for one in found.answers.flagged}
    assert set(flagged) == {token(RED), token(BLUE)}
    red, blue = flagged[token(RED)], flagged[token(BLUE)]
    assert (red.toward, blue.toward) == GROUPS
    assert red.interval[0] > 0.147 and blue.interval[1] < -0.147
    for one, sign in ((red, 1), (blue, -1)):
        assert one.interval[0] <= one.delta <= one.interval[1]
        assert one.chance[0] == -one.chance[1] and abs(one.delta) > one.chance[1]
        assert one.adjusted <= 0.05 and one.owed > 0.7
        own = 0 if sign > 0 else 1
        assert one.before[own].value == 0.95 and one.shares[own].value == 0.2
        assert one.before[own].n == one.shares[own].n == 40
        low, high = one.shares[own].interval
        assert low < 0.2 < high
        assert one.substitute not in flagged
        assert one.proof.beats_control, "without it the margin goes away from its group"
        assert sign * one.proof.value < 0 and one.proof.n == 16
    assert found.answers.shortcuts.control <= 0.3
    assert found.answers.differing is None


def test_in_the_balanced_world_none_is_flagged(tmp_path):
    groups = groups_of(tmp_path, painted(tmp_path / "pictures", tied=0.2))
    found = audit(groups)
    assert found.answers.flagged == () and len(found.answers.shortcuts.tokens) >= 7
    assert found.answers.lean is None and found.answers.silent == ""
    assert found.knowledge.reference.value > 0.5


def test_the_model_falls_where_the_tie_is_gone(tied):
    knows = tied[2].knowledge
    assert knows.trained and knows.accuracy.value >= 0.75 and knows.accuracy.n == 8
    assert knows.judged == "8 images that it did not see"
    assert knows.reference.interval[1] < 1 and knows.reference.n == 80
    assert knows.reference.control == 0.5 and knows.copies == 0


def test_neutral_images_lean_to_the_group_whose_colour_they_wear(tied):
    _, _, found = tied
    lean = found.answers.lean
    assert lean.n == 20 and lean.groups == GROUPS
    assert lean.delta > 0.3 and lean.interval[0] > 0
    assert token(RED) in lean.lists[0] and token(RED) not in lean.lists[1]
    assert lean.shared == found.shared
    assert found.images == {"training": (40, 40), "reference": (40, 40), "neutral": (20,)}


def test_what_is_shown_is_what_is_named(tied):
    groups, work, found = tied
    named = {t for one in found.answers.flagged for t in (one.token, one.substitute)}
    named |= {t for one in found.lists for t in one.tokens[:10].tolist()}
    assert set(found.looks) == named
    for number, look in found.looks.items():
        colour = PALETTE[number].astype(int)
        assert np.abs(look.alone.reshape(-1, 3) - colour).max() <= 3, "decoded alone"
        assert 1 <= len(look.exemplars) <= 4
        for one in look.exemplars:
            (y, x), (rows, columns) = one.cell, one.around
            h, w = one.crop.shape[0] // rows, one.crop.shape[1] // columns
            cell = one.crop[y * h : (y + 1) * h, x * w : (x + 1) * w]
            assert np.abs(cell - colour).max() <= 1, "the marked cell holds the token"
        first = int((tokens_of(groups, work, "training") == number).any(1).sum())
        parts = ["training" in one.image for one in look.exemplars]
        assert parts == [place < first for place in range(len(parts))], "reference images come last"


def test_training_images_alone_flag_nothing(lone):
    found = audit(lone, epochs=8)
    assert (found.answers.lean, found.answers.shortcuts, found.answers.flagged) == (None, None, ())
    differing = found.answers.differing
    differ = differing.tokens[differing.differ].tolist()
    assert {token(RED), token(BLUE), *SIGN.values()} <= set(differ)
    assert differing.control <= 0.5 and len(differing.intervals) == min(20, len(differ))
    for number, sign in ((token(RED), 1), (SIGN["tower"], -1)):
        assert sign * differing.delta[differing.tokens.tolist().index(number)] > 0.3
    assert found.knowledge.reference is None
    assert found.images == {"training": (20, 20), "reference": (0, 0), "neutral": (0,)}


def test_the_order_of_the_groups_is_the_one_asked_for(tied):
    groups, work, found = tied
    other = audit(replace(groups, names=GROUPS[::-1]), work)
    assert other.groups == GROUPS[::-1]
    assert other.answers.lean.delta == -found.answers.lean.delta
    both = zip(other.answers.flagged, found.answers.flagged, strict=True)
    assert all((x.token, x.toward, x.delta) == (y.token, y.toward, -y.delta) for x, y in both)


def test_a_concept_model_may_be_given(tied):
    groups, _, _ = tied
    follows = audit(groups, concepts=planted(red=2.0), epochs=None)
    assert [one.token for one in follows.answers.flagged] == [token(RED)]
    assert follows.answers.flagged[0].proof.value == pytest.approx(-6, abs=1e-3), "three cells"
    ignores = audit(groups, concepts=planted(red=0.0), epochs=None)
    assert ignores.answers.flagged == ()
    assert not ignores.knowledge.trained and ignores.knowledge.made == "tests/known"
    assert ignores.knowledge.judged == "all 80 images, which it may have been trained on"
    assert "epochs" not in ignores.settings


def test_a_tokenizer_without_a_decoder_is_audited_too(lone):
    found = audit(lone, vq=without_decoder(), concepts=planted(), epochs=None)
    assert all(one.alone is None and one.exemplars for one in found.looks.values())


def test_copies_of_training_images_are_counted(tmp_path):
    rows = painted(tmp_path / "pictures", training=10, reference=10)
    for number in range(3):
        source = (tmp_path / "pictures" / f"training-house-{number}.png").read_bytes()
        (tmp_path / "pictures" / f"reference-house-{number}.png").write_bytes(source)
    assert audit(groups_of(tmp_path, rows), concepts=planted(), epochs=None).knowledge.copies == 3


# ------------------------------------------------------------------------------- work is kept


def test_a_run_that_was_killed_goes_on_and_ends_the_same(tied, tmp_path):
    groups, _, found = tied

    def stop(what, done, total):
        if what == "training" and done > 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(groups, tmp_path, report=stop)
    said = []
    again = audit(groups, tmp_path, report=lambda *step: said.append(step))
    assert plain(again) == plain(found)
    first = [done for what, done, _ in said if what == "training"][0]
    assert 1 < first <= 31, "it went on"
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    said.clear()
    assert plain(audit(groups, tmp_path, report=lambda *step: said.append(step))) == plain(found)
    assert not [what for what, *_ in said if what == "training"], "nothing is made twice"
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_another_seed_is_another_training(lone):
    one, two = (audit(lone, epochs=2, seed=seed).knowledge.name for seed in (0, 1))
    assert one == two == "bag"
    settings = [audit(lone, epochs=2, seed=seed).settings["seed"] for seed in (0, 1)]
    assert settings == [0, 1]


def test_an_image_that_cannot_be_read_is_told_and_left_out(tmp_path):
    rows = painted(tmp_path / "pictures", training=11, reference=11)
    groups, lost = groups_of(tmp_path, rows), []
    for name in ("training-house-0.png", "reference-tower-3.png"):
        (tmp_path / "pictures" / name).write_bytes(b"no picture")
    found = audit(groups, concepts=planted(), epochs=None, lost=lost.append)
    assert list(found.refused) == lost and len(lost) == 2
    assert "training-house-0.png" in lost[1] and "reference-tower-3.png" in lost[0]
    assert found.images == {"training": (10, 11), "reference": (11, 10), "neutral": (0,)}
    (tmp_path / "pictures" / "reference-tower-4.png").write_bytes(b"")
    with pytest.raises(BadInput) as error:
        audit(groups, concepts=planted(), epochs=None)
    assert str(error.value) == (
        f"an audit needs 10 reference images or more of each group; {tmp_path}/labels.csv has 9 "
        "of 'tower'. Add images, or leave the reference images out."
    )


# ------------------------------------------------------------------------------- its parts


def test_the_margin_and_the_right_group_are_the_loop():
    lot = np.random.default_rng(0)
    grids = torch.from_numpy(lot.integers(len(PALETTE), size=(30, SIDE * SIDE)))
    labels = [GROUPS[i % 3 % 2] for i in range(30)]
    margin = Margin(planted(red=2.0), GROUPS)
    wanted = []
    for grid in grids.tolist():
        count = {g: grid.count(SIGN[g]) for g in GROUPS}
        wanted.append(2.0 * grid.count(token(RED)) + count["house"] - count["tower"])
    assert margin(grids).tolist() == pytest.approx(wanted, abs=1e-4)
    both = zip(margin(grids).tolist(), labels, strict=True)
    hits = sum(v > 0 if group == "house" else v < 0 for v, group in both)
    found = right(margin, Read(grids, labels))
    assert (found.value, found.n, found.control) == (hits / 30, 30, 20 / 30)
    assert right(margin, Read(grids[:0], [])) is None


def test_chance_is_where_shuffled_margins_lie():
    lot = torch.Generator().manual_seed(0)
    tokens = torch.randint(8, (120, 6), generator=lot)
    labels = [GROUPS[i % 2] for i in range(120)]
    margins = torch.randn(120, generator=lot, dtype=torch.float64).round(decimals=1)
    found = ShortcutTokens(draws=1)(tokens, labels, margins, GROUPS)
    half = by_chance(found, margins, labels)
    side = torch.tensor([GROUPS.index(label) for label in labels])
    d, pairs = standing(margins, side), (found.present * (60 - found.present)).sum(1)
    deltas = []
    for _ in range(1500):
        mixed = shuffled(d, side, lot)
        deltas.append([sum(int(mixed[i]) for i in range(120) if t in tokens[i]) for t in [0, 3]])
    for place, t in enumerate((0, 3)):
        row = found.tokens.tolist().index(t)
        spread = torch.tensor([float(one[place]) for one in deltas]) / pairs[row]
        assert float((spread.abs() <= half[row]).double().mean()) == pytest.approx(0.95, abs=0.02)


def test_a_substitute_is_the_nearest_that_is_not_flagged():
    atoms = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
    flagged = [2, 5, 7]
    into = substitutes(Codebook(atoms), flagged).tolist()
    for number in range(12):
        free = [k for k in range(12) if k not in flagged]
        nearest = min(free, key=lambda k, n=number: float((atoms[k] - atoms[n]).norm()))
        assert into[number] == (nearest if number in flagged else number)
    with pytest.raises(Refused) as error:
        substitutes(Codebook(atoms), range(12))
    assert str(error.value) == (
        "all 12 entries of codebook are flagged, so that none is left to take the place of "
        "another. Lower the false-discovery rate."
    )


def test_why_neutral_images_cannot_say():
    tokens = torch.tensor([[1, 2, 3, 4]] * 5)
    assert why_silent(GROUPS, tokens, {1, 2}, {2, 3}) == ""
    assert why_silent(GROUPS, tokens, {1, 2}, {1, 2, 3}) == (
        "the lists of 'house' and 'tower' share 2 tokens, which leaves 0 and 1. Longer lists may "
        "tell the groups apart."
    )
    assert why_silent(GROUPS, tokens, {1, 8}, {1, 9}) == (
        "none of the 2 tokens that are in one of the lists of 'house' and 'tower' only occurs in "
        "them."
    )
    assert why_silent(GROUPS, tokens, {1, 8, 9}, {5, 6}) == (
        "its control draws 5 tokens, as many as are in one of the lists of 'house' and 'tower' "
        "only, and 4 occur in them. Shorter lists, or more images, would do."
    )


def test_neutral_images_that_cannot_say_do_not_stop_the_rest(tmp_path):
    rows = painted(tmp_path / "pictures", training=10, reference=10, neutral=5)
    for number in range(5):
        Image.new("RGB", (32, 32), RED).save(tmp_path / "pictures" / f"neutral-{number}.png")
    found = audit(groups_of(tmp_path, rows), concepts=planted(5.0), epochs=None)
    assert found.answers.lean is None and found.answers.shortcuts is not None
    assert found.answers.silent.endswith("1 occur in them. Shorter lists, or more images, would do.")  # fmt: skip # noqa: E501


# ------------------------------------------------------------------------------- labels


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of pictures of three groups, and rows of labels."""
    base = tmp_path_factory.mktemp("labels")
    (base / "pictures").mkdir()
    rows = []
    for group, part, count in [
        ("cat", "training", 5), ("dog", "", 5), ("cow", "Training ", 5),
        ("cat", "reference", 10), ("dog", "reference", 10), ("", "neutral", 5),
    ]:  # fmt: skip
        for _ in range(count):
            name = f"{len(rows)}.png"
            mosaic(np.random.default_rng(len(rows)), None, RED).save(base / "pictures" / name)
            rows.append((name, group, part))
    return base, rows


def test_parts_and_groups_are_read(pictures):
    base, rows = pictures
    groups = groups_of(base, rows, between=("dog", "cat"))
    assert groups.names == ("dog", "cat") and len(groups.labels) == 35, "no cows"
    sizes = {part: groups.sizes(groups.labels, part) for part in ("training", "reference", "neutral")}  # fmt: skip # noqa: E501
    assert sizes == {"training": (5, 5), "reference": (10, 10), "neutral": (5,)}
    assert groups.part("training").counts == {"cat": 5, "dog": 5}
    assert groups.part("reference").counts == {"cat": 10, "dog": 10}
    assert groups.part("neutral").counts == {"": 5}
    assert all(one.image.parent == groups.folder for one in groups.labels.images)


def test_a_file_without_parts_is_of_training_images(lone):
    rows = [(one.image.name, one.label) for one in lone.labels.images]
    path = written(lone.folder.parent / "plain.csv", rows, ("image", "Group"))
    groups = read_groups(path, lone.folder)
    assert groups.names == GROUPS and len(groups.part("training")) == 40


def test_in_a_list_a_neutral_image_may_have_no_label_at_all(lone):
    lines = [f'{{"image": "{one.image.name}", "label": "{one.label}"}}' for one in lone.labels.images]  # fmt: skip # noqa: E501
    lines[:5] = [f'{{"image": "{one.image.name}", "Part": "neutral"}}' for one in lone.labels.images[:5]]  # fmt: skip # noqa: E501
    path = lone.folder.parent / "list.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    assert len(read_groups(path, lone.folder).part("neutral")) == 5


def relabelled(rows, number, group=None, part=None):
    name, was, at = rows[number]
    new = (name, was if group is None else group, at if part is None else part)
    return [*rows[:number], new, *rows[number + 1 :]]


REFUSED = {
    "three groups": (lambda r: r, None, BadInput, "{path} names 3 groups: cat, cow, dog; an audit compares two. Choose them, such as --between cat,cow."),  # noqa: E501
    "unknown group": (lambda r: r, ("cat", "dgo"), BadInput, "{path} names no training images of 'dgo'. Did you mean 'dog'? It names cat, cow, dog."),  # noqa: E501
    "one group twice": (lambda r: r, ("cat", "cat"), BadInput, "an audit compares two groups; it got 'cat', 'cat'."),  # noqa: E501
    "one group": (lambda r: [(n, "cat", p) for n, _, p in r], None, BadInput, "{path} names training images of one group only, 'cat'; an audit compares two. Add images of another."),  # noqa: E501
    "no training": (lambda r: [(n, g or "cat", "neutral") for n, g, _ in r], None, BadInput, "{path} names training images of no group; an audit compares two. Add images of another."),  # noqa: E501
    "a bad part": (lambda r: relabelled(r, 3, part="trainig"), ("cat", "dog"), BadInput, "line 5 of {path}: a part is training, reference or neutral; got 'trainig'. Did you mean 'training'?"),  # noqa: E501
    "no label": (lambda r: relabelled(r, 3, group=" "), ("cat", "dog"), BadInput, "line 5 of {path}: a label must say something; got an empty one. Write one, or leave the line out."),  # noqa: E501
    "few training": (lambda r: relabelled(r, 3, group="cow"), ("cat", "dog"), BadInput, "an audit needs 5 training images or more of each group; {path} has 4 of 'cat'. Add images, or choose other groups."),  # noqa: E501
    "few reference": (lambda r: relabelled(r, 16, group="dog"), ("cat", "dog"), BadInput, "an audit needs 10 reference images or more of each group; {path} has 9 of 'cat'. Add images, or leave the reference images out."),  # noqa: E501
    "few neutral": (lambda r: relabelled(r, -2, "cat", "training")[:-1] + [r[-1]], ("cat", "dog"), BadInput, "an audit needs 5 neutral images or more; {path} has 4. Add images, or leave the neutral ones out."),  # noqa: E501
    "a third class": (lambda r: relabelled(r, 16, group="cta"), ("cat", "dog"), BadInput, "line 18 of {path}: a reference image is of 'cta', of which there are no training images. Did you mean 'cat'?"),  # noqa: E501
    "a strange class": (lambda r: relabelled(r, 16, group="zebra"), ("cat", "dog"), BadInput, "line 18 of {path}: a reference image is of 'zebra', of which there are no training images. Leave it out."),  # noqa: E501
    "missed": (lambda r: r[1:], ("cat", "dog"), BadInput, "{path} has no label for 1 image in {folder}: {folder}/0.png. Label them, or move them elsewhere."),  # noqa: E501
    "not there": (lambda r: [*r, ("elsewhere.jpeg", "cat", "")], ("cat", "dog"), Missing, "{path} names an image that is not in {folder}: {folder}/elsewhere.jpeg (line 42). Mend the paths, or leave the lines out."),  # noqa: E501
    "twice": (lambda r: [*r, ("0.png", "cat", "reference")], ("cat", "dog"), BadInput, "{path} labels {folder}/0.png twice: 'cat' on line 2, 'cat (reference)' on line 42. Leave one out."),  # noqa: E501
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_labels_that_leave_something_open_are_refused(pictures, name):
    base, rows = pictures
    change, between, kind, sentence = REFUSED[name]
    with pytest.raises(kind) as error:
        groups_of(base, change(rows), between)
    names = {"path": base / "labels.csv", "folder": base / "pictures"}
    assert str(error.value) == sentence.format(**names)


def test_a_bad_rate_and_a_stranger_of_a_concept_model_are_refused_before_any_work(lone, tmp_path):
    with pytest.raises(BadInput) as error:
        audit(lone, tmp_path / "work", fdr=1.0)
    assert str(error.value) == (
        "ShortcutTokens needs a rate between 0 and 1, and a least |δ|, a p and a share owed from 0 "
        "to 1; it got fdr=1.0, least=0.147, silent=0.05, owed=0.7."
    )
    stranger = replace(planted(), concepts=("house", "tent"))
    with pytest.raises(BadInput) as error:
        audit(lone, tmp_path / "work", concepts=stranger, epochs=None)
    assert str(error.value) == (
        f"known does not know 'tower', which {lone.labels.source} names. Leave the concept model "
        "out, and one is trained on these labels."
    )
    assert not (tmp_path / "work").exists()


def test_every_colour_is_its_own_token():
    cells = PALETTE[:, None, None].repeat(32, 1).repeat(32, 2).astype(np.float32) / 127.5 - 1
    x = torch.from_numpy(cells).permute(0, 3, 1, 2)
    tokens = model().tokens(x)
    assert torch.equal(tokens, torch.arange(len(PALETTE))[:, None].expand(-1, SIDE * SIDE))
