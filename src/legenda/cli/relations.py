"""`legenda relations ATLAS`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.concept_options import number, positive
from legenda.cli.output import progress, say, show, tell, write
from legenda.cli.settings import wholes
from legenda.errors import BadInput, Missing


def relations(
    atlas: str,
    /,
    *,
    share: str | None = None,
    sure: str | None = None,
    least: str | None = None,
    published: Annotated[bool, Parameter(negative="")] = False,
    cycles: str = "merge",
    graphml: Path | None = None,
    svg: Path | None = None,
    seed: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Which concept is a kind or a part of which: a hierarchy, as a tree.

    Parameters
    ----------
    atlas
        The folder of the concepts, or zoo:photos or zoo:scenes to see what ships.
    share
        Share of a child's activation at which its parent has to be on.
    sure
        What the lower end of that share's interval has to exceed.
    least
        Fewest positions of a child.
    published
        The published rule alone: no intervals, no lift.
    cycles
        merge takes the units of a cycle for one; cut leaves out its weakest edge.
    graphml
        A file to write the graph to, for other programs.
    svg
        A file to draw the tree in.
    seed
        Of the control.
    json
        The hierarchy on stdout, as one JSON line.
    """
    from legenda.show.graphml import graphml as as_graphml
    from legenda.show.hierarchy import plain, tree
    from legenda.show.hierarchy_svg import drawing
    from legenda.tasks.concept_folder import concept_folder

    folder = concept_folder(atlas)
    for path, ending in ((graphml, ".graphml"), (svg, ".svg")):
        if path is not None and (path.suffix != ending or not path.parent.is_dir()):
            raise BadInput(f"{path} cannot be written: name a file ending in {ending} in a folder that is there.")  # fmt: skip # noqa: E501
    settings = {"share": number(share, "share", 0), "sure": number(sure, "sure", 0)}
    given = {name: value for name, value in settings.items() if value is not None}
    whole = wholes(least=least, seed=seed)
    given |= positive(least=whole["least"])
    given |= {} if whole["seed"] is None else {"seed": whole["seed"]}
    shipped = bool(folder.name)
    if shipped and (given or published or cycles != "merge"):
        raise BadInput(f"{folder} ships with legenda and is only shown. Survey your own to find others.")  # fmt: skip # noqa: E501
    found, edges = (folder.relations(), None) if shipped else related(folder, given, published, cycles)  # fmt: skip # noqa: E501
    if found is None:
        raise Missing(f"{folder} has no relations.")
    words = folder.words()
    for path, text in ((graphml, as_graphml), (svg, drawing)):
        if path is not None:
            write(path, text(found, words))
            say(f"{path}")
    if json:
        tell({"kind": "relations", **plain(found, words)})
        return 0
    if edges is not None:
        for line in controls(edges):
            show(line)
    show(tree(found, words))
    return 0


def related(folder: Any, given: dict[str, Any], published: bool, cycles: str) -> tuple[Any, Any]:
    """Find the relations of a folder's survey."""
    from legenda.explain.relations import Relations
    from legenda.tasks.relate_concepts import relate_concepts

    if cycles not in ("merge", "cut"):
        raise BadInput(f"--cycles is merge or cut; it got {cycles!r}.")
    how = Relations(published=published, **given)
    with progress("relations") as step:
        made = relate_concepts(folder, how, cycles=cycles, report=step)  # pyright: ignore
    return made.hierarchy, made


def controls(made: Any) -> list[str]:
    """What chance makes of as frequent units, and what is absorbed."""
    lines = []
    chance = made.edges.chance
    if chance is not None:
        low, high = chance.interval
        lines.append(f"units that do not know of each other would make {chance.edges:.3g} edges [{low:.3g}, {high:.3g}]")  # fmt: skip # noqa: E501
    if made.absorbed is not None:
        own, other = made.absorbed.total, made.absorbed.control
        lines.append(
            f"where a child is on its parent is on in {100 * own.recall:.1f} % of positions "
            f"(pairs as frequent, by lot: {100 * other.recall:.1f} %); {own.absorbed} of "
            f"{own.pairs} children absorb their parent"
        )
    return lines
