"""`legenda latents MODEL [--images …] [--describer …]`."""

import shlex
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli import keeping
from legenda.cli.latent_options import described, listed, settings_from
from legenda.cli.latent_units import pixels_of, studied
from legenda.cli.output import PAGES, progress, say, show, tell, writable, write


def latents(
    model: str,
    /,
    *,
    images: str | None = None,
    describer: str = "measured",
    units: str | None = None,
    dictionary: str | None = None,
    directions: str | None = None,
    time: str | None = None,
    rows: str | None = None,
    frames: str | None = None,
    span: str | None = None,
    values: str | None = None,
    move: str | None = None,
    threshold: str | None = None,
    alpha: str | None = None,
    conformal: Annotated[bool, Parameter(negative="")] = False,
    words: str | None = None,
    lmm_url: str | None = None,
    lmm_model: str | None = None,
    prompt: str | None = None,
    tied_to: str | None = None,
    samples: str | None = None,
    adaptive: Annotated[bool, Parameter(negative="")] = False,
    temperature: str | None = None,
    nulls: str | None = None,
    most_calls: str | None = None,
    answers: Path | None = None,
    seed: str | None = None,
    device: str = "cpu",
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    out: Path = Path("legenda-latents"),
    atlas: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """Explain every latent of a model: what it does, in words and frames, and how surely.

    Parameters
    ----------
    model
        A model that decodes: zoo:vae, a file of weights in the layout of disentangling-vae, a
        folder of diffusers or of `legenda fit-vae`, or package.module:factory; or a diffusion
        model, such as zoo:ddpm, whose units are directions.
    images
        Pictures whose latents rows begin at; by default they are drawn from the prior.
    describer
        Who says what changes: measured, lmm (a language model that sees) or words (of a dual
        encoder).
    units
        Numbers of some units, such as 0,3,5; by default all.
    dictionary
        Other units than its own: a file of directions, or a folder of `legenda fit`.
    directions
        Of a diffusion model, how many are studied; by default 5.
    time
        When a diffusion model is opened: 1 is pure noise, lower leaves more decided.
    rows
        Pictures that each unit is moved from.
    frames
        Steps of a row.
    span
        Share of the prior between the first step and the last.
    values
        The steps themselves; published for -3,-1.5,0,1.5,3.
    move
        Whether a unit is set, or add to what each picture has, in spreads of its codes; by default
        set, but add on a grid.
    threshold
        Least certainty that is named; by default sheets without a pattern set it.
    alpha
        Share of such sheets that may be named.
    conformal
        Name by p values against such sheets instead: alpha is then the share of the named that are
        like them, on average.
    words
        A dual encoder, such as zoo:photos, whose words for the change are shown as well.
    lmm_url
        Where a chat model is served, such as http://localhost:11434/v1; or LEGENDA_CHAT_URL.
    lmm_model
        Its name there; or LEGENDA_CHAT_MODEL. Its key is read from LEGENDA_CHAT_KEY.
    prompt
        plain, invariance, combination or conditional, or a file.
    tied_to
        The property that units belong to, such as hair; the conditional prompt needs it.
    samples
        Answers per unit of a language model.
    adaptive
        Stop asking about a unit as soon as one answer speaks for all.
    temperature
        Of the language model.
    nulls
        Sheets without a pattern that a language model is asked about.
    most_calls
        Requests that may be sent, at most; what was answered is kept.
    answers
        Where the answers of a language model are kept; in --out by default.
    seed
        Of everything random.
    device
        Such as cpu or cuda:0.
    dry_run
        Say how many requests a language model would get, and write nothing.
    out
        A folder for page, sheets and latents.json; or a name ending in .html, for the page.
    atlas
        Keep what is found in this atlas as well; it is made where there is none.
    json
        Results on stdout, one JSON object.
    open_
        Show the page in a browser.
    """
    from legenda.cli.latent_folder import kept, untouched
    from legenda.show.latents import page, plain
    from legenda.tasks.latents import study

    alone = out.suffix.lower() in PAGES
    writable(out, folder=not alone)
    if not alone:
        untouched(out)
    how = settings_from(rows=rows, frames=frames, span=span, values=values, threshold=threshold,
                        alpha=alpha, nulls=nulls, seed=seed, move=move, conformal=conformal,
                        adaptive=adaptive)  # fmt: skip
    asks = described(
        describer, words, how, url=lmm_url, model=lmm_model, prompt=prompt, tied_to=tied_to,
        samples=samples, temperature=temperature, most_calls=most_calls, device=device,
        answers=answers or (out.parent if alone else out) / "answers",
    )  # fmt: skip
    only = listed(units)
    typed = {"rows": rows, "frames": frames, "span": span, "values": values}
    typed |= {"directions": directions, "time": time}
    opened, how, source = studied(model, dictionary, only, device, how, typed)
    x = pixels_of(opened.model, images)
    if dry_run:
        return said_cost(opened, how, asks, x, only, json, source)
    again = command(
        model, images=images, describer=None if describer == "measured" else describer, units=units,
        dictionary=dictionary, directions=directions, time=time, rows=rows, frames=frames,
        span=span, values=values, move=move, alpha=alpha, threshold=threshold, conformal=conformal,
        words=words, lmm_url=lmm_url, lmm_model=lmm_model, prompt=prompt, tied_to=tied_to,
        samples=samples, adaptive=adaptive, temperature=temperature, nulls=nulls, seed=seed,
        answers=str(answers) if answers else None, device=None if device == "cpu" else device,
        out=str(out), atlas=str(atlas) if atlas else None,
    )  # fmt: skip
    with keeping.keeping(atlas) as held, progress("opening") as bar:
        began, names = perf_counter(), getattr(opened.dictionary, "names", None)
        found = study(
            opened, how, x=x, ask=asks.ask, near=asks.near, only=only, report=bar, names=names,
            source=source,
        )  # fmt: skip
        if held is not None:
            by, what = keeping.said_by(describer, words, asks), (opened, how, source)
            keeping.latents(held, found, what, images, by, only, device, again, began, bar)
    said, html = plain(found), page(found, command=again)
    place = write(out, html) if alone else kept(out, found, said, html)
    if json:
        tell(said)
    else:
        told(found)
    say(f"{place}")
    if atlas is not None:
        say(f"{atlas}")
    if open_:
        import webbrowser

        webbrowser.open(place.resolve().as_uri())
    return 0


def said_cost(
    units: Any, how: Any, asks: Any, x: Any, only: Any, json: bool, source: Any = None
) -> int:
    """What a language model would be asked."""
    from legenda.tasks.latent_ground import cost

    found = cost(units, how, asks, x, only, source)
    if json:
        tell({"kind": "cost", **found})
    elif not found["language_model"]:
        units, frames = counted(found["units"], "unit"), counted(found["frames"], "frame")
        show(f"{units}, {frames}; no language model is asked")
    else:
        most = "at most " if found["at_most"] else ""
        show(
            f"{most}{counted(found['calls'], 'request')} of about {found['tokens']:,} tokens in "
            f"all, for {counted(found['units'], 'unit')} and {counted(found['nulls'], 'sheet')} "
            f"without a pattern; {counted(found['stored'], 'answer')} "
            f"{'is' if found['stored'] == 1 else 'are'} kept already"
        )
    return 0


def counted(number: int, what: str) -> str:
    """A number of things."""
    return f"{number} {what}{'s' * (number != 1)}"


def told(study: Any) -> None:
    """The study in the terminal."""
    from rich.table import Table

    from legenda.show.latent_walk_words import directions
    from legenda.show.latent_words import lead, note

    show(lead(study))
    table = Table(box=None, pad_edge=False)
    turns = any(unit.most for unit in study.units)
    for name in ("unit", "certainty", *["answers"] * turns, "what it does"):
        table.add_column(name)
    for unit in study.units:
        sure = "" if unit.verdict == "inactive" else f"{unit.certainty:.2f}"
        text = unit.answer.text if unit.verdict == "named" else f"{unit.verdict}: {unit.reason}"
        asked = [f"{len(unit.answers)} of {unit.most}" if unit.most else ""] * turns
        table.add_row(unit.label, sure, *asked, "".join(c for c in text if c.isprintable()))
    show(table)
    show(note(study))
    if study.walked is not None:
        show(directions(study))


def command(model: str, **options: str | bool | None) -> str:
    """The command line that makes it again."""
    given = [(n.replace("_", "-"), v) for n, v in options.items() if v not in (None, False)]
    words = [f"--{name}" if value is True else f"--{name}={value}" for name, value in given]
    return shlex.join(["legenda", "latents", model, *words])
