import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.concepts.extractors import CNN
from legenda.core.cooccurrence import PairCounts
from legenda.core.interval import wilson
from legenda.corpus.labels import read_labels
from legenda.errors import BadInput, Refused
from legenda.explain.concept_tokens import ConceptTokens, count_tokens
from legenda.explain.token_importance import TokenImportance
from legenda.tasks import shelf, token_counts, token_pictures, token_survey
from legenda.tasks.shelf import Shelf, shards
from legenda.tasks.token_counts import Shares, company, counted, occurrence, strongest
from legenda.tasks.tokens import token_book
from tests.tasks import palette, toys
from tests.tasks.palette import BLUE, GREEN, NEVER, RED, YELLOW

SMALL = CNN(((8, 1),), (16,), 0.0)
HOW, QUICK = ConceptTokens(top=3), TokenImportance(draws=4)


@pytest.fixture
def world(tmp_path):
    palette.world(tmp_path, 24)
    return read_labels(tmp_path / "labels.csv", tmp_path / "pictures")


def book(labels, folder=None, **options):
    given = {"concepts": palette.seeker(), "how": HOW, "importance": QUICK, **options}
    return token_book(palette.model(), labels, folder, **given)


def said(card):
    """A card as text, pictures and all."""
    crops = [e.crop.tolist() for e in card.exemplars if e.crop is not None]
    looks = [None if p is None else p.tolist() for p in (card.alone, card.company)]
    return repr((card.importance, card.classes, card.together, card.neighbours, crops, looks))


def files(folder):
    """All but the last state of a training, whose file lists its settings in any order."""
    found = (p for p in folder.rglob("*") if p.is_file() and p.stem != "checkpoint")
    return {p.relative_to(folder): p.read_bytes() for p in found}


# what is counted, against its slow twin


@pytest.fixture
def grids():
    lot = np.random.default_rng(1)
    tokens = lot.integers(0, 9, (30, 6)).astype(np.uint16)
    return tokens, np.round(lot.random((30, 6)), 1).astype(np.float32)  # with ties


def test_importance_is_a_mean_over_cells_and_images_are_drawn(grids, monkeypatch):
    from scipy.stats import t

    monkeypatch.setattr(token_counts, "CELLS", 70)  # a few images at a time
    tokens, scores = grids
    tokens[0, 0] = 9  # in one image only; 10 is in none
    found = occurrence(tokens, scores, 11)
    for token in range(9):
        rows = [m for m in range(30) if token in tokens[m]]
        s = [float(scores[m][tokens[m] == token].astype(float).sum()) for m in rows]
        n = [int((tokens[m] == token).sum()) for m in rows]
        mean = sum(s) / sum(n)
        gaps = sum((a - mean * b) ** 2 for a, b in zip(s, n, strict=True))
        half = t.ppf(0.975, len(rows) - 1) * math.sqrt(len(rows) / (len(rows) - 1) * gaps) / sum(n)
        assert (found.cells[token], found.images[token]) == (sum(n), len(rows))
        assert [found.mean[token], found.low[token], found.high[token]] == pytest.approx(
            [mean, mean - half, mean + half], abs=1e-9
        )
    assert (found.low[9], found.high[9]) == (-math.inf, math.inf) and np.isnan(found.mean[10])
    assert found.overall == pytest.approx(float(scores.astype(float).mean()))


def test_the_interval_holds_the_mean_as_often_as_it_says():
    lot, hits = np.random.default_rng(0), 0
    for _ in range(400):
        tokens = (lot.random((40, 8)) < 0.3).astype(np.uint16)
        images = lot.normal(1, 0.5, (40, 1))  # cells of one image go up and down together
        found = occurrence(tokens, (images + lot.normal(0, 0.2, (40, 8))).astype(np.float32), 2)
        hits += found.low[1] <= 1 <= found.high[1]
    assert 0.92 < hits / 400 < 0.98


def test_exemplars_come_from_distinct_images(grids):
    tokens, scores = grids
    same = np.arange(30)
    same[7] = 3  # the picture of image 3 again
    found = strongest(tokens, scores, same, 4)
    for token in range(9):
        cells = {}
        for m in range(30):
            for p in np.flatnonzero(tokens[m] == token):
                key = (-scores[m, p], p)
                if same[m] not in cells or key < cells[same[m]]:
                    cells[same[m]] = key
        slow = sorted((score, image, place) for image, (score, place) in cells.items())[:4]
        assert found[token] == [(image, place) for _, image, place in slow]


