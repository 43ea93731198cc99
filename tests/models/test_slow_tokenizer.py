"""A SigLIP with its SentencePiece tokenizer, which is slow and keeps no offsets."""

import pytest
import sentencepiece
import torch
from transformers import BertTokenizer, SiglipTokenizer

from legenda.errors import BadInput
from legenda.models.words import Words

SENTENCES = ["a striped red house", "a blue circle on sand, two stars!", "the green ring"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spiece")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 30), model_prefix=str(folder / "spiece"), vocab_size=28,
        pad_id=3, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    return SiglipTokenizer(str(folder / "spiece.model"), pad_token="<pad>", model_max_length=64)


def test_words_and_their_tokens_are_found_without_offsets(tokenizer):
    words = Words(tokenizer, 64, pad_to_length=True, model="siglip")
    for sentence in SENTENCES:
        found, ids = words.words(sentence), words([sentence])
        special = words.marks(ids, 64)[0][0]
        covered = [p for word in found for p in word.positions]
        assert covered == (~special).nonzero()[:, 0].tolist(), "each token is in one word"
        for word in found:
            alone = tokenizer(word.text, add_special_tokens=False)["input_ids"]
            assert torch.equal(ids[0, list(word.positions)], torch.tensor(alone))
    assert [w.text for w in words.words("the green ring")] == ["the", "green", "ring"]


def test_what_is_no_word_to_the_tokenizer_has_no_position(tokenizer):
    words = Words(tokenizer, 64, pad_to_length=True, model="siglip")
    assert [w.text for w in words.words("the . green")] == ["the", "green"]


def test_a_sentence_without_a_known_word_is_refused(tokenizer, tmp_path):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "house"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    pieces = BertTokenizer(str(tmp_path / "vocab.txt"))
    for words, sentence, known in (
        (Words(tokenizer, 64, pad_to_length=True, model="siglip"), "?!", "the ring"),
        (Words(pieces, 64, model="minilm"), "漢 zebra", "a zebra"),
    ):
        with pytest.raises(BadInput) as said:
            words([known, sentence])
        assert str(said.value) == (
            f"{words.model} knows no word of {sentence!r}. Use words that it knows."
        )
        assert len(words([known])) == 1, "one known word is enough"
