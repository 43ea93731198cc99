import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from legenda.concepts.token_set import TokenSet
from legenda.errors import BadInput, Missing, Refused

GRID, CONCEPTS = (2, 3), ("cat", "dog", "ship")


def drawn(count=30, entries=9):
    lot = torch.Generator().manual_seed(2)
    return torch.randint(entries, (count, 6), generator=lot), torch.arange(count) % 3


def made(count=30):
    return TokenSet.of(*drawn(count), CONCEPTS, GRID, 9)


def test_it_keeps_two_bytes_a_token_and_gives_back_what_it_took():
    tokens, labels = drawn()
    kept = made()
    assert kept.tokens.dtype == np.uint16 and kept.tokens.nbytes == 2 * tokens.numel()
    assert kept.labels.dtype == torch.int64 and len(kept) == 30
    found, shown = kept.batch(torch.tensor([4, 4, 29]))
    assert found.dtype == torch.int64
    assert torch.equal(found, tokens[[4, 4, 29]]) and torch.equal(shown, labels[[4, 4, 29]])


def test_the_last_of_as_many_entries_as_there_can_be_survives(tmp_path):
    tokens, labels = drawn()
    tokens[0, 0] = 65535
    kept = TokenSet.of(tokens, labels, CONCEPTS, GRID, 65536)
    kept.save(tmp_path / "set.safetensors")
    again = TokenSet.load(tmp_path / "set.safetensors")
    assert int(again.batch(torch.tensor([0]))[0][0, 0]) == 65535


def test_what_is_saved_is_loaded(tmp_path):
    kept, path = made(), tmp_path / "deep" / "set.safetensors"
    kept.save(path)
    again = TokenSet.load(path)
    assert repr(again) == repr(kept)
    assert (again.tokens == kept.tokens).all() and torch.equal(again.labels, kept.labels)
    assert (again.concepts, again.grid, again.entries) == (CONCEPTS, GRID, 9)
    assert [p.name for p in path.parent.iterdir()] == ["set.safetensors"]


def test_its_digest_tells_sets_apart():
    tokens, labels = drawn()
    other = tokens.clone()
    other[3, 3] = (other[3, 3] + 1) % 9
    sets = [
        made(),
        TokenSet.of(other, labels, CONCEPTS, GRID, 9),
        TokenSet.of(tokens, labels.roll(1), CONCEPTS, GRID, 9),
        TokenSet.of(tokens, labels, ("cat", "dog", "sheep"), GRID, 9),
        TokenSet.of(tokens, labels, CONCEPTS, (3, 2), 9),
    ]
    assert len({kept.digest for kept in sets}) == len(sets)
    assert made().digest == sets[0].digest
    assert repr(sets[0]) == f"TokenSet(30 grids of 2 × 3, 3 concepts, {sets[0].digest})"


def test_a_split_shares_out_every_concept():
    counts = [50, 20, 5]
    labels = torch.cat([torch.full((c,), i) for i, c in enumerate(counts)])
    tokens = torch.arange(75)[:, None].expand(75, 6) % 80
    whole = TokenSet.of(tokens, labels, CONCEPTS, GRID, 80)
    parts = whole.split((0.6, 0.2, 0.2), seed=1)
    found = [torch.bincount(part.labels, minlength=3).tolist() for part in parts]
    assert found == [[30, 12, 3], [10, 4, 1], [10, 4, 1]]
    seen = np.concatenate([part.tokens[:, 0] for part in parts])
    assert sorted(seen) == list(range(75)), "every image is in one part, once"
    for part in parts:
        assert (part.labels.numpy() == labels.numpy()[part.tokens[:, 0]]).all()


def test_a_split_leaves_no_part_empty_and_follows_its_seed():
    whole = made(15)
    for shares in ((0.98, 0.01, 0.01), (0.01, 0.98, 0.01), (0.01, 0.495, 0.495)):
        for part in whole.split(shares):
            assert torch.bincount(part.labels, minlength=3).min() >= 1
    one, same, other = (whole.split(seed=s)[0].digest for s in (0, 0, 1))
    assert one == same != other