def test_parts_count_as_the_whole(grids, monkeypatch):
    tokens, scores = np.tile(grids[0], (300, 1)), np.tile(grids[1], (300, 1))
    labels = torch.arange(9000) % 3
    whole = count_tokens(
        torch.from_numpy(tokens.astype(np.int64)), torch.from_numpy(scores), labels, 9, 3, 2
    )
    found = counted(tokens, scores, labels, 9, 3, 2)
    for part in ("images", "tops", "cells", "seen", "has"):
        assert torch.equal(getattr(found, part), getattr(whole, part))
    assert strongest(tokens, scores, np.arange(9000), 3)[4] == strongest(
        tokens[::-1], scores[::-1], np.arange(9000)[::-1], 3
    )[4]  # fmt: skip


def test_many_shares_are_wilsons():
    found, images = np.array([[0, 3, 5], [1, 2, 9]]), np.array([[5], [9]])
    value, low, high = token_counts.wilson(found, images)
    for row, column in np.ndindex(found.shape):
        count, many = int(found[row, column]), int(images[row, 0])
        want = (count / many, *wilson(count, many))
        assert (value[row, column], low[row, column], high[row, column]) == pytest.approx(want)


def test_what_stands_out_has_its_intervals_apart():
    ends = [np.array([[v]]) for v in (0.5, 0.4, 0.6, 0.2, 0.1, 0.3)]
    assert Shares(*ends).standing == 1
    assert Shares(*ends[3:], *ends[:3]).standing == 0
    assert Shares(*ends[:3], *[e + 0.15 for e in ends[3:]]).standing == 0


def test_company_is_that_of_the_pairs(grids):
    pairs = PairCounts(9, range(1, 9)).update(torch.from_numpy(grids[0].astype(np.int64))).result()
    found = company(pairs, 3, 4)
    for token in range(1, 9):
        some = [pairs.lift(token, other) for other in range(1, 9) if other != token]
        slow = sorted(
            (x for x in some if x.together >= 4), key=lambda x: (-x.interval[0], x.second)
        )
        assert found[token] == tuple(slow[:3])
        sure = tuple(x for x in slow if x.interval[0] > 0.9)
        assert company(pairs, 30, 4, above=0.9)[token] == sure


# what is kept


def test_a_new_key_changes_one_shard_only():
    keys = [shelf.fingerprint(i) for i in range(900)]
    before = [[keys[row] for row in part] for part in shards(keys)]
    after = [[[*keys, "7new"][row] for row in part] for part in shards([*keys, "7new"])]
    assert sorted(sum(before, [])) == sorted(keys) and max(map(len, before)) <= shelf.SHARD
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1
    assert shards(keys[:256]) == [sorted(range(256), key=lambda row: keys[row])]


