"""`legenda concepts IMAGES… --atlas ATLAS`."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli import keeping
from legenda.cli.concept_options import positive
from legenda.cli.output import progress, say, show, tell, writable, write
from legenda.errors import BadInput, LegendaError


def concepts(
    *images: Path,
    atlas: str = "zoo:photos",
    out: Path = Path("legenda-concepts.html"),
    into: Path | None = None,
    count: str | None = None,
    by: str = "rarity",
    named: Annotated[bool, Parameter(negative="")] = False,
    classes: str | None = None,
    steer: Annotated[list[str] | None, Parameter(negative="")] = None,
    chat: str | None = None,
    chat_model: str | None = None,
    device: str = "cpu",
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """The named concepts of pictures, each where it is on; one page.

    A picture that cannot be read is reported; the others go on, and the exit code is 2.

    Parameters
    ----------
    images
        Pictures.
    atlas
        Whose concepts: zoo:photos, zoo:scenes, or a folder.
    out
        The page, a name ending in .html.
    into
        Keep concepts and pictures in this atlas, a folder; changes and sentences are not kept.
    count
        Concepts of each picture, at most.
    by
        What concepts are ranked by: rarity, mass or strongest.
    named
        Leave units without a name out.
    classes
        Sentences with commas between: which part of a picture matches which, by what concepts.
    steer
        A change such as wheel+3, 12=0, car:off or wheel>sail: what the picture would mean then. Of
        several units with one name, the one that it fits best is changed.
    chat
        Address of a chat model that puts the caption into words, such as http://localhost:11434/v1.
    chat_model
        Its name there.
    device
        Such as cpu or cuda:0.
    dry_run
        Say what it would take, judged by the first picture, and write nothing.
    json
        Results on stdout, one JSON line per picture.
    open_
        Show the page in a browser.
    """
    from legenda.describe.chat import from_environment
    from legenda.show.concepts import page, plain

    if not images:
        raise BadInput("concepts needs a picture or more. Name them.")
    keeping.no_atlas(atlas)
    writable(out, folder=False)
    number, way = positive(count=count).get("count", 12), asked(by)
    talker, texts = from_environment(chat, chat_model), sentences(classes)
    with progress("opening") as step:
        held = opened(atlas, device)
        edits = changes(steer, held)
        held.check(texts, edits, talker)
        if dry_run:
            return said_cost(held, images, number, json)
        found, refused = [], []
        with keeping.keeping(into) as kept:
            for done, path in enumerate(images):
                step("concepts", done, len(images))
                picture = read(path, refused if len(images) > 1 else None)
                if picture is not None:
                    found.append(held.seen(picture, path.name, number, way, named, texts, edits, talker))  # fmt: skip # noqa: E501
            if kept is not None and found:
                pictures = [(one.picture, one.source) for one in found]
                keeping.concepts(kept, atlas, pictures, device, step)
    shown = [(plain(one, held.names, held.relations), one.picture) for one in found]
    for said, _ in shown:
        tell(said) if json else show(card(said))
    for one in refused if json else ():
        tell({"error": one})
    if not found:
        return 2
    command = again(images, atlas, out, count, by, named, classes, steer, chat, chat_model, device)
    html = page(
        shown, held.model.preprocess, held.near(found), held.words,
        held.exemplars, refused=refused, command=command,
    )  # fmt: skip
    write(out, html)
    say(f"{out}" if into is None else f"{out}\n{into}")
    if open_:
        import webbrowser

        webbrowser.open(out.resolve().as_uri())
    return 2 if refused else 0


def read(path: Path, refused: list[str] | None) -> Any:
    """A picture; where one of several cannot be read, nothing, and the reason is kept."""
    from legenda.corpus.images import open_image

    try:
        return open_image(path)
    except LegendaError as error:
        if refused is None:
            raise
        refused.append(str(error))
        say(f"legenda: {error}")
        return None


def sentences(classes: str | None) -> list[str]:
    """Sentences as they are typed, each once."""
    parts = [part.strip() for part in (classes or "").split(",") if part.strip()]
    if classes is not None and not parts:
        raise BadInput("--classes names no sentence. Write some with commas between, or leave it out.")  # fmt: skip # noqa: E501
    return list(dict.fromkeys(parts))


def said_cost(held: Any, images: Sequence[Path], count: int, json: bool) -> int:
    """What reading pictures would take; no chat model is asked."""
    from time import perf_counter

    picture, begin = read(images[0], None), perf_counter()
    held.seen(picture, images[0].name, count)
    seconds = (perf_counter() - begin) * len(images)
    if json:
        tell({"kind": "cost", "pictures": len(images), "seconds": seconds})
    else:
        show(f"{len(images)} pictures would take about {seconds:,.1f} s, judged by the first")
    return 0


def asked(by: str) -> Any:
    """How concepts are ranked, as it is typed."""
    from legenda.errors import near
    from legenda.tasks.image_concepts import BY

    if by not in BY:
        raise BadInput(f"--by is one of {', '.join(BY)}; it got {by!r}.{near(by, BY)}")
    return by


def opened(atlas: str, device: str) -> Any:
    """A concept folder with its model, ready to read pictures."""
    from legenda.tasks.reading import Reader

    return Reader.of(atlas, device)


def changes(steer: list[str] | None, held: Any) -> list[Any]:
    """Changes as they are typed; a name that several units have is the one that it fits best."""
    from legenda.describe.naming import PERSON
    from legenda.tasks.steer import told

    ranked = sorted((n for n in held.names if n.word), key=lambda n: (n.by == PERSON, n.score))
    words = {name.word: name.unit for name in ranked}
    return [told(one, words, len(held.dictionary.atoms)) for one in steer or []]


def again(
    images: tuple[Path, ...], atlas: str, out: Path, count: str | None, by: str, named: bool,
    classes: str | None, steer: list[str] | None, chat: str | None, chat_model: str | None,
    device: str,
) -> str:  # fmt: skip
    """The command that makes the page."""
    words = ["legenda", "concepts", *(path.name for path in images), "--atlas", atlas]
    given = {"count": count, "classes": classes, "chat": chat, "chat-model": chat_model}
    for name, value in given.items():
        words += [f"--{name}", value] if value else []
    words += ["--device", device] if device != "cpu" else []
    words += ["--by", by] if by != "rarity" else []
    words += ["--named"] if named else []
    for one in steer or []:
        words += ["--steer", one]
    return shlex.join([*words, "--out", out.name])


def card(said: dict[str, Any]) -> Any:
    """What is said in the terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from legenda.show.terminal import bar

    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(4):
        table.add_column(overflow="fold")
    most = max((c["strongest"] for c in said["concepts"]), default=1.0) or 1.0
    for one in said["concepts"]:
        word = Text(one["word"]) if one["word"] else Text(f"unit {one['unit']}", style="dim italic")
        check = one["check"]
        trust = f"AUROC {check['auroc']:.2f}" if check else ""
        table.add_row(word, one["place"], bar(one["strongest"] / most), trust)
    lines = [Text(said["source"], style="bold")]
    if said["caption"]:
        lines.append(Text(said["caption"]["text"]))
    for one in said.get("segments", []):
        why = ", ".join(f"{word} {value:+.2f}" for word, value in one["concepts"])
        why = f" ({why})" if why else ""
        lines.append(Text(f"{one['class']}: {100 * one['share']:.0f} % of the picture{why}"))
    lines += [Text(changed(one)) for one in said.get("steered", [])]
    return Group(*lines, table, Text(""))


def changed(one: dict[str, Any]) -> str:
    """What a change does to the likeness to one sentence, beside random changes as long."""
    low, high = one["random"]
    return f"{one['text']}: {one['before']:.3f} → {one['after']:.3f} (random changes: {low:.3f} to {high:.3f})"  # fmt: skip # noqa: E501