REFUSED = {
    "labels": (
        lambda t, y: (t, y[:-1], CONCEPTS, GRID, 9),
        "a token set needs one label per image; it got 29 labels for 30 images. "
        "Leave out images that have none.",
    ),
    "one class": (
        lambda t, y: (t, y * 0 + 1, CONCEPTS, GRID, 9),
        "a concept model tells concepts apart; all 30 images show 'dog'. "
        "Add images of another concept.",
    ),
    "few": (
        lambda t, y: (t[:14], y[:14], (*CONCEPTS, "frog"), GRID, 9),
        "every concept needs at least 5 images; 'ship' has 4, 'frog' has 0. "
        "Add images, or leave the concept out.",
    ),
    "many few": (
        lambda t, y: (t, torch.arange(30) % 8, tuple("abcdefgh"), GRID, 9),
        "every concept needs at least 5 images; 'a' has 4, 'b' has 4, 'c' has 4, 'd' has 4, "
        "'e' has 4, and 3 more. Add images, or leave the concept out.",
    ),
    "outside": (
        lambda t, y: (t, y, CONCEPTS, GRID, 8),
        "token 8 is not in the codebook, which has 8 entries, numbered from 0. "
        "Give the tokens and the codebook of one model.",
    ),
    "negative": (
        lambda t, y: (t - 1, y, CONCEPTS, GRID, 9),
        "token -1 is not in the codebook, which has 9 entries, numbered from 0. "
        "Give the tokens and the codebook of one model.",
    ),
    "too many": (
        lambda t, y: (t, y, CONCEPTS, GRID, 65537),
        "a token set keeps two bytes per token, enough for 65536 entries; the codebook has 65537.",
    ),
    "grid": (
        lambda t, y: (t, y, CONCEPTS, (4, 4), 9),
        "a token set on a grid of 4 × 4 needs whole numbers, 16 per image (b n); it got int64 of "
        "the shape (30, 6).",
    ),
    "no whole numbers": (
        lambda t, y: (t.numpy() / 2, y, CONCEPTS, GRID, 9),
        "a token set on a grid of 2 × 3 needs whole numbers, 6 per image (b n); it got float64 of "
        "the shape (30, 6).",
    ),
    "label": (
        lambda t, y: (t, y + 1, CONCEPTS, GRID, 9),
        "label 3 names no concept; there are 3, numbered from 0. Name every concept.",
    ),
    "names": (
        lambda t, y: (t, y, ("cat", "dog", "cat"), GRID, 9),
        "a token set needs a name of its own for each concept; it got ('cat', 'dog', 'cat').",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses(case):
    given, message = REFUSED[case]
    with pytest.raises(BadInput) as caught:
        TokenSet.of(*given(*drawn()))
    assert str(caught.value) == message


def test_a_set_to_measure_on_may_lack_concepts():
    tokens, _ = drawn()
    kept = TokenSet.of(tokens, torch.ones(30), CONCEPTS, GRID, 9, least=0)
    assert kept.labels.unique().tolist() == [1]


def test_a_split_refuses():
    with pytest.raises(BadInput) as caught:
        made().split((0.8, 0.2, 0.2))
    assert str(caught.value) == (
        "a split needs three shares above 0 that sum to 1; it got (0.8, 0.2, 0.2). "
        "Try (0.8, 0.1, 0.1)."
    )
    tokens, _ = drawn()
    few = TokenSet.of(tokens[:6], [0, 0, 0, 0, 1, 1], CONCEPTS, GRID, 9, least=0)
    with pytest.raises(BadInput) as caught:
        few.split()
    assert str(caught.value) == (
        "a split puts images of every concept into each of its three parts; 'dog' has 2. "
        "Add images, or leave it out."
    )


def test_what_cannot_be_loaded_says_why(tmp_path):
    path = tmp_path / "set.safetensors"
    with pytest.raises(Missing) as missing:
        TokenSet.load(path)
    assert str(missing.value) == f"{path} is not there. Give the file of a token set."
    save_file({"tokens": torch.zeros(2, 6)}, path)
    with pytest.raises(Refused) as caught:
        TokenSet.load(path)
    assert str(caught.value) == (
        f"{path} is no token set: 'token_set'. Give a file that `TokenSet.save` wrote."
    )
    path.write_bytes(b"not at all")
    with pytest.raises(Refused, match="is no token set"):
        TokenSet.load(path)
    about = {"concepts": CONCEPTS, "grid": GRID, "entries": 4}
    tensors = {"tokens": torch.full((2, 6), 7), "labels": torch.zeros(2, dtype=torch.long)}
    save_file(tensors, path, {"token_set": json.dumps(about)})
    with pytest.raises(BadInput, match="token 7 is not in the codebook"):
        TokenSet.load(path)