def test_a_piece_is_made_once_and_a_damaged_one_again(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"x": torch.tensor([len(made)])}

    kept = Shelf(tmp_path / "w")
    assert [int(kept.once("a", [1, "k"], make)["x"]) for _ in range(2)] == [1, 1]
    assert int(kept.once("a", [2, "k"], make)["x"]) == 2
    (path, *_) = sorted((tmp_path / "w").iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    assert sorted(int(kept.once("a", [n, "k"], make)["x"]) for n in (1, 2))[-1] == 3
    assert [int(Shelf().once("a", 1, make)["x"]) for _ in range(2)] == [4, 5]


# the whole


def test_known_tokens_have_known_cards(world, tmp_path):
    tokens, labels = palette.grids(24)
    found = book(world)
    assert len(found.cards) == 8 and [card.token for card in found.cards] == list(range(8))
    for card in found.cards:
        assert card.cells == (tokens == card.token).sum() and card.share == card.cells / 384
        held = int((tokens == card.token).any(1).sum())
        assert card.images.value == held / 24 and card.images.interval == wilson(held, 24)
        colour = np.array(palette.COLOURS[card.token])
        assert (
            card.alone is not None
            and (card.alone == colour).all()
            and card.alone.shape == (12, 12, 3)
        )  # noqa: E501
        assert card.company is not None and card.company.shape == (4, 4, 3)
        assert (card.company == (colour if card.cells else 0)).all()
    assert [n for n, _ in found.cards[RED].neighbours][0] == NEVER
    assert found.cards[RED].neighbours[0][1] == pytest.approx(1 / 127.5, abs=1e-5)
    assert (
        np.array(found.survey.tokens) == tokens[[int(o.image.stem) for o in world.images]]
    ).all()  # noqa: E501


def test_the_planted_token_names_its_class_first(world):
    tokens, _ = palette.grids(24)
    found = book(world)
    for token, concept, other in ((RED, "apple", "pear"), (GREEN, "pear", "apple")):
        card = found.cards[token]
        assert [c.concept for c in card.classes] == [concept] and card.classes[0].stands_out
        first = card.classes[0]
        assert (first.share.value, first.share.n, first.control.value, first.control.n) == (
            1,
            12,
            0,
            12,
        )  # noqa: E501
        assert 22 <= first.count == card.top <= 24
        assert card.importance is not None and card.importance.interval[0] > card.importance.control
        assert int(found.ranking[concept].tokens[0]) == token
        assert int(found.baseline[concept].tokens[0]) in range(3), "the frequent ones are grey"
        for one in card.exemplars:
            assert one.label == concept != other
            row = int(one.image.rsplit("/", 1)[1].removesuffix(".png"))
            assert tokens[row, one.row * 4 + one.column] == token
            y, x = (4 * one.cell[0] + 2, 4 * one.cell[1] + 2)
            assert one.crop is not None and tuple(one.crop[y, x]) == palette.COLOURS[token]
        assert len({one.image for one in card.exemplars}) == len(card.exemplars) == 6
    assert found.standing >= 2 and found.shuffled == 0 and found.asked == 16


def test_classes_are_in_order_of_how_clearly_they_stand_out(world):
    tokens, _ = palette.grids(24)
    for row in (0, 2, 4):  # so that black and white are in more pears than apples
        tokens[row] = RED
        palette.painted(tokens[row]).save(world.images[row].image)
    found = book(world, how=ConceptTokens(top=16))  # every position is a top position
    several = 0
    for card in found.cards:
        rows = {c: [m for m in range(24) if palette.CONCEPTS[m % 2] == c] for c in palette.CONCEPTS}
        held = {c: sum(card.token in tokens[m] for m in rows[c]) for c in rows}
        clear = {
            c: wilson(held[c], 12)[0] - wilson(sum(held.values()) - held[c], 12)[1] for c in rows
        }
        slow = sorted((c for c in rows if held[c]), key=lambda c: -clear[c])
        assert [one.concept for one in card.classes] == slow
        for one in card.classes:
            assert one.count == sum((tokens[m] == card.token).sum() for m in rows[one.concept])
            assert one.share.value == held[one.concept] / 12
            assert one.stands_out == (clear[one.concept] > 0)
        several += slow == ["pear", "apple"]
    assert several, "not only in order of the alphabet"


def test_company_shows_who_goes_with_whom(world):
    card = book(world).cards[BLUE]
    assert [lift.second for lift in card.together][0] == YELLOW
    assert card.together[0].value == 3 and card.together[0].interval[0] > 1
    assert card.by_chance is None or card.by_chance.interval[0] < card.together[0].interval[0]


def test_a_token_that_is_nowhere_has_a_card(world):
    card = book(world).cards[NEVER]
    assert (card.cells, card.images.value, card.top, card.importance) == (0, 0, 0, None)
    assert card.classes == card.exemplars == card.together == () and card.name is None
    assert card.alone is not None and card.neighbours[0][0] == RED


def test_a_trained_extractor_finds_the_planted_tokens(tmp_path):
    palette.world(tmp_path, 60)
    labels = read_labels(tmp_path / "labels.csv", tmp_path / "pictures")
    found = book(labels, concepts=None, extractor=SMALL, epochs=30)
    top1 = found.accuracy[0]
    assert top1.name == "top-1" and top1.value == 1 and top1.n == 6 and top1.control == 0.5
    assert found.judged == "6 images that it did not see"
    assert found.settings["extractor"].endswith("trained on 48 of these images for 30 epochs")
    assert found.cards[RED].classes[0].concept == "apple"
    assert found.cards[GREEN].classes[0].concept == "pear"


def test_batches_change_nothing(world, monkeypatch):
    whole = list(map(said, book(world).cards))
    for module in (token_survey, token_pictures):
        monkeypatch.setattr(module, "BATCH", 5)
    assert list(map(said, book(world).cards)) == whole


def test_another_order_of_images_is_the_same_counts(world):
    other = replace(world, images=world.images[::-1])
    for mine, its in zip(book(world).cards, book(other).cards, strict=True):
        assert (mine.cells, mine.images, mine.top, mine.classes) == (
            its.cells,
            its.images,
            its.top,
            its.classes,
        )  # noqa: E501


class Killed(Exception):
    """Somebody stops the run."""


@pytest.mark.parametrize(
    "stop", [("reading", 8), ("training", 6), ("importance", 12), ("decoding images", 16)]
)  # noqa: E501
def test_killed_and_resumed_is_the_same_to_the_byte(world, tmp_path, monkeypatch, stop):
    monkeypatch.setattr(shelf, "SHARD", 4)
    options = {"concepts": None, "extractor": SMALL, "epochs": 8}
    whole = book(world, tmp_path / "a", **options)

    def kill(what, done, total):
        if what == stop[0] and done >= stop[1]:
            raise Killed

    with pytest.raises(Killed):
        book(world, tmp_path / "b", report=kill, **options)
    before = files(tmp_path / "b")
    again = book(world, tmp_path / "b", **options)
    assert list(map(said, again.cards)) == list(map(said, whole.cards))
    assert files(tmp_path / "a") == files(tmp_path / "b") and set(before) < set(
        files(tmp_path / "b")
    )  # noqa: E501


def test_a_run_that_is_repeated_costs_nothing(world, tmp_path, monkeypatch):
    whole = book(world, tmp_path, concepts=None, extractor=SMALL, epochs=2)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}

    def never(*_, **__):
        raise AssertionError("this was done already")

    for module, name in ((token_survey, "tokenised"), (token_survey, "importance"), (token_survey, "open_image"), (token_pictures, "filled"), (token_pictures, "added")):  # fmt: skip # noqa: E501
        monkeypatch.setattr(module, name, never)
    again = book(world, tmp_path, concepts=None, extractor=SMALL, epochs=2)
    assert list(map(said, again.cards)) == list(map(said, whole.cards))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == before


