import pytest

from legenda.errors import Missing
from legenda.score.synonyms import ENDINGS, FOLDER, Synonyms

LICENCE = "  1 This software and database is being provided to you\n"
SETS = {
    "noun": [("box", "case"), ("man",), ("shape", "form")],
    "verb": [("turn", "rotate"), ("go", "move_on")],
    "adj": [("big", "large(a)"), ("small",)],
    "adv": [("well", "good")],
}
EXCEPTIONS = {"verb": "went go\n", "adj": "bigger big\n", "adv": "best well\n"}


@pytest.fixture
def folder(tmp_path):
    for part, sets in SETS.items():
        data, index = LICENCE, {}
        for of in sets:
            at = f"{len(data.encode()):08d}"
            data += f"{at} 00 n {len(of):02x} {' '.join(f'{w} 0' for w in of)} 000 | a gloss\n"
            for word in of:
                index.setdefault(word.partition("(")[0], []).append(at)
        (tmp_path / f"data.{part}").write_text(data)
        lines = [f"{w} n {len(at)} 0 {len(at)} 0 {' '.join(at)}  \n" for w, at in index.items()]
        (tmp_path / f"index.{part}").write_text(LICENCE + "".join(lines))
        (tmp_path / f"{part}.exc").write_text(EXCEPTIONS.get(part, ""))
    return tmp_path


def names(synonyms, word):
    return {lemma.name() for synset in synonyms.synsets(word) for lemma in synset.lemmas()}


def test_words_of_one_set_are_synonyms(folder):
    found = Synonyms(folder)
    assert names(found, "Rotate") == {"turn", "rotate"}
    assert names(found, "large") == {"big", "large"}, "how an adjective stands is left out"
    assert names(found, "unheard") == set()


@pytest.mark.parametrize(
    ("word", "of"),
    [("boxes", {"box", "case"}), ("men", {"man"}), ("turning", {"turn", "rotate"}),
     ("rotated", {"turn", "rotate"}), ("went", {"go", "move_on"}), ("bigger", {"big", "large"}),
     ("smaller", {"small"}), ("best", {"well", "good"})],
)  # fmt: skip
def test_inflections_are_undone(folder, word, of):
    assert names(Synonyms(folder), word) == of


def test_a_folder_without_its_files_is_refused(folder):
    (folder / "verb.exc").unlink()
    with pytest.raises(Missing) as caught:
        Synonyms(folder)
    assert str(caught.value) == (
        f"METEOR's synonyms need WordNet's verb.exc, which is not in {folder}. Install Debian's "
        "wordnet-base, or use Meteor(), which does without synonyms."
    )


def test_its_name_says_where_it_reads(folder):
    assert repr(Synonyms(folder)) == f"Synonyms({str(folder)!r})"


@pytest.mark.skipif(
    not all((FOLDER / f"{part}.exc").is_file() for part in ENDINGS),
    reason="Debian's wordnet-base is not installed",
)
def test_wordnet_itself_is_read():
    assert {"big", "large"} <= names(Synonyms(), "bigger")
    assert {"turn", "rotate"} & names(Synonyms(), "rotating")
