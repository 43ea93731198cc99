"""`legenda audit MODEL IMAGES --groups LABELS`."""

import csv
import json as encoder
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.output import progress, say, show, tell, writable, write
from legenda.cli.settings import wholes
from legenda.cli.tokens import TRAIN, extracted, refusal
from legenda.errors import BadInput

RECORD, PAGE, WORK = "audit.json", "index.html", "work"
HEAD = b'{"schema": 1, "kind": "audit"'
"""How every audit.json of legenda begins; a folder with another one is of others."""
USUAL = {"extractor": "train:cnn", "device": "cpu"}
FIRST = 10
"""Flagged tokens that are named in the terminal."""


def audit(
    model: str,
    images: str,
    /,
    *,
    groups: Path,
    between: str | None = None,
    extractor: str = USUAL["extractor"],
    fdr: str | None = None,
    top: str | None = None,
    keep: str | None = None,
    epochs: str | None = None,
    seed: str | None = None,
    device: str = USUAL["device"],
    out: Path = Path("legenda-audit"),
    json: Annotated[bool, Parameter(negative="")] = False,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """Audit two groups: shortcut tokens, and which group neutral images lean to.

    Run it again and only what is missing is done. An image that cannot be read is reported; the
    others go on, and the exit code is 2.

    Parameters
    ----------
    model
        A model with a codebook: zoo:vq, hf:ORG/NAME, a folder, or package.module:factory.
    images
        A folder of pictures.
    groups
        Which picture is of which group: a .csv, .tsv or .jsonl file with the columns image and
        label, and perhaps part: training (if nothing is said), reference (held out, and what is
        suspected is not tied to the group) or neutral (of neither group; it needs no label).
    between
        Two groups, such as cat,dog, where the file names more.
    extractor
        The concept model that is asked: one that ships (cnn), a folder, or one that is trained
        on the training pictures: train:cnn, train:resnet or train:transformer.
    fdr
        Share of false ones tolerated among flagged tokens; larger flags more.
    top
        Positions that count per picture; more let in what matters less.
    keep
        Tokens in the list of each group, at most.
    epochs
        Of the training; more train longer.
    seed
        Of everything that is drawn.
    device
        Such as cpu or cuda:0.
    out
        A folder for the page, audit.json, and the work that is kept.
    json
        The result on stdout, one JSON object.
    open_
        Show the page in a browser.
    """
    from legenda.tasks.audit_groups import read_groups

    ours(out)
    options: dict[str, Any] = wholes(top=top, keep=keep, epochs=epochs, seed=seed)
    how, rate = settings(options, extractor, fdr)
    read = read_groups(groups, images, pair(between))
    with progress("opening") as step:
        vq = opened(model, device)
        found = made(vq, read, out / WORK, extractor, how, rate, options, step, refusal(json))
    said = plain(
        found, model, images, groups=groups, between=between, extractor=extractor, fdr=fdr,
        **options, device=device,
    )  # fmt: skip
    place = kept(out, found, said)
    tell(said) if json else show(card(said))
    say(f"{place}")
    if open_:
        import webbrowser

        webbrowser.open(place.resolve().as_uri())
    return 2 if found.refused else 0


def ours(out: Path) -> None:
    """Refuse a place that is no folder, or one with something of others in it."""
    writable(out, folder=True)
    record, page, work = out / RECORD, out / PAGE, out / WORK
    not_ours = "is there, and legenda did not write it. Choose another --out."
    if record.exists() and not (record.is_file() and record.read_bytes()[: len(HEAD)] == HEAD):
        raise BadInput(f"{record} {not_ours}")
    if page.exists() and not record.exists():
        raise BadInput(f"{page} is a page of another command: no {RECORD} is beside it. Choose another --out.")  # fmt: skip # noqa: E501
    if work.exists() and not work.is_dir():
        raise BadInput(f"{work} {not_ours}")


def pair(typed: str | None) -> list[str] | None:
    """`cat,dog`; a name with a comma in it stands in quotes."""
    if typed is None:
        return None
    names = [name.strip() for name in next(csv.reader([typed], skipinitialspace=True), [])]
    if len(names) != 2 or not all(names):
        raise BadInput(
            f"--between needs two names with a comma between, such as cat,dog; it got {typed!r}."
        )
    return names


def settings(options: dict[str, Any], extractor: str, fdr: str | None) -> tuple[Any, float]:
    """How the lists are ranked, and the rate of false ones."""
    from dataclasses import replace

    from legenda.tasks.audit import LISTS

    given = {name: options[name] for name in ("top", "keep") if options[name] is not None}
    for name, value in given.items():
        if value < 1:
            raise BadInput(f"--{name} needs 1 or more; it got {value}.")
    if options["epochs"] is not None and not extractor.startswith(TRAIN):
        raise BadInput(f"--epochs is about training, and {extractor} is not trained. Leave it out.")
    try:
        rate = 0.05 if fdr is None else float(fdr)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1:
        raise BadInput(f"--fdr needs a number between 0 and 1, such as 0.05; it got {fdr!r}.")
    return replace(LISTS, **given), rate


def opened(model: str, device: str) -> Any:
    """A model with a codebook."""
    from legenda.cli.edit_models import vq_of

    return vq_of(model, device, "audit", "whose tokens can be counted")


def made(
    vq: Any, groups: Any, work: Path, extractor: str, how: Any, rate: float,
    options: dict[str, Any], step: Any, lost: Any,
) -> Any:  # fmt: skip
    """The audit itself."""
    from legenda.tasks.audit import audited

    return audited(
        vq, groups, work, **extracted(vq, extractor), how=how, fdr=rate, epochs=options["epochs"],
        seed=options["seed"] or 0, report=step, lost=lost,
    )  # fmt: skip


def plain(found: Any, model: str, images: str, **given: Any) -> dict[str, Any]:
    """The audit as a plain dict, with the command line that makes it again."""
    import torch

    from legenda import __version__
    from legenda.agreement import named
    from legenda.show.audit import plain as dict_of

    words = ["legenda", "audit"]
    for name, value in given.items():
        if value is not None and value != USUAL.get(name):
            words += [f"--{name}", named(str(value))]
    if model.startswith("-") or images.startswith("-"):  # what follows `--` is no option
        words.append("--")
    return dict_of(
        found, shlex.join([*words, model, named(images)]), images=named(images),
        groups=named(given["groups"]), device=given["device"], legenda=__version__,
        torch=torch.__version__.split("+")[0],
    )  # fmt: skip


def kept(out: Path, found: Any, said: dict[str, Any]) -> Path:
    """The record and the page, both or neither."""
    from legenda.show.audit_page import page

    whole = {
        RECORD: encoder.dumps(said, ensure_ascii=False, allow_nan=False) + "\n",
        PAGE: page(found.looks, said),
    }
    out.mkdir(parents=True, exist_ok=True)
    passing = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=out))
    try:
        for name, content in whole.items():
            write(passing / name, content)
        for name in whole:
            (passing / name).replace(out / name)
    finally:
        shutil.rmtree(passing, ignore_errors=True)
    return out / PAGE


def card(said: dict[str, Any]) -> Any:
    """What is said in the terminal."""
    from rich.console import Group
    from rich.text import Text

    from legenda.show import audit_words as words

    doubt, found = words.doubt(said), (said["shortcuts"] or {"flagged": []})["flagged"]
    lines = [Text(words.lead(said), style="bold"), Text(words.knowledge(said))]
    lines += [Text(doubt, style="yellow")] if doubt else []
    lines += [Text(words.briefly(one)) for one in found[:FIRST]]
    more = len(found) - FIRST
    return Group(*lines, *([Text(f"and {more} more, on the page")] if more > 0 else []))
