"""`legenda tokens MODEL IMAGES --concepts LABELS`."""

import json as encoder
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.output import PAGES, progress, say, show, tell, writable, write
from legenda.cli.settings import wholes
from legenda.errors import BadInput, Missing, near

LINES, PAGE, WORK, CORRECTIONS = "tokens.jsonl", "index.html", "work", "corrections.json"
HEAD = b'{"schema": 1, "kind": "tokens"'
"""How every tokens.jsonl of legenda begins; a folder with another one is of others."""
TRAIN = "train:"
FIRST = 5
"""Tokens of each class that are named in the terminal."""


def tokens(
    model: str,
    images: str,
    /,
    *,
    concepts: Path,
    extractor: str = "train:cnn",
    top: str | None = None,
    keep: str | None = None,
    by: str = "count",
    name_with: str | None = None,
    words: str | None = None,
    correct: Annotated[list[str] | None, Parameter(negative="")] = None,
    epochs: str | None = None,
    seed: str | None = None,
    device: str = "cpu",
    out: Path = Path("legenda-tokens"),
    json: Annotated[bool, Parameter(negative="")] = False,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """A card for every token of a model, and the tokens of every concept.

    Run it again and only what is missing is done. An image that cannot be read is reported; the
    others go on, and the exit code is 2.

    Parameters
    ----------
    model
        A model with a codebook: zoo:vq, hf:ORG/NAME, a folder, or package.module:factory.
    images
        A folder of pictures.
    concepts
        What each shows: a .csv, .tsv or .jsonl file with the columns image and label.
    extractor
        The concept model that is asked: one that ships (cnn), a folder, or one that is trained
        on the labels: train:cnn, train:resnet or train:transformer.
    top
        Positions that count per picture; more let in what matters less.
    keep
        Tokens listed per concept, at most.
    by
        How tokens are ranked: count, tf_idf, pmi, frequency or random.
    name_with
        A dual encoder, such as zoo:photos, that names tokens by what is decoded around them.
    words
        What they may be called: everyday, emoji, clipart, a file, or several with + between.
    correct
        TOKEN=WORD, a person's name for a token, which is kept in --out; TOKEN= takes it back.
    epochs
        Of the training; more train longer.
    seed
        Of the training, its split, and what is shuffled.
    device
        Such as cpu or cuda:0.
    out
        A folder for the page, tokens.jsonl, and the work that is kept.
    json
        The cards on stdout, one JSON line each, after one about the whole.
    open_
        Show the page in a browser.
    """
    from dataclasses import replace

    from legenda.corpus.labels import read_labels
    from legenda.tasks.token_cards import corrections, with_corrections
    from legenda.tasks.token_naming import naming_of

    ours(out)
    options: dict[str, Any] = wholes(top=top, keep=keep, epochs=epochs, seed=seed)
    how = ranking(by, options)
    labels = read_labels(concepts, images)
    lost = refusal(json)
    with progress("opening") as step:
        vq = opened(model, device)
        fixes = corrections(correct, out / CORRECTIONS, len(vq.codebook))
        asked = {**extracted(vq, extractor), "naming": naming_of(name_with, words, options["seed"] or 0, device)}  # fmt: skip # noqa: E501
        book = made(vq, labels, out / WORK, how, asked, options, step, lost)
    cards = with_corrections(book.cards, vq.codebook.atoms, out / CORRECTIONS, fixes, say)
    options = {"extractor": extractor, "by": by, **options, "name-with": name_with, "words": words}
    said, lines = plain(replace(book, cards=cards), model, images, concepts, device, **options)
    place = kept(out, book, said, lines)
    if json:
        for line in (said, *lines):
            tell(line)
    else:
        show(card(said, lines))
    say(f"{place}")
    if open_:
        import webbrowser

        webbrowser.open(place.resolve().as_uri())
    return 2 if book.survey.refused else 0


def ours(out: Path) -> None:
    """Refuse a place that is no folder, or one with something of others in it."""
    if out.is_file():
        raise BadInput(f"--out {out} is a file; a folder is needed.")
    if out.suffix.lower() in PAGES and not out.exists():
        raise BadInput(f"--out {out} is to be a folder: lines and work are kept beside the page. Name a folder.")  # fmt: skip # noqa: E501
    writable(out, folder=True)
    lines, page = out / LINES, out / PAGE
    if lines.exists() and not (lines.is_file() and lines.read_bytes()[: len(HEAD)] == HEAD):
        raise BadInput(f"{lines} is there, and legenda did not write it. Choose another --out.")
    if page.exists() and not lines.exists():
        raise BadInput(f"{page} is a page of another command: no {LINES} is beside it. Choose another --out.")  # fmt: skip # noqa: E501
    if (out / WORK).exists() and not (out / WORK).is_dir():
        raise BadInput(f"{out / WORK} is there, and legenda did not write it. Choose another --out.")  # fmt: skip # noqa: E501


def ranking(by: str, options: dict[str, Any]) -> Any:
    """How tokens are ranked, as it is typed."""
    from legenda.explain.concept_tokens import BY, ConceptTokens

    name = by.strip().casefold().replace("-", "_")
    if name not in BY:
        raise BadInput(f"--by is one of {', '.join(BY)}; it got {by!r}.{near(name, BY)}")
    given = {key: options[key] for key in ("top", "keep", "seed") if options[key] is not None}
    for key in ("top", "keep"):
        if given.get(key, 1) < 1:
            raise BadInput(f"--{key} needs 1 or more; it got {given[key]}.")
    return ConceptTokens(by=name, **given)


def refusal(json: bool) -> Callable[[str], None]:
    """Tells of an image that cannot be read."""

    def lost(sentence: str) -> None:
        say(f"legenda: {sentence}")
        if json:
            tell({"error": sentence})

    return lost


def opened(model: str, device: str) -> Any:
    """A model with a codebook."""
    from legenda.cli.edit_models import vq_of

    return vq_of(model, device, "tokens", "whose tokens can be counted")


def extracted(vq: Any, given: str) -> dict[str, Any]:
    """A concept model, or what is trained to be one."""
    from legenda.cli.edit_models import concepts_of
    from legenda.concepts.extractors import SMALL

    if not given.startswith(TRAIN):
        return {"concepts": concepts_of(vq, given)}
    kind = given.removeprefix(TRAIN)
    if kind not in SMALL:
        raise Missing(
            f"--extractor can train {', '.join(SMALL)}; it got {given!r}.{near(kind, SMALL)}"
        )
    return {"extractor": SMALL[kind]}


def made(
    vq: Any, labels: Any, work: Path, how: Any, asked: dict[str, Any], options: dict[str, Any],
    step: Any, lost: Callable[[str], None],
) -> Any:  # fmt: skip
    """The book of all tokens."""
    from legenda.tasks.tokens import token_book

    return token_book(
        vq, labels, work, **asked, how=how, epochs=options["epochs"], seed=options["seed"] or 0,
        report=step, lost=lost,
    )  # fmt: skip


def plain(
    book: Any, model: str, images: str, concepts: Path, device: str, **options: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The head and the lines of all tokens."""
    import torch

    from legenda import __version__
    from legenda.agreement import named
    from legenda.show.tokens import head, line

    words = ["legenda", "tokens"]
    given = {"concepts": named(concepts), **options, "device": device}
    usual = {"extractor": "train:cnn", "by": "count", "device": "cpu"}
    for name, value in given.items():
        if value is not None and value != usual.get(name):
            words += [f"--{name}", str(value)]
    if model.startswith("-") or images.startswith("-"):  # what follows `--` is no option
        words.append("--")
    command = shlex.join([*words, model, named(images)])
    labels = f"{named(concepts)}, for {named(images)}"
    said = head(
        book, command, labels=labels, device=device, legenda=__version__,
        torch=torch.__version__.split("+")[0],
    )  # fmt: skip
    return said, [line(one) for one in book.cards]


def kept(out: Path, book: Any, said: dict[str, Any], lines: list[dict[str, Any]]) -> Path:
    """The lines, and then the page over them, each whole or not at all."""
    from legenda.show.tokens import page

    html = page(book, said, lines)
    whole = [encoder.dumps(one, ensure_ascii=False, allow_nan=False) for one in (said, *lines)]
    out.mkdir(parents=True, exist_ok=True)
    write(out / LINES, "\n".join(whole) + "\n")
    return write(out / PAGE, html)


def card(said: dict[str, Any], cards: list[dict[str, Any]]) -> Any:
    """What is said in the terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from legenda.show import token_words as words

    table, called = Table(box=None, pad_edge=False), words.words(cards)
    for title in ("class", "tokens", "the first: of its images", "of all others"):
        table.add_column(title, overflow="fold")
    for one in said["concepts"]:
        first = one["tokens"][0]
        numbers = [found["token"] for found in one["tokens"][:FIRST]]
        named = Text(", ".join(f"{token} {called.get(token, '')}".strip() for token in numbers))
        shares = (words.percent_of(first["share"]), words.percent_of(first["control"]))
        table.add_row(Text(one["concept"]), named, *shares)
    said_more = [words.accuracy(said), *words.names(said)]
    lines, doubt = [Text(words.lead(said), style="bold"), *map(Text, said_more)], words.doubt(said)
    return Group(*lines, *([Text(doubt, style="yellow")] if doubt else []), table)
