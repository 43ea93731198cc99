"""What can be said of a scene: captions with chosen attributes, a phrase bank and its truth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from legenda.zoo.scenes.world import (
    COLOURS,
    GROUNDS,
    KINDS,
    RELATIONS,
    SIZES,
    TEXTURES,
    Scene,
    Thing,
    with_article,
)

Claim = dict[str, str]
"""What a phrase says of one thing: some of kind, colour, texture, size, family."""

PAD, BOS, MASK, EOS = "<|pad|>", "<|startoftext|>", "<|mask|>", "<|endoftext|>"


def family(kind: str) -> str:
    """`building` for a house, `round shape` for a ring."""
    return KINDS[kind][0]


def holds(claim: Claim, thing: Thing) -> bool:
    """Whether a claim is true of a thing."""
    return all(
        (family(thing.kind) if key == "family" else getattr(thing, key)) == value
        for key, value in claim.items()
    )


def say(claim: Claim) -> str:
    """Put a claim into words: `a large striped red house`, `a blue building`."""
    noun = claim.get("kind") or claim.get("family") or "object"
    texture = claim.get("texture", "plain")
    words = [claim.get("size", ""), "" if texture == "plain" else texture, claim.get("colour", "")]
    return with_article(" ".join([w for w in words if w] + [noun]))


def bank() -> list[Claim]:
    """Every phrase of one or two attributes: kinds and families, bare, coloured, textured."""
    families = sorted({family(kind) for kind in KINDS})
    textured = [t for t in TEXTURES if t != "plain"]
    return (
        [{"kind": k, "colour": c} for k in KINDS for c in COLOURS]
        + [{"kind": k, "texture": t} for k in KINDS for t in textured]
        + [{"kind": k} for k in KINDS]
        + [{"family": f} for f in families]
        + [{"family": f, "colour": c} for f in families for c in COLOURS]
        + [{"colour": c} for c in COLOURS]
    )


def truth(claims: Sequence[Claim], scenes: Sequence[Scene]) -> Bool[np.ndarray, "b p"]:
    """Which claim holds of some thing in which scene."""
    return np.array([[any(holds(c, t) for t in s.things) for c in claims] for s in scenes])


def tell(scene: Scene, lot: np.random.Generator) -> str:
    """A sentence about a whole scene, its attributes, order and form drawn by lot."""
    things = [scene.things[i] for i in lot.permutation(len(scene.things))]
    said = [
        thing.phrase(
            colour=lot.random() < 0.92, texture=lot.random() < 0.75, size=lot.random() < 0.25
        )
        for thing in things
    ]
    if len(things) == 2 and lot.random() < 0.4:
        text = f"{said[0]} {scene.relation(*things)} {said[1]}"
    else:
        text = " and ".join(said)
    return f"{text} on {scene.ground}" if lot.random() < 0.7 else text


def vocabulary() -> list[str]:
    """Every word of this world."""
    families = {word for kind in KINDS for word in family(kind).split()}
    relations = {word for relation in RELATIONS for word in relation.split()}
    grammar = ["a", "an", "and", "on", "object", "photo", "picture", "of", "the"]
    rest = {*KINDS, *COLOURS, *TEXTURES, *SIZES, *GROUNDS, *families, *relations}
    return grammar + sorted(rest - set(grammar))


def tokenizer(folder: Path | None = None):  # noqa: ANN201 -- transformers is heavy: its type stays inside
    """A CLIP byte-pair tokenizer in which every word of this world is one token.

    Any other word falls into letters, so that gibberish can be read, though not understood.
    Token 2 is a mask: it blanks a word, and is seen in training.
    """
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    tokens = [PAD, BOS, MASK, EOS, *letters, *(letter + "</w>" for letter in letters)]
    merges: list[tuple[str, str]] = []
    for word in vocabulary():
        pieces = _split([*word[:-1], word[-1] + "</w>"], merges)
        while len(pieces) > 1:
            merges.append((pieces[0], pieces[1]))
            pieces = ["".join(pieces[:2]), *pieces[2:]]
            if pieces[0] not in tokens:
                tokens.append(pieces[0])
    made = CLIPTokenizer(
        vocab={token: i for i, token in enumerate(tokens)},
        merges=merges,  # pyright: ignore[reportArgumentType] -- pairs, whatever its hint says
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=EOS,
        mask_token=MASK,
        model_max_length=40,
    )
    if folder is not None:
        made.save_pretrained(folder)
    return made


def _split(pieces: list[str], merges: list[tuple[str, str]]) -> list[str]:
    """Join pieces by the merges there are, earliest merge first, as byte-pair encoding does."""
    rank = {pair: i for i, pair in enumerate(merges)}
    while True:
        pairs = [p for p in zip(pieces, pieces[1:], strict=False) if p in rank]
        if not pairs:
            return pieces
        best = min(pairs, key=lambda p: rank[p])
        at = next(i for i, p in enumerate(zip(pieces, pieces[1:], strict=False)) if p == best)
        pieces = [*pieces[:at], "".join(best), *pieces[at + 2 :]]
