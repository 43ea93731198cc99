import base64
import html
import io
import json
import re
import subprocess
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from legenda.corpus.labels import read_labels
from legenda.describe.name_check import Summary
from legenda.describe.naming import NameCheck
from legenda.explain.concept_tokens import ConceptTokens
from legenda.explain.token_importance import TokenImportance
from legenda.show import tokens as show
from legenda.show.sprite import sprite
from legenda.show.tokens import head, line, page
from legenda.tasks.token_card import Share, TokenName
from legenda.tasks.token_naming import TokenNames, TokenNaming
from legenda.tasks.tokens import token_book
from tests.show.test_page import CHROMIUM, HOSTILE, Tags
from tests.tasks import palette, token_world
from tests.tasks.palette import GREEN, NEVER, RED, YELLOW


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    palette.world(folder, 24)
    labels = read_labels(folder / "labels.csv", folder / "pictures")
    return token_book(
        palette.model(), labels, concepts=palette.seeker(), how=ConceptTokens(top=3),
        importance=TokenImportance(draws=4),
    )  # fmt: skip


def written(book, **settings):
    said, lines = head(book, "legenda tokens m d --concepts l.csv", **settings), lined(book)
    return page(book, said, lines)


def lined(book):
    return [line(card) for card in book.cards]


def of(text, token):
    """The card of a token on a page."""
    return text.split(f'id="token-{token}"')[1].split("</details>")[0]


def test_what_is_said_of_the_whole(book):
    said = json.loads(json.dumps(head(book, device="cpu"), allow_nan=False))
    assert (said["schema"], said["kind"], said["entries"], said["used"]) == (1, "tokens", 8, 7)
    assert said["classes"] == {"apple": 12, "pear": 12} and said["images"] == 24
    assert said["settings"]["device"] == "cpu" and said["settings"]["seed"] == "0"
    apple = said["concepts"][0]
    assert apple["concept"] == "apple" and apple["tokens"][0]["token"] == RED
    assert apple["tokens"][0]["share"]["value"] == 1 and apple["tokens"][0]["stands_out"]
    assert apple["frequent"][0]["token"] in range(3)
    assert said["standing"]["found"] == book.standing and said["standing"]["asked"] == 16
    assert said["extractor"]["scores"][0]["name"] == "top-1"


def test_a_line_holds_all_of_a_card(book):
    said = json.loads(json.dumps(lined(book)[RED], allow_nan=False))
    card = book.cards[RED]
    assert (said["kind"], said["token"], said["name"], said["cells"]) == ("token", RED, None, 24)
    assert said["classes"][0]["concept"] == "apple" and said["classes"][0]["stands_out"] is True
    assert said["classes"][0]["share"] == {
        "value": 1,
        "interval": list(card.classes[0].share.interval),
        "n": 12,
    }  # noqa: E501
    assert said["importance"]["control"] == book.cards[GREEN].importance.control
    assert [e["label"] for e in said["exemplars"]] == ["apple"] * 6 and "crop" not in said[
        "exemplars"
    ][0]  # noqa: E501
    assert said["neighbours"][0]["token"] == NEVER and said["colour"] == "#ff0000"
    never = lined(book)[NEVER]
    assert never["importance"] is None and never["colour"] == "#fe0000" and never["classes"] == []


