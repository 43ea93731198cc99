import json

import pytest

from legenda.describe.vocabulary import (
    EVERYDAY,
    Vocabulary,
    clipart_words,
    emoji_words,
    everyday,
    packed_words,
    read_words,
)
from legenda.errors import BadInput, Missing, Refused


def refusal(function):
    with pytest.raises((BadInput, Missing, Refused)) as found:
        function()
    return str(found.value)


def test_everyday_words_ship_and_are_everyday():
    words = everyday()
    assert len(words) == EVERYDAY == len(set(words.words))
    kind = dict(zip(words.words, words.kinds, strict=True))
    for noun in "dog car house tree boat apple banana giraffe fire hydrant".split():
        assert noun in kind or noun in ("fire", "hydrant")
    assert kind["fire hydrant"] == kind["triangle"] == "noun"
    for adjective in "red blue striped furry shiny round tiny wooden".split():
        assert kind[adjective] == "adjective", adjective
    assert all(w == w.lower() and not any(c.isdigit() for c in w) for w in kind)
    assert max(len(w.split()) for w in kind) == 2
    assert "the" not in kind and "which" not in kind
    assert words.kinds.count("adjective") > 4000


def test_fewer_everyday_words_are_the_more_used():
    few = everyday(500)
    assert few.words == everyday().words[:500]
    assert "dog" not in few.words or "giraffe" not in few.words
    assert refusal(lambda: everyday(0)) == (
        "1 to 20000 everyday words ship with legenda; 0 were asked for."
    )


def test_the_licence_of_wordnet_goes_with_its_words():
    from importlib.resources import files

    text = (files("legenda.describe") / "words" / "WORDNET-LICENSE.txt").read_text("utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in text


def test_a_packed_list_is_the_same_bytes_every_time():
    words = Vocabulary(("red", "dog"), ("adjective", "noun"))
    assert packed_words(words) == packed_words(words)
    assert packed_words(everyday(10)) != packed_words(words)


def test_words_are_tidied_merged_and_given_a_kind():
    words = Vocabulary.of([" Red", "red", "Fire_hydrant", "TV", "", "zorg"], "mine")
    assert words.words == ("red", "fire hydrant", "TV", "zorg")
    assert words.kinds == ("adjective", "noun", "noun", "noun")
    assert Vocabulary.of(["red"], "mine", "noun").kinds == ("noun",)
    both = words.with_words(Vocabulary(("zorg", "blue"), ("adjective", "adjective"), "more"))
    assert both.words == ("red", "fire hydrant", "TV", "zorg", "blue")
    assert both.kinds[3] == "noun" and both.source == "mine, more"


def test_a_vocabulary_that_makes_no_sense_is_refused():
    assert refusal(lambda: Vocabulary((), source="nothing")) == (
        "a vocabulary needs at least one word; nothing has none."
    )
    assert refusal(lambda: Vocabulary(("a", "b"), ("noun",))) == (
        "a vocabulary needs 'noun' or 'adjective' for each word; a list has 2 words and 1 kinds. "
        "Give one each, or none."
    )
    assert refusal(lambda: Vocabulary(("a", "a"))) == (
        "a vocabulary holds each word once, and no empty one; a list repeats some of 2. Make it "
        "with Vocabulary.of, which merges them."
    )


def test_a_persons_list_is_read(tmp_path):
    text = tmp_path / "mine.txt"
    text.write_bytes("\ufeff# a comment\nApple\napple\n\n  Fire  engine \nécole\n".encode())
    assert read_words(text).words == ("apple", "fire engine", "école")
    assert read_words(str(text)).source == "mine.txt"
    table = tmp_path / "mine.csv"
    table.write_text('red,1\n"apple, green",2\n\nred,3\n', "utf-8")
    assert read_words(table).words == ("red", "apple, green")


def test_a_list_that_cannot_be_read_is_refused(tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n\n")
    assert refusal(lambda: read_words(empty)) == (
        f"{empty} has no words. Put one word on each line."
    )
    latin = tmp_path / "latin.txt"
    latin.write_bytes("dog\nécole\n".encode("latin-1"))
    assert refusal(lambda: read_words(latin)) == (
        f"{latin} is not text in UTF-8: byte 4 on line 2 cannot be read. Save it as UTF-8."
    )
    other = tmp_path / "words.pdf"
    other.write_bytes(b"x")
    assert refusal(lambda: read_words(other)) == (
        f"{other} is no word list: a .txt with a word a line or a .csv is needed."
    )
    long = tmp_path / "long.txt"
    long.write_text("dog\n" + "x" * 300)
    assert refusal(lambda: read_words(long)) == (
        f"{long} has an entry of 300 letters (number 2); a name has at most 80. Put one word on "
        "each line."
    )
    gone = tmp_path / "gone.txt"
    assert refusal(lambda: read_words(gone)).startswith(f"word list {gone} is not there.")


def test_the_words_of_emoji(tmp_path):
    path = tmp_path / "data.json"
    entries = [
        {"label": "dog face", "tags": ["dog", "pet"], "group": 3},
        {"label": "red heart", "tags": ["red"], "group": 0},
        {"label": "flag: Norway", "tags": ["NO"], "group": 9},
        {"label": "regional indicator A"},
        {"label": "8-spoked asterisk", "tags": ["*"], "group": 1},
    ]
    path.write_text(json.dumps(entries), "utf-8")
    words = emoji_words(path)
    assert words.words == ("dog face", "dog", "pet", "red heart", "red")
    assert words.kinds[-1] == "adjective"
    path.write_text("[\n{,")
    assert refusal(lambda: emoji_words(path)).startswith(f"{path} is not JSON at line 2: ")
    path.write_text("{}")
    assert refusal(lambda: emoji_words(path)) == (
        f"{path} is not emojibase's data.json, a list of emoji. Fetch it again."
    )


def test_the_words_of_clip_art(tmp_path):
    assert refusal(lambda: clipart_words(tmp_path)) == (
        f"{tmp_path} has no drawing (.svg) with a title. Fetch OpenClipart there."
    )
    below = tmp_path / "animals"
    below.mkdir()
    (below / "b.svg").write_text(
        "<svg><dc:title>Sailing_Boat</dc:title><rdf:li>sea &amp; sand</rdf:li>"
        "<rdf:li>unsorted</rdf:li><rdf:li>Boat</rdf:li><rdf:li>clip art</rdf:li></svg>"
    )
    (tmp_path / "a.svg").write_text("<svg><dc:title>Icon 0042 of a set</dc:title></svg>")
    (tmp_path / "c.svg").write_bytes(b"<svg>\xff<rdf:li>cat</rdf:li></svg>")
    assert clipart_words(tmp_path).words == ("sailing boat", "boat", "cat")
