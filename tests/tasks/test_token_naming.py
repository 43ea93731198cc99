import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.core.interval import wilson
from legenda.corpus.labels import read_labels
from legenda.describe.corrections import Correction, read_corrections, write_corrections
from legenda.describe.naming import Abstention
from legenda.describe.token_names import Crops, token_names
from legenda.describe.vocabulary import Vocabulary
from legenda.describe.word_embeddings import embedded
from legenda.errors import BadInput, LegendaError, Missing, Refused, Unsupported
from legenda.tasks import shelf, token_naming, token_pictures
from legenda.tasks.shelf import Shelf
from legenda.tasks.token_cards import corrections, exemplars, with_corrections
from legenda.tasks.token_naming import TokenNaming, name_tokens, naming_of
from legenda.tasks.token_survey import survey_tokens
from legenda.tasks.tokens import token_book
from tests.tasks import token_world as toy
from tests.tasks.token_world import MEANT, NEVER, SIDE, SPECKLES

HOW = TokenNaming(toy.dual(), toy.VOCABULARY, side=SIDE)
ALL = range(len(toy.COLOURS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("world")
    toy.world(found)
    return found


@pytest.fixture(scope="module")
def survey(folder):
    labels = read_labels(folder / "labels.csv", folder / "pictures")
    return survey_tokens(toy.model(), labels, Shelf())


@pytest.fixture(scope="module")
def scores(survey):
    return np.random.default_rng(0).random(survey.tokens.shape).astype(np.float32)


def named(survey, scores, how=HOW, kept=None, **options):
    return name_tokens(toy.model(), survey, scores, ALL, how, Shelf(kept), **options)


# what is planted


def test_tokens_that_mean_something_are_named_and_speckles_are_not(tmp_path):
    right, false, dealt, n = 0, 0, 0, 0
    for seed in range(3):
        toy.world(tmp_path / str(seed), seed=seed)
        labels = read_labels(tmp_path / f"{seed}/labels.csv", tmp_path / f"{seed}/pictures")
        read = survey_tokens(toy.model(), labels, Shelf())
        some = np.random.default_rng(seed).random(read.tokens.shape).astype(np.float32)
        found = named(read, some, replace(HOW, seed=seed))
        words = [found.names[token].text for token in ALL]
        right += sum(words[token] == f"w{token}" for token in range(MEANT))
        false += sum(word is not None for word in words[MEANT:])
        dealt += round(found.shuffled.value * found.shuffled.n)
        n += found.shuffled.n
        assert found.named.value == sum(word is not None for word in words) / (MEANT + SPECKLES)
        assert found.named.interval == wilson(sum(w is not None for w in words), MEANT + SPECKLES)
    assert right == 3 * MEANT and false <= 3 and dealt / n < 0.15


def test_a_name_tells_held_out_crops_and_the_controls_do_not(survey, scores):
    found = named(survey, scores)
    assert found.check is not None and found.check.n == sum(
        one.text is not None for one in found.names.values()
    )
    (mine, (low, _)), (_, (_, random)), (_, (_, other)) = found.check[:3]
    assert mine > 0.95 and low > random and low > other
    for token in range(MEANT):
        check = found.names[token].check
        assert check is not None and check.auroc > 0.8 and check.n == check.images <= 4


def test_names_are_those_of_crops_cut_by_hand(survey, scores):
    found, best = named(survey, scores), exemplars(survey, scores, 16)
    rows, tokens = [], []
    for token in sorted(best):
        for rank, (row, position) in enumerate(best[token]):
            whole = np.asarray(toy.painted(survey.tokens[row]))
            y, x = (min(max(0, at - 1), 5) for at in divmod(position, 8))
            crop = Image.fromarray(whole[2 * y : 2 * y + 6, 2 * x : 2 * x + 6])
            if rank not in (3, 7, 11, 15):
                rows.append(toy.dual().embed_images(toy.dual().pixels([crop])))
                tokens.append(token)
    words = embedded(toy.VOCABULARY, toy.dual().embed_text)
    slow = token_names(
        Crops(torch.cat(rows), torch.tensor(tokens)), len(ALL), toy.VOCABULARY, words,
        abstain=Abstention(seed=0),
    )  # fmt: skip
    for token, name in enumerate(slow):
        mine = found.names[token]
        assert (mine.text, mine.crops) == (name.word, tokens.count(token))
        assert mine.score == pytest.approx(name.score, abs=1e-5)
        assert mine.null == pytest.approx(name.null, abs=1e-5)
        assert [w for w, _ in mine.candidates[:1]] == [w for w, _ in name.candidates[:1]]
        assert mine.by == "tests.tasks.token_world:dual"


def test_every_fourth_crop_is_held_out_and_few_crops_name_nothing(survey, scores):
    found, best = named(survey, scores, replace(HOW, crops=7)), exemplars(survey, scores, 7)
    for token in range(MEANT + SPECKLES):
        count = len(best[token])
        check = found.names[token].check
        assert found.names[token].crops == count - count // 4
        assert check is None or check.n == count // 4
    assert found.names[NEVER].reason == "it was seen in 0 crops; 3 are needed"
    assert (found.names[NEVER].text, found.names[NEVER].crops) == (None, 0)
    assert found.named.n == MEANT + SPECKLES and found.pixels == (6, 6)


def test_only_the_tokens_that_are_asked_for_are_looked_at(survey, scores):
    found = name_tokens(toy.model(), survey, scores, [5, 2, 9, 7], HOW)
    assert list(found.names) == [2, 5, 7, 9] and found.named.n == 4


def test_crops_that_are_dealt_out_give_few_names(survey, scores):
    shares = [named(survey, scores, replace(HOW, seed=seed)).shuffled for seed in range(3)]
    assert sum(one.value for one in shares) / 3 < 0.2 and len({one.value for one in shares}) > 1
    none = named(survey, scores, replace(HOW, level=0.0))
    assert none.shuffled.value == none.named.value == 1, "without abstention, all have a name"


# what is kept


def files(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_a_run_that_is_repeated_costs_nothing(survey, scores, tmp_path, monkeypatch):
    whole, before = named(survey, scores, kept=tmp_path), files(tmp_path)

    def never(*_, **__):
        raise AssertionError("this was done already")

    for name in ("settled", "looks", "embedded", "token_names"):
        monkeypatch.setattr(token_naming, name, never)
    again = named(survey, scores, kept=tmp_path)
    assert again.names == whole.names and again.shuffled == whole.shuffled
    assert again.check == whole.check and files(tmp_path) == before
    assert named(survey, scores, kept=tmp_path).names == whole.names


def test_what_is_kept_is_what_is_made(survey, scores, tmp_path):
    kept, fresh = named(survey, scores, kept=tmp_path), named(survey, scores)
    assert kept.names == fresh.names and kept.check == fresh.check


class Killed(Exception):
    """Somebody stops the run."""


def test_killed_and_resumed_is_the_same(survey, scores, tmp_path, monkeypatch):
    monkeypatch.setattr(shelf, "SHARD", 32)
    whole = named(survey, scores, kept=tmp_path / "a")

    def kill(what, done, total):
        if what == "looking at crops" and done >= total // 2:
            raise Killed

    with pytest.raises(Killed):
        named(survey, scores, kept=tmp_path / "b", report=kill)
    before, seen, real = set(files(tmp_path / "b")), [], token_naming.looks
    monkeypatch.setattr(token_naming, "looks", lambda *given: seen.append(1) or real(*given))
    again = named(survey, scores, kept=tmp_path / "b")
    assert again.names == whole.names and again.check == whole.check
    assert before < set(files(tmp_path / "b")) and 0 < len(seen) < len(list((tmp_path / "a").glob("looks*")))  # fmt: skip # noqa: E501


def test_batches_change_nothing(survey, scores, monkeypatch):
    whole = named(survey, scores)
    monkeypatch.setattr(token_pictures, "BATCH", 5)
    assert named(survey, scores).names == whole.names


def test_only_what_changed_is_made_again(survey, scores, tmp_path, monkeypatch):
    named(survey, scores, kept=tmp_path)
    seen, real = [], token_naming.looks
    monkeypatch.setattr(token_naming, "looks", lambda *given: seen.append(1) or real(*given))
    few = Vocabulary(toy.WORDS[:6], source="few")
    other = named(survey, scores, replace(HOW, vocabulary=few), tmp_path)
    assert not seen and {one.text for one in other.names.values()} <= {*toy.WORDS[:6], None}
    named(survey, scores, replace(HOW, level=0.5), tmp_path)
    assert not seen, "crops are seen as they were"
    swapped = replace(HOW, model=toy.dual(9))
    assert named(survey, scores, swapped, tmp_path).names[0].text == "w0" and seen
    seen.clear()
    named(survey, scores, replace(HOW, side=5), tmp_path)
    assert seen


# the book


def test_a_book_has_names_on_its_cards_where_they_are_asked_for(folder):
    labels = read_labels(folder / "labels.csv", folder / "pictures")
    plain, full = (
        token_book(toy.model(), labels, concepts=toy.extractor(), most=20, naming=how)
        for how in (None, HOW)
    )
    assert plain.names is None and all(card.name is None for card in plain.cards)
    assert "naming" not in plain.settings
    assert full.names is not None and list(full.names.names) == sorted(full.drawn)
    for card in full.cards:
        assert card.name == full.names.names.get(card.token)
    right = [card.name and card.name.text == f"w{card.token}" for card in full.cards[:MEANT]]
    assert sum(map(bool, right)) >= MEANT - 1
    assert full.settings["naming"] == repr(HOW) and "side=3, seed=0)" in repr(HOW)
    assert full.settings["named by"] == "tests.tasks.token_world:dual"


# a person's words


@pytest.fixture(scope="module")
def cards(folder):
    labels = read_labels(folder / "labels.csv", folder / "pictures")
    return token_book(toy.model(), labels, concepts=toy.extractor(), naming=HOW).cards


def test_a_persons_word_stays_whatever_is_computed_again(cards, tmp_path):
    place, atoms = tmp_path / "o" / "corrections.json", toy.model().codebook.atoms
    first = with_corrections(cards, atoms, place, [(3, "sky"), (NEVER, "nothing")])
    assert [(c.token, c.name.text) for c in first if c.name and c.name.by == "a person"] == [
        (3, "sky"), (NEVER, "nothing"),
    ]  # fmt: skip
    assert first[3].name is not None and first[3].name.reason == "corrected"
    assert first[3].name.candidates == cards[3].name.candidates and first[3].name.check is None
    before = place.stat().st_mtime_ns
    again = with_corrections([replace(card, name=None) for card in cards], atoms, place)
    assert again[3].name is not None and again[3].name.text == "sky" and again[4].name is None
    assert place.stat().st_mtime_ns == before
    last = with_corrections(cards, atoms, place, [(3, ""), (NEVER, "void"), (NEVER, "gap")])
    void = last[NEVER].name
    assert last[3].name == cards[3].name and void is not None and void.text == "gap"
    assert [(one.unit, one.word) for one in read_corrections(place)] == [(NEVER, "gap")]


def test_a_word_goes_where_its_entry_goes(cards, tmp_path):
    place, atoms, told = tmp_path / "corrections.json", toy.model().codebook.atoms, []
    with_corrections(cards, atoms, place, [(3, "sky")])
    moved = with_corrections(cards, atoms.roll(1, 0), place, tell=told.append)
    assert told == ["a correction of token 3 now holds for token 4, whose entry is nearest"]
    assert moved[4].name is not None and moved[4].name.text == "sky"
    assert moved[3].name == cards[3].name
    with_corrections(cards, torch.ones(len(ALL), 5), place, tell=told.append)
    assert told[1:] == [
        "the correction 4=sky holds for no token of this model; it is kept aside"
    ] and [one.word for one in read_corrections(place)] == ["sky"]


def test_a_person_may_say_that_no_word_fits(cards, tmp_path):
    place, atoms = tmp_path / "corrections.json", toy.model().codebook.atoms
    write_corrections(place, [Correction(2, None, "a mixture")])
    name = with_corrections(cards, atoms, place)[2].name
    assert name is not None and (name.text, name.reason, name.by) == (None, "a mixture", "a person")


def test_nothing_is_written_where_no_person_said_anything(cards, tmp_path):
    place = tmp_path / "corrections.json"
    assert with_corrections(cards, toy.model().codebook.atoms, place) == list(cards)
    assert not place.exists()


# refusals


def refusal(function, kind: type[LegendaError] = BadInput):
    with pytest.raises(kind) as found:
        function()
    return str(found.value)


def test_what_names_nothing_is_refused(tmp_path):
    assert refusal(lambda: naming_of(None, "emoji")) == (
        "--words are what tokens may be called; that needs a model that matches them with crops. "
        "Add --name-with, such as zoo:photos."
    )
    for words in ("", " ", "everyday+"):
        assert refusal(lambda words=words: naming_of("zoo:photos", words)) == (
            "--words takes everyday, emoji, clipart, a file, or several with + between; it got "
            f"{words!r}."
        )
    (tmp_path / "none.txt").write_text("\n# nothing\n")
    assert refusal(lambda: naming_of("zoo:photos", f"{tmp_path}/none.txt")) == (
        f"{tmp_path}/none.txt has no words. Put one word on each line."
    )
    assert naming_of(None, None) is None
    assert refusal(lambda: replace(HOW, crops=3)) == (
        "tokens are named by 4 crops or more, of a cell or more; it got crops=3 and side=3."
    )


@pytest.mark.parametrize("model", ["tests.tasks.token_world:plain_module", "tests.tasks.token_world:model"])  # fmt: skip # noqa: E501
def test_a_model_that_reads_no_sentences_is_refused(model):
    assert refusal(lambda: naming_of(model, None), Unsupported) == (
        f"--name-with needs a dual encoder, which reads pictures and sentences; {model} has none. "
        "Try zoo:photos, or a CLIP or SigLIP folder."
    )


def test_a_model_that_is_not_there_is_refused():
    assert refusal(lambda: naming_of("zoo:photo", None), Missing) == (
        "there is no zoo model named 'photo'. Did you mean 'photos'? "
        "Known: scenes, photos, vq, vae, ddpm."
    )
    assert refusal(lambda: naming_of("nowhere", None), Missing).startswith(
        "there is no model 'nowhere': it is no folder here,"
    )


def test_a_tokenizer_without_a_decoder_is_refused_before_anything_is_read(folder, tmp_path):
    labels = read_labels(folder / "labels.csv", folder / "pictures")
    blind = replace(toy.model(), unquantise=None)
    said = refusal(
        lambda: token_book(blind, labels, tmp_path / "w", concepts=toy.extractor(), naming=HOW),
        Unsupported,
    )
    assert said == (
        "naming tokens needs a model with a decoder, whose crops can be looked at; patches has "
        "none. Leave the names out."
    )
    assert not (tmp_path / "w").exists()


def test_corrections_that_are_none_are_refused(tmp_path):
    place = tmp_path / "corrections.json"
    for one in ("sky", "24=sky", "-1=sky", "x=sky", "=sky"):
        assert refusal(lambda one=one: corrections([one], place, 24)) == (
            f"--correct needs TOKEN=WORD, with a token below 24; it got {one!r}."
        )
    assert corrections(["3= blue sky ", "4="], place, 24) == [(3, "blue sky"), (4, "")]
    place.write_text("[")
    assert refusal(lambda: corrections(None, place, 24), Refused) == (
        f"{place} is not JSON at line 1, column 2: Expecting value. Mend that line; nothing in "
        "the file was changed."
    )


def test_a_name_is_a_line_of_json(cards):
    from legenda.show.tokens import line

    said = json.loads(json.dumps(line(cards[0]), allow_nan=False))["name"]
    assert said["text"] == "w0" and said["candidates"][0] == ["w0", said["score"]]
    assert said["score"] > said["null"] and said["check"]["n"] == 4 and said["crops"] == 12
