import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from legenda.describe.sentence_encoder import SENTENCES, SentenceEncoder, open_sentences
from legenda.errors import BadInput, Missing, Refused

WORDS = "the shape grows moves left right hue turns red from to small large . ##s".split()
TEXTS = [
    "The shape grows.", "the hue turns red from left to right", "moves",
    "the shape moves from left to right and turns", "the shape grows .", "large",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT whose weights are drawn."""
    place = tmp_path_factory.mktemp("bert")
    (place / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]))
    config = BertConfig(
        vocab_size=4 + len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=24, initializer_range=0.5,
    )  # fmt: skip
    torch.manual_seed(0)
    BertModel(config).save_pretrained(place)
    BertTokenizerFast(vocab=str(place / "vocab.txt")).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def encoder(folder):
    return open_sentences(folder)


def literal(encoder, text):
    """Equation (1) of one sentence alone, token after token."""
    held = encoder.tokenizer([text], return_tensors="pt")
    states = encoder.model(**held).last_hidden_state[0]
    mean = sum(row for row in states) / len(states)
    return mean / mean.square().sum().sqrt()


def test_it_is_the_mean_over_tokens_of_one_sentence_alone(encoder):
    found = encoder(TEXTS)
    assert found.shape == (6, 16)
    want = torch.stack([literal(encoder, text) for text in TEXTS])
    torch.testing.assert_close(found, want, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(6))


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_neighbours_in_a_batch_change_nothing(encoder, batch):
    some = SentenceEncoder(encoder.model, encoder.tokenizer, batch=batch)
    torch.testing.assert_close(some(TEXTS), encoder(TEXTS), rtol=0, atol=1e-5)
    torch.testing.assert_close(some(TEXTS[::-1]), encoder(TEXTS).flip(0), rtol=0, atol=1e-5)


def test_case_is_the_tokenizers_and_meaning_is_in_the_words(encoder):
    rows = encoder(["The Shape grows .", "the shape grows.", "hue turns red"])
    assert float(rows[0] @ rows[1]) == pytest.approx(1, abs=1e-5)
    assert float(rows[0] @ rows[2]) < 0.99


def test_tokens_have_a_row_each_without_the_marks(encoder):
    tokens, rows = encoder.tokens("the shapes grows")
    assert tokens == ["the", "shape", "##s", "grows"] and rows.shape == (4, 16)
    held = encoder.tokenizer(["the shapes grows"], return_tensors="pt")
    states = encoder.model(**held).last_hidden_state[0, 1:-1]
    torch.testing.assert_close(rows, states / states.norm(dim=1, keepdim=True))
    assert encoder.tokens("  ")[0] == [] and encoder.tokens("  ")[1].shape == (0, 16)


def test_a_text_that_is_too_long_is_cut(encoder):
    long = "the shape " * 40
    assert encoder([long]).isfinite().all()
    assert len(encoder.tokens(long)[0]) == 22


def test_the_environment_names_it(folder, monkeypatch):
    monkeypatch.setenv(SENTENCES, str(folder))
    found = open_sentences(batch=3)
    assert found.ref == str(folder) and found.batch == 3
    assert not any(p.requires_grad for p in found.model.parameters()) and not found.model.training


def test_nothing_that_can_be_opened_is_said_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv(SENTENCES, raising=False)
    with pytest.raises(Missing) as caught:
        open_sentences()
    assert str(caught.value) == (
        "a sentence encoder needs a folder of transformers, or hf: and a name; none was given and "
        "LEGENDA_SENTENCES is not set. Set it, or compare answers by their attributes."
    )
    with pytest.raises(Missing) as caught:
        open_sentences(tmp_path)
    assert str(caught.value) == (
        f"a sentence encoder needs a folder of transformers; {tmp_path} has no config.json. "
        "Give a folder that has, or hf: and a name of the hub."
    )
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(Refused) as caught:
        open_sentences(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path} cannot be opened as a sentence encoder: ")
    assert str(caught.value).endswith(
        ". Give a folder with config.json, model.safetensors and a tokenizer, such as "
        "all-MiniLM-L6-v2."
    )


def test_a_name_of_the_hub_is_not_looked_for_where_the_network_is_forbidden():
    with pytest.raises(Refused, match="^hf:nobody/nothing cannot be opened as a sentence encoder"):
        open_sentences("hf:nobody/nothing")


def test_weights_that_are_pickles_are_not_read(folder, tmp_path):
    for name in ("config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    torch.save(BertModel.from_pretrained(folder).state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(Refused, match="safetensors"):
        open_sentences(tmp_path)


def test_what_is_no_sentence_is_refused(encoder):
    with pytest.raises(BadInput) as caught:
        SentenceEncoder(encoder.model, encoder.tokenizer, "mini")(["moves", " "])
    assert str(caught.value) == "mini reads sentences; it got ' '. Leave out what says nothing."
    with pytest.raises(BadInput) as caught:
        SentenceEncoder(encoder.model, encoder.tokenizer)([])
    assert (
        str(caught.value) == "the sentence encoder reads sentences; it got none. Give at least one."
    )
