import pytest
import torch
from torch.nn.functional import normalize

from legenda.describe import word_embeddings
from legenda.describe.vocabulary import Vocabulary
from legenda.describe.word_embeddings import TEMPLATES, embedded
from legenda.errors import BadInput, Missing
from tests.describe.toys import WIDTH, embed_text

WORDS = Vocabulary(
    ("dog", "red", "fire engine", "tiny", "a", "boat", "shiny"),
    ("noun", "adjective", "noun", "adjective", "noun", "noun", "adjective"),
)


def test_each_row_is_the_mean_of_its_sentences():
    rows = embedded(WORDS, embed_text)
    for word, kind, row in zip(WORDS.words, WORDS.kinds, rows, strict=True):
        texts = [template.format(word) for template in TEMPLATES[kind]]
        slow = torch.stack([embed_text([text])[0] for text in texts]).mean(0)
        torch.testing.assert_close(row, normalize(slow, dim=0))
    assert {len(own) for own in TEMPLATES.values()} == {10}
    assert all("{}" in text for own in TEMPLATES.values() for text in own)


def test_batches_hold_texts_of_like_length_and_change_nothing(monkeypatch):
    whole, lengths = embedded(WORDS, embed_text), []

    def watched(texts):
        lengths.append([len(text) for text in texts])
        return embed_text(texts)

    monkeypatch.setattr(word_embeddings, "BATCH", 2)
    torch.testing.assert_close(embedded(WORDS, watched), whole)
    spread = [max(own) - min(own) for own in lengths]
    assert sum(spread) / len(spread) < 3  # of words from 1 to 11 letters


class Killed(Exception):
    pass


def dying(after, count):
    """An encoder that dies at a call; `count` collects the calls."""

    def encoder(texts):
        count.append(len(texts))
        if len(count) > after:
            raise Killed
        return embed_text(texts)

    return encoder


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(word_embeddings, "BATCH", 1)
    monkeypatch.setattr(word_embeddings, "EVERY", 2)
    whole = embedded(WORDS, embed_text)
    with pytest.raises(Killed):
        embedded(WORDS, dying(45, []), cache=tmp_path)
    calls, said = [], []
    rows = embedded(
        WORDS, dying(999, calls), cache=tmp_path, report=lambda done, of: said.append((done, of))
    )
    assert torch.equal(rows, whole)
    assert len(calls) == 1 + 3 * 10  # the probe, then the three words that were not written
    assert said == [(5, 7), (6, 7), (7, 7)]
    again = []
    assert torch.equal(embedded(WORDS, dying(1, again), cache=tmp_path), whole)
    assert again == [1]
    assert [p.suffix for p in tmp_path.iterdir()] == [".safetensors"]


def test_words_templates_and_encoders_have_files_of_their_own(tmp_path):
    embedded(WORDS, embed_text, cache=tmp_path, encoder="toy")
    embedded(WORDS, embed_text, cache=tmp_path, encoder="other")
    few: word_embeddings.Templates = {"noun": ("{}",), "adjective": ("{}",)}
    embedded(WORDS, embed_text, few, cache=tmp_path, encoder="toy")
    embedded(Vocabulary(("dog",)), embed_text, cache=tmp_path, encoder="toy")
    assert len(list(tmp_path.iterdir())) == 4


def test_a_file_of_other_weights_or_a_damaged_one_is_made_anew(tmp_path):
    embedded(WORDS, embed_text, cache=tmp_path)

    def other(texts):
        return embed_text(texts).roll(1, dims=1)

    torch.testing.assert_close(
        embedded(WORDS, other, cache=tmp_path), embedded(WORDS, embed_text).roll(1, dims=1)
    )
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:200])
    torch.testing.assert_close(
        embedded(WORDS, embed_text, cache=tmp_path), embedded(WORDS, embed_text)
    )


def test_an_encoder_that_gives_something_else_is_refused():
    with pytest.raises(BadInput) as found:
        embedded(WORDS, lambda texts: torch.full((len(texts), WIDTH), torch.nan))
    assert str(found.value) == (
        "words need a text encoder that gives a finite row for each text; for 1 it gave (1, 48), "
        "finite: False. Pass embed_text of the model whose units are named."
    )


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    place = tmp_path / "file"
    place.write_text("in the way")
    with pytest.raises(Missing) as found:
        embedded(Vocabulary(("dog",)), embed_text, cache=place)
    assert "could not be written" in str(found.value)
    assert str(found.value).endswith("Make room there, or choose another folder.")
    assert place.read_text() == "in the way"