def test_a_picture_that_changed_in_place_is_read_again(world, tmp_path, monkeypatch):
    monkeypatch.setattr(shelf, "SHARD", 4)
    book(world, tmp_path / "w")
    palette.painted([YELLOW] * 16).save(world.images[2].image)
    found = book(world, tmp_path / "w")
    assert (found.survey.tokens[2] == YELLOW).all()
    tokens = palette.grids(24)[0][[int(one.image.stem) for one in world.images]]
    others = [row for row in range(24) if row != 2]
    assert (found.survey.tokens[others] == tokens[others]).all()


def test_an_unreadable_image_is_told_and_the_others_go_on(world, tmp_path):
    bad, told = world.images[3].image, []
    bad.write_bytes(b"no picture")
    found = book(world, tmp_path / "w", lost=told.append)
    want = (
        f"{bad} is not an image that legenda reads (AVIF, BMP, GIF, JPEG, JPEG2000, PNG, PPM, "
        "TIFF, WEBP), or its header is broken. Save it as PNG or JPEG."
    )
    assert told == [want] == list(found.survey.refused) and len(found.survey) == 23
    assert found.cards[RED].images.n == 23
    Image.new("RGB", (16, 16)).save(bad)
    assert len(book(world, tmp_path / "w").survey) == 24


def test_too_few_readable_images_are_refused(tmp_path):
    palette.world(tmp_path, 10)
    labels = read_labels(tmp_path / "labels.csv", tmp_path / "pictures")
    labels.images[0].image.write_bytes(b"")
    with pytest.raises(BadInput) as caught:
        book(labels)
    assert str(caught.value) == (
        f"every class in {tmp_path}/labels.csv needs 5 images or more; 'apple' has 4. "
        "Add images, or leave the class out."
    )


def test_only_the_most_important_are_drawn(world):
    found = book(world, most=4)
    listed = {
        t
        for r in (found.ranking, found.baseline)
        for one in r.lists
        for t in one.tokens[:10].tolist()
    }  # noqa: E501
    assert set(found.drawn) == listed and found.drawn[:2] == (RED, GREEN)
    assert found.cards[NEVER].alone is None and found.cards[RED].alone is not None
    assert len(found.cards) == 8


