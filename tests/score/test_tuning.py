"""The tuning of `zoo:scenes` is ROAR+'s other half, so it is tested beside it."""

import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from legenda.core.target import Logit
from legenda.errors import BadInput, ShapeError
from legenda.score.roar import QUICK, RemoveAndRetrain
from legenda.zoo.scenes.tuning import Tuning, contrast, embed, found, split
from legenda.zoo.scenes.words import tokenizer
from tests.score.toys import maps, noise, told, units

WORDS = tokenizer()
SPLIT = split(12, 6, most=2, side=32)
TRAIN, TEST = SPLIT.pixels[:12], SPLIT.pixels[12:]


def small() -> CLIPModel:
    ids = {
        "bos_token_id": WORDS.bos_token_id, "eos_token_id": WORDS.eos_token_id,
        "pad_token_id": WORDS.pad_token_id,
    }  # fmt: skip
    size = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    torch.manual_seed(0)
    text = {**size, **ids, "vocab_size": len(WORDS), "max_position_embeddings": 40}
    vision = {**size, "image_size": 32, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    return model.eval().requires_grad_(False)  # as opening leaves it


def tuning(**changes) -> Tuning:
    return Tuning(small(), WORDS, SPLIT.sentences, **{"images": 32, "batch": 4, **changes})


def test_the_split_is_frozen_and_its_held_out_sentences_differ():
    again = split(4, 3, most=2, side=32)
    assert again.scenes == (*SPLIT.scenes[:4], *SPLIT.scenes[12:15])
    assert torch.equal(again.pixels, torch.cat([TRAIN[:4], TEST[:3]]))
    assert len(set(SPLIT.sentences[12:])) == 6 and SPLIT.train == 12


def test_the_model_is_copied_and_the_same_tuning_gives_the_same_hits():
    tune = tuning()
    before = [p.clone() for p in tune.model.parameters()]
    first, again = tune(TRAIN, TEST), tune(TRAIN, TEST)
    assert torch.equal(first, again) and first.shape == (6,)
    assert set(first.tolist()) <= {0.0, 0.5, 1.0}
    after = tune.model.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not tune.model.training and all(p.grad is None for p in tune.model.parameters())


def test_training_lowers_the_loss_on_what_it_sees():
    ids = WORDS(list(SPLIT.sentences), padding=True, return_tensors="pt")["input_ids"][:12]
    tune = tuning(images=180, batch=12, lr=3e-3, half=False)
    tuned = tune.tuned(TRAIN, ids)
    with torch.no_grad():
        before = contrast(tune.model, TRAIN, ids, WORDS.pad_token_id)
        after = contrast(tuned, TRAIN, ids, WORDS.pad_token_id)
    assert after < 0.7 * before


def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path):
    ids = WORDS(list(SPLIT.sentences), padding=True, return_tensors="pt")["input_ids"][:12]

    def die(step, figures):
        if step == 9:
            raise KeyboardInterrupt

    settings = {"images": 16 * 4, "folder": tmp_path, "half": False}
    with pytest.raises(KeyboardInterrupt):
        tuning(**settings, report=die).tuned(TRAIN, ids)
    assert len(list(tmp_path.iterdir())) == 1
    resumed = tuning(**settings).tuned(TRAIN, ids)
    whole = tuning(images=16 * 4, half=False).tuned(TRAIN, ids)
    for a, b in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)


def test_other_pictures_have_another_checkpoint(tmp_path):
    tune = tuning(images=4, folder=tmp_path)
    tune(TRAIN, TEST)
    tune(TRAIN * 0.5, TEST)
    assert len(list(tmp_path.iterdir())) == 2


def test_found_agrees_with_its_literal_twin():
    ids = WORDS(list(SPLIT.sentences), padding=True, return_tensors="pt")["input_ids"][12:]
    model, want = small(), []
    with torch.no_grad():
        image, text = embed(model, TEST, ids, WORDS.pad_token_id)
    for i in range(6):
        by_image = max(range(6), key=lambda j, i=i: float(image[i] @ text[j]))
        by_text = max(range(6), key=lambda j, i=i: float(image[j] @ text[i]))
        want.append(((by_image == i) + (by_text == i)) / 2)
    assert found(model, TEST, ids, WORDS.pad_token_id, batch=4).tolist() == want


def test_roar_runs_on_real_tuning():
    measure = RemoveAndRetrain(tuning(images=8), SPLIT.train, QUICK)
    score = measure(units(), SPLIT.pixels, Logit(0), told(maps(noise(18), SPLIT.pixels)))
    assert score.n == 6 and -1 <= score.value <= 1 and score.control is not None


def test_other_sentences_are_refused():
    with pytest.raises(ShapeError) as caught:
        tuning()(TRAIN, TEST[:2])
    assert str(caught.value) == (
        "Tuning has 18 sentences; it got 12 pictures to train on and 2 held out. "
        "Give one sentence for each."
    )


@pytest.mark.parametrize(("images", "batch"), [(2, 4), (8, 1)])
def test_a_budget_below_a_batch_is_refused(images, batch):
    with pytest.raises(BadInput) as caught:
        tuning(images=images, batch=batch)
    assert str(caught.value) == (
        "Tuning needs batches of at least two pictures and a budget of at least one "
        f"batch; it got batch={batch}, images={images}."
    )
