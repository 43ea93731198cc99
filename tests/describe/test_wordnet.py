import pytest

from legenda.describe import wordnet
from legenda.describe.vocabulary import everyday, packed_words
from legenda.describe.wordnet import everyday_of, ranked
from legenda.errors import Missing, Refused

LICENCE = "  1 This software and database is being provided to you\n"
NOUNS = {  # synset: file, words, gloss
    "00000001": ("05", ["dog"], 'a furry pet that barks; "a dog is a pet"'),
    "00000002": ("06", ["boat"], "a thing that sails, such as a red boat or sail boat"),
    "00000003": ("09", ["idea"], "a thought of a dog or a boat"),
    "00000004": ("18", ["Mozart"], "composer of a red idea"),
    "00000005": ("06", ["sail_boat", "Sailor_2"], "a boat with a thing to sail"),
    "00000006": ("18", ["cur"], "a disparaging term for a dog"),
    "00000007": ("06", ["red"], "the colour"),
    "00000008": ("06", ["boat_race_day"], "a day"),
    "00000009": ("06", ["ox", "unsaid"], "a beast"),
}
ADJECTIVES = {"00000011": ("00", ["red"], 'of the colour; "the red boat"'),
              "00000012": ("00", ["furry(a)"], "covered with fur")}  # fmt: skip


def index(folder, kind, synsets):
    entries = {}
    for offset, (_, words, _) in synsets.items():
        for word in words:
            entries.setdefault(word.partition("(")[0].lower(), []).append(offset)
    lines = [f"{w} {kind[0]} {len(o)} 1 @ {len(o)} 0 {' '.join(o)}  \n" for w, o in entries.items()]
    (folder / f"index.{kind}").write_text(LICENCE + "".join(lines))
    data = [
        f"{o} {f} {kind[0]} {len(ws):02x} {' '.join(f'{w} 0' for w in ws)} 000 | {gloss}  \n"
        for o, (f, ws, gloss) in synsets.items()
    ]
    (folder / f"data.{kind}").write_text(LICENCE + "".join(data))


@pytest.fixture
def folder(tmp_path):
    index(tmp_path, "noun", NOUNS)
    index(tmp_path, "adj", ADJECTIVES)
    for name in ("data.verb", "data.adv"):
        (tmp_path / name).write_text(LICENCE)
    (tmp_path / "cntlist.rev").write_text(
        "dog%1:05:00:: 1 4\nred%1:07:00:: 1 1\nred%5:00:00:x:00 1 2\nboat%2:38:00:: 1 99\n"
    )
    return tmp_path


def test_equation_one_by_hand(folder):
    ranks, kinds = ranked(folder)
    assert ranks["dog"] == 2 * (4 + 3)  # an animal; "dog" is mentioned three times
    assert ranks["boat"] == 5 * (0 + 5 + 2)  # in five glosses' places and two longer lemmas
    assert ranks["idea"] == 1 * (0 + 1)
    assert ranks["sail_boat"] == 5 * 1
    assert ranks["red"] == 1 * (3 + 3) and kinds["red"] == "adjective"
    assert ranks["furry"] == 1 and kinds["furry"] == "adjective"
    assert set(ranks) == {"dog", "boat", "idea", "sail_boat", "red", "furry"}


def test_the_most_used_come_first_and_names_numbers_and_insults_never(folder):
    words = everyday_of(folder, 6)
    assert words.words == ("boat", "dog", "red", "sail boat", "idea", "furry")
    assert words.kinds[2] == words.kinds[5] == "adjective"
    assert everyday_of(folder, 2).words == ("boat", "dog")


def test_what_is_not_there_is_missed(folder):
    with pytest.raises(Refused) as found:
        everyday_of(folder, 7)
    assert str(found.value) == (
        f"WordNet in {folder} gives 6 everyday words; 7 were asked for. Ask for fewer, or install "
        "the whole of wordnet-base."
    )
    (folder / "data.adj").unlink()
    with pytest.raises(Missing) as gone:
        everyday_of(folder)
    assert str(gone.value) == (
        f"WordNet's data.adj is not in {folder}. Install Debian's wordnet-base, or use everyday(), "
        "which needs no files."
    )


@pytest.mark.slow
@pytest.mark.skipif(not wordnet.FOLDER.is_dir(), reason="Debian's wordnet-base is not installed")
def test_what_ships_is_what_wordnet_gives():
    made = everyday_of()
    assert made.words == everyday().words and made.kinds == everyday().kinds
    assert packed_words(made) == packed_words(everyday())