def test_a_tokenizer_without_a_decoder_has_no_patches(world):
    vq = replace(palette.model(), unquantise=None)
    found = token_book(vq, world, concepts=palette.seeker(), how=HOW, importance=QUICK)
    card = found.cards[RED]
    assert card.alone is None and card.company is None and card.exemplars[0].crop is not None


def test_patches_of_a_network_are_those_of_one_picture_at_a_time(tmp_path):
    vq = toys.model()
    lines = ["image,class"]
    for row, shown in enumerate(vq.bytes(toys.pixels(10)).numpy()):
        Image.fromarray(shown).save(tmp_path / f"{row}.png")
        lines.append(f"{row}.png,{('cat', 'dog')[row % 2]}")
    (tmp_path / "l.csv").write_text("\n".join(lines))
    labels = read_labels(tmp_path / "l.csv", tmp_path)
    found = token_book(vq, labels, concepts=toys.extractor(), importance=QUICK)
    sums, counts = np.zeros((16, 2, 2, 3)), np.zeros(16)
    for one, tokens in zip(labels.images, found.survey.tokens, strict=True):
        with Image.open(one.image) as picture:
            x = vq.pixels([picture])
        assert (vq.tokens(x)[0].numpy() == tokens).all()
        shown = vq.bytes(vq.decode(vq.acts(x)))[0].numpy()
        for position, token in enumerate(tokens):
            y, x0 = 2 * (position // 16), 2 * (position % 16)
            sums[token] += shown[y : y + 2, x0 : x0 + 2]
            counts[token] += 1
    assert (counts > 0).sum() > 8
    for token, card in enumerate(found.cards):
        alone = vq.bytes(vq.decode(vq.embed(torch.full((1, 256), token))))[0].numpy()
        np.testing.assert_allclose(card.alone, alone[14:20, 14:20], atol=1)
        if counts[token]:
            np.testing.assert_allclose(card.company, sums[token] / counts[token], atol=1)
        for one in card.exemplars:
            with Image.open(one.image) as picture:
                whole = np.asarray(picture)
            y, x0 = one.row - one.cell[0], one.column - one.cell[1]
            np.testing.assert_array_equal(one.crop, whole[2 * y : 2 * y + 10, 2 * x0 : 2 * x0 + 10])


def test_uneven_cells_are_cut_where_they_begin():
    picture = torch.arange(7 * 5 * 3, dtype=torch.uint8).view(1, 7, 5, 3)
    cut = token_pictures.patches(picture, (3, 2))
    assert cut.shape == (6, 2, 2, 3)
    for r, c in np.ndindex(3, 2):
        y, x = r * 7 // 3, c * 5 // 2
        assert torch.equal(cut[r * 2 + c], picture[0, y : y + 2, x : x + 2])


def test_large_tiles_are_made_smaller():
    picture = np.zeros((256, 256, 3), np.uint8)
    assert token_pictures.tile(picture, (16, 16), (3, 4), 5).shape == (48, 48, 3)
    assert token_pictures.tile(picture, (2, 1), (0, 0), 5).shape == (48, 48, 3)


# refusals


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"how": ConceptTokens(top=17)}, BadInput, "a grid of 16 positions has no top 17. Take 1 to 16 of them."),  # noqa: E501
        ({"epochs": 0}, BadInput, "a training needs an epoch or more; it got 0. Leave it out, or give more."),  # noqa: E501
        (
            {"concepts": replace(palette.seeker(), concepts=("apple", "peas"))}, BadInput,
            "seeker does not know 'pear', which {} names. Did you mean 'peas'? "
            "Leave the concept model out, and one is trained on these labels.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_is_written(
    world, tmp_path, options, error, message
):  # noqa: E501
    with pytest.raises(error) as caught:
        book(world, tmp_path / "w", **options)
    assert str(caught.value) == message.replace("{}", str(world.source))
    assert not (tmp_path / "w").exists()


def test_a_concept_model_of_other_tokens_is_refused(world):
    with pytest.raises(Refused, match="seeker reads 8 entries"):
        book(world, concepts=replace(palette.seeker(), grid=(8, 8)))