def test_nothing_is_fetched_and_the_script_is_ours(book):
    text = written(book)
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", text)
    assert not re.search(r"url\((?!data:image/)|@import|https?:", text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    held = base64.b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{held}'" in text


def test_every_picture_says_what_it_shows_or_is_beside_words(book):
    tiles = [t for t in Tags(written(book)).of("span") if (t.get("class") or "").startswith("tile")]
    assert tiles and all(t.get("aria-label") or t.get("aria-hidden") == "true" for t in tiles)
    said = [t["aria-label"] or "" for t in tiles if t.get("role") == "img"]
    assert f"Token {RED}, decoded alone" in said
    assert sum(one.startswith("apple: ") for one in said) >= 6


@pytest.mark.parametrize("step", [1, -1])
def test_pictures_are_those_of_their_cards(book, step):
    text = written(replace(book, drawn=book.drawn[::step]))
    sheets = {
        name: np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
        for name, data in re.findall(r"\.tile\.(\w+) \{[^}]*base64,([^)]*)\)", text)
    }
    assert set(sheets) == {"alone", "company", "exemplar"}
    for card in book.cards:
        crops = [e.crop for e in card.exemplars]
        for name, tiles in (
            ("alone", [card.alone]),
            ("exemplar", crops),
            ("company", [card.company]),
        ):  # noqa: E501
            shown = of(text, card.token).split("In the same images")[0].split("Nearest in")[0]
            places = re.findall(rf'class="tile {name}" style="--x:(\d+);--y:(\d+)"', shown)
            if name == "company" and not card.cells:
                continue
            assert len(places) >= len(tiles)
            for (x, y), tile in zip(places, tiles, strict=False):
                h, w, _ = tile.shape
                top, left = int(y) * h, int(x) * w
                assert (sheets[name][top : top + h, left : left + w] == tile).all()


def test_every_link_leads_to_a_card(book):
    tags = Tags(written(book))
    cards = {t["id"] for t in tags.of("details") if t.get("id")}
    assert cards == {f"token-{token}" for token in range(8)}
    links = [t["href"] or "" for t in tags.of("a")]
    assert links and {link[1:] for link in links} <= cards


def test_the_most_important_come_first_and_are_found_by_class(book):
    cards = [t for t in Tags(written(book)).of("details") if t.get("id")]
    assert [int(c["data-token"] or "") for c in cards[:2]] == [RED, GREEN]
    assert [c["data-find"] for c in cards[:2]] == ["apple", "pear"]
    assert "no class" in of(written(book), YELLOW) and "unused" in of(written(book), NEVER)


def test_a_card_says_its_numbers(book):
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", of(written(book), RED))).split())
    assert "24 cells, 6.25 % of all; in 50 [31.4, 68.6] % of 24 images;" in text
    assert "apple 2" in text and "100 [75.8, 100] % 0 [0, 24.2] %" in text
    assert re.search(
        r"Mean importance [\d.]+ \[[\d.]+, [\d.]+\] over 12 images; all cells [\d.]+\.", text
    )  # noqa: E501
    assert "It has no name yet." in text


def test_a_class_has_both_its_lists(book):
    text = written(book).split('id="class-1"')[1].split("</section>")[0]
    assert (
        text.index("by importance")
        < text.index(f'href="#token-{RED}"')
        < text.index("by frequency")
    )  # noqa: E501
    assert "12 images;" in text and 'class="apart"' in text


def named(book, token, name, **more):
    cards = list(book.cards)
    cards[token] = replace(cards[token], name=name)
    return written(replace(book, cards=cards, **more))


def plainly(text):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


CHECK = NameCheck(0.9, (0.6, 0.98), 4, 4, 0.5, 0.55)
SKIN = TokenName(
    "red skin", "zoo:photos", score=0.34, margin=0.1, null=0.21,
    candidates=(("red skin", 0.34), ("rose", 0.24), ("ruby", 0.2), ("wine", 0.1), ("x", 0.0)),
    crops=12, check=CHECK,
)  # fmt: skip


def test_a_name_has_its_place(book):
    whole = named(book, RED, TokenName("red skin", "somebody"))
    text = of(whole, RED)
    assert 'data-find="red skin apple"' in text and "red skin <span" in text
    lists = whole.split('id="class-1"')[1].split("</section>")[0]
    assert re.search(rf'href="#token-{RED}">.*{RED} red skin</a>', lists)


def test_a_name_says_how_far_to_trust_it(book):
    text = plainly(of(named(book, RED, SKIN), RED))
    assert (
        "red skin by zoo:photos. 0.34, where crops with nothing in common reach 0.21 by chance. "
        "12 crops; also: rose, ruby, wine. It tells 4 held-out crops from others with an AUROC of "
        "0.9 [0.6, 0.98]; a random word 0.5."
    ) in text


def test_a_token_without_a_name_says_why(book):
    reason = "no word stands out: .20, null .95 quantile .21"
    none = replace(SKIN, text=None, reason=reason, check=None, candidates=SKIN.candidates[1:])
    text = of(named(book, RED, none), RED)
    assert f"It has no name: {reason}. 12 crops; nearest: rose, ruby, wine." in plainly(text)
    assert 'data-find="apple"' in text and "None" not in text


def test_a_persons_name_says_so(book):
    person = replace(SKIN, text="hide", by="a person", reason="I looked", check=None)
    text = plainly(of(named(book, RED, person), RED))
    assert "hide by a person. I looked. 12 crops; also: red skin, rose, ruby." in text
    nobody = TokenName(None, "a person", "a mixture")
    assert "No word fits: a mixture." in plainly(of(named(book, RED, nobody), RED))


def names_of(check, side=3):
    how = TokenNaming(token_world.dual(), token_world.VOCABULARY, side=side)
    rows = (16, 16) if side == 3 else (40, 40)
    shares = Share(0.5, (0.3, 0.7), 20), Share(0.05, (0.01, 0.2), 20)
    return TokenNames({RED: SKIN, GREEN: replace(SKIN, text=None)}, how, rows, *shares, check)


SURE = Summary((0.8, (0.75, 0.85)), (0.5, (0.4, 0.6)), (0.6, (0.55, 0.65)), 9)


def test_names_as_a_whole_stand_beside_chance(book):
    text = plainly(written(replace(book, names=names_of(SURE))))
    assert (
        "1 of 20 tokens with crops enough have a name, 50 [30, 70] %, among 60 words (toy words) "
        "by tests.tasks.token_world:dual; with all crops dealt out to tokens by lot, 5 [1, 20] %. "
        "A crop is what is decoded around a cell, 3 × 3 cells or 16 × 16 pixels. In so few pixels "
        "there are colours and edges, and hardly things: take no name at its word. A name tells "
        "its token's held-out crops from those of others with a mean AUROC of 0.8 [0.75, 0.85] "
        "over 9 names; a random word 0.5 [0.4, 0.6], another token's name 0.6 [0.55, 0.65]."
    ) in text
    unsure = SURE._replace(names=(0.62, (0.5, 0.7)))
    text = plainly(written(replace(book, names=names_of(unsure, side=5))))
    assert "0.65]: the names are not surely better than that." in text and "so few" not in text
    text = plainly(written(replace(book, names=names_of(None))))
    assert "No name could be checked on crops that were held out." in text


def test_names_that_chance_gives_as_well_are_said_to_be(book):
    few = replace(names_of(SURE), named=Share(0.1, (0.05, 0.3), 20))
    text = plainly(written(replace(book, names=few)))
    assert "by lot, 5 [1, 20] %, which is not surely fewer. A crop is" in text


def test_names_as_a_whole_are_numbers_too(book):
    said = json.loads(json.dumps(head(replace(book, names=names_of(SURE))), allow_nan=False))
    assert said["names"]["dealt"] == {"value": 0.05, "interval": [0.01, 0.2], "n": 20}
    assert said["names"]["check"]["others"] == {"value": 0.6, "interval": [0.55, 0.65]}
    assert said["names"]["check"]["n"] == 9 and said["names"]["count"] == 1
    assert "names" not in head(book)


def test_a_hostile_label_is_only_text(book):
    images = tuple(
        replace(i, label=i.label.replace("apple", HOSTILE)) for i in book.survey.labels.images
    )  # noqa: E501
    labels = replace(book.survey.labels, images=images)
    lists = tuple(
        replace(one, concept=one.concept.replace("apple", HOSTILE)) for one in book.ranking.lists
    )  # noqa: E501
    cards = [
        replace(c, classes=tuple(replace(x, concept=HOSTILE) for x in c.classes),
                exemplars=tuple(replace(e, label=HOSTILE, image=HOSTILE) for e in c.exemplars))
        for c in book.cards
    ]  # fmt: skip
    hostile = replace(
        book, cards=cards, ranking=replace(book.ranking, lists=lists),
        survey=replace(book.survey, labels=labels, refused=(HOSTILE,)),
    )  # fmt: skip
    tags = Tags(written(hostile, labels=HOSTILE))
    assert len(tags.of("script")) == 1 and not tags.of("img")
    assert not any("onerror" in attrs for _, attrs in tags.found)


def test_what_was_left_out_is_told(book, monkeypatch):
    text = written(book)
    assert "This page shows" not in text and "It lists the tokens of" not in text
    monkeypatch.setattr(show, "CONCEPTS", 1)
    few = replace(book, drawn=book.drawn[:3])
    text = html.unescape(written(few))
    assert (
        "This page shows 3 of 8 tokens: those of the lists, and the most important of the others. "
        "tokens.jsonl holds all."
    ) in text
    assert (
        "It lists the tokens of 1 of 2 classes, in order of the alphabet. tokens.jsonl holds all."
    ) in text
    assert len([t for t in Tags(text).of("details") if t.get("id")]) == 3
    assert {t["href"] for t in Tags(text).of("a")} <= {f"#token-{t}" for t in few.drawn}


def test_a_concept_model_that_knows_nothing_is_warned_of(book):
    assert "may know nothing" not in written(book)
    poor = replace(book.accuracy[0], interval=(0.4, 0.8))
    text = written(replace(book, accuracy=(poor,)))
    assert "The concept model may know nothing." in text
    assert "It is not surely better than that, so that what it finds important says little" in text


def test_the_lead_has_its_control(book):
    assert (
        f"8 tokens of tests.tasks.palette:model, of which 7 occur in 24 images of 2 classes. "
        f"{book.standing} of 16 pairs of a class and a token stand out; with the labels shuffled, "
        f"{book.shuffled}."
    ) in written(book)


def decoded(sheet):
    return np.asarray(
        Image.open(io.BytesIO(base64.b64decode(sheet.uri.split(",")[1]))).convert("RGB")
    )  # noqa: E501


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_a_tile_stands_where_its_place_says(count):
    lot = np.random.default_rng(0)
    tiles = [lot.integers(0, 256, (6, 4, 3)).astype(np.uint8) for _ in range(count)]
    sheet = sprite(tiles)
    assert sheet is not None
    whole = decoded(sheet)
    for number, one in enumerate(tiles):
        found = re.fullmatch(r"--x:(\d+);--y:(\d+)", sheet.place(number))
        assert found is not None
        x, y = int(found[1]) * 4, int(found[2]) * 6
        assert (whole[y : y + 6, x : x + 4] == one).all()
    assert sheet.columns * sheet.rows >= count and whole.shape[:2] == (
        sheet.rows * 6,
        sheet.columns * 4,
    )  # noqa: E501


def test_many_pixels_are_a_jpeg_and_nothing_is_nothing():
    tiles = [np.full((48, 48, 3), 99, np.uint8)] * 200
    sheet = sprite(tiles)
    assert sheet is not None and sheet.uri.startswith("data:image/jpeg") and len(sheet.uri) < 40_000
    assert sprite([]) is None


def test_a_thousand_cards_stay_light(book):
    cards = [replace(book.cards[t % 7], token=t) for t in range(1000)]
    text = written(replace(book, cards=cards, drawn=tuple(range(1000))))
    assert len(text) < 8_000_000


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_browser_opens_the_page_from_disk(tmp_path, book):
    path = tmp_path / "page.html"
    path.write_text(written(book), "utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--enable-logging=stderr", "--v=0", f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom", f"{path.as_uri()}#token-{GREEN}",
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert 'data-ready="yes"' in done.stdout, done.stderr
    assert "8 of 8</output>" in done.stdout  # the script counted the cards
    assert re.search(rf'id="token-{GREEN}"[^>]* open=""', done.stdout), "the card of the address"
    assert "CONSOLE" not in done.stderr
