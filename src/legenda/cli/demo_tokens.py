"""The part of `legenda demo` about tokens: which of them make a concept, and an edit by them."""

from functools import partial
from typing import Any

CONCEPT, AIM, REGION = "boat", "house", "box:3,3,10,10"
EACH, SHOWN, STEPS = 20, 8, 150
SEEN = "close-up of a drawn {kind}, which no part of zoo:vq was trained on"


def about_tokens() -> dict[str, Any]:
    """What the page says of `CONCEPT`, and of an edit toward `AIM`."""
    from legenda.show import edit as shown
    from legenda.zoo.vq.shipped import concept_model, open_vq

    vq = open_vq()
    model = concept_model(vq)
    edited = shown.plain(edit(vq, model), SEEN.format(kind="ring"), region=REGION)
    title = f"What the picture becomes when tokens for a {AIM} are put in"
    return {"concept": concept(vq, model), "edited": title, "edit": edited}


def concept(vq: Any, model: Any) -> dict[str, Any]:
    """The tokens of one concept, by the importance of tokens in close-ups of every kind."""
    import torch

    from legenda.core.target import Logit
    from legenda.core.units import Units
    from legenda.explain.concept_tokens import ConceptTokens
    from legenda.explain.token_importance import TokenImportance
    from legenda.zoo.vq.data import CONCEPTS, PHOTOGRAPHS, close_ups

    pictures = close_ups("test", 30 * EACH)
    kinds = CONCEPTS[len(PHOTOGRAPHS) :]
    rows = torch.cat([(pictures.labels == CONCEPTS.index(k)).nonzero()[:EACH, 0] for k in kinds])
    some = pictures.some(rows)
    tokens = vq.tokens(some.pixels())
    how = TokenImportance(draws=4, reduce="grad_times_input")
    scores = how(Units(model, vq.codebook), tokens, Logit(tuple(some.labels.tolist()))).scores
    ranked = ConceptTokens(by="tf_idf")(
        tokens, scores, some.labels - len(PHOTOGRAPHS), len(vq.codebook), kinds
    )[CONCEPT]
    lead = (
        f"In {len(rows)} close-ups, {EACH} of each of {len(kinds)} kinds: tokens by how often they "
        f"are among the 20 most important positions of a {CONCEPT}, and of how few other kinds."
    )
    note = (
        "Of its images: the share that has the token at such a position, with its 95 % interval, "
        "beside the same share of the images of all other kinds. All of them, with exemplars and "
        "the tokens beside them: legenda tokens."
    )
    shown = [row(vq, ranked, place) for place in range(SHOWN)]
    return {"name": CONCEPT, "lead": lead, "note": note, "rows": shown}


def row(vq: Any, ranked: Any, place: int) -> dict[str, Any]:
    """One token of the concept, decoded alone."""
    import torch
    from PIL import Image

    from legenda.show.pair import _uri

    token = int(ranked.tokens[place])
    picture = vq.bytes(vq.decode(vq.embed(torch.full((1, vq.grid[0] * vq.grid[1]), token))))[0]
    middle = Image.fromarray(picture[12:20, 12:20].numpy())
    return {
        "token": token,
        "picture": _uri(middle, "png"),
        "alt": f"Token {token}: a grid of nothing else, decoded; its middle",
        "share": share(ranked.share[place]),
        "control": share(ranked.control[place]),
    }


def share(found: Any) -> str:
    """A share with its interval, in per cent."""
    value, low, high = (100 * float(v) for v in found)
    return f"{value:.0f} [{low:.0f}, {high:.0f}] %"


def edit(vq: Any, model: Any) -> Any:
    """A drawn ring, edited toward a house, before the judges that are here."""
    from legenda.corpus.region import parse
    from legenda.explain.codebook_search import CodebookSearch
    from legenda.tasks.edit import toward
    from legenda.zoo.vq.data import CONCEPTS, close_ups
    from legenda.zoo.vq.judges import judges

    pictures = close_ups("test", 64)
    ring = (pictures.labels == CONCEPTS.index("ring")).nonzero()[0]
    search = partial(CodebookSearch, steps=STEPS)
    positions = parse(vq.grid, REGION)
    return toward(vq, model, pictures.pixels(ring), AIM, positions, judges(), search=search)
