"""`legenda relations ATLAS`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.concept_options import number, positive, seed_of
from legenda.cli.output import progress, say, show, tell, write
from legenda.errors import BadInput, Missing

SCREEN = {"depth": 3, "width": 6, "roots": 12}
"""How much of a tree fits a screen."""
OURS = {".graphml": b"http://graphml.graphdrawing.org", ".svg": b'class="hierarchy"'}
"""What files of ours have in their heads; others are never written over."""


def relations(
    atlas: str,
    /,
    *,
    share: str | None = None,
    sure: str | None = None,
    least: str | None = None,
    published: Annotated[bool, Parameter(negative="")] = False,
    cycles: str = "merge",
    depth: str | None = None,
    width: str | None = None,
    roots: str | None = None,
    graphml: Path | None = None,
    svg: Path | None = None,
    seed: str | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
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
    depth
        Levels of the tree that are drawn.
    width
        Children of a unit that are drawn.
    roots
        Trees that are drawn.
    graphml
        A file to write the whole graph to, for other programs.
    svg
        A file to draw the tree in.
    seed
        Of the control.
    dry_run
        Say what would be compared, and write nothing.
    json
        The hierarchy on stdout, as one JSON line.
    """
    from legenda.show.hierarchy import Limits, plain, tree
    from legenda.tasks.concept_folder import concept_folder

    folder = concept_folder(atlas)
    files = {".graphml": graphml, ".svg": svg}
    for ending, path in files.items():
        if path is not None:
            writable(path, ending)
    settings = {"share": number(share, "share", 1.0), "sure": number(sure, "sure", 1.0)}
    given: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    given |= positive(least=least) | ({} if seed is None else {"seed": seed_of(seed)})
    asked = positive(depth=depth, width=width, roots=roots)
    if dry_run:
        return said_cost(folder, json)
    words = folder.words()
    found, edges = related(folder, given, published, cycles)
    for ending, path in files.items():
        if path is not None:
            write(path, drawn(ending, found, words, Limits(**asked)))
            say(f"{path}")
    if json:
        tell({"kind": "relations", **plain(found, words)})
        return 0
    for line in controls(edges) if edges is not None else ():
        show(line)
    show(tree(found, words, Limits(**{**SCREEN, **asked})))
    return 0


def said_cost(folder: Any, json: bool) -> int:
    """What would be compared: pairs that were counted, and pictures whose codes are read again."""
    survey = folder.survey()
    pairs = (survey.together.nnz - int((survey.active > 0).sum())) // 2
    if json:
        tell({"kind": "cost", "units": len(survey), "pairs": pairs, "pictures": survey.images})
    else:
        show(
            f"{pairs:,} pairs of {len(survey)} units were counted together; the recorded codes of "
            f"{survey.images} pictures are read once, and no model is asked"
        )
    return 0


def writable(path: Path, ending: str) -> None:
    """Refuse a file that cannot be written, or that somebody else wrote."""
    if path.suffix != ending or not path.parent.is_dir():
        raise BadInput(f"{path} cannot be written: name a file ending in {ending} in a folder that is there.")  # fmt: skip # noqa: E501
    if path.exists() and not (path.is_file() and OURS[ending] in path.read_bytes()[:4096]):
        raise BadInput(f"{path} is there, and legenda did not write it. Choose another name.")


def drawn(ending: str, found: Any, words: dict[int, str], limits: Any) -> str:
    """The hierarchy as a graph, whole, or as a picture."""
    from legenda.show.graphml import graphml
    from legenda.show.hierarchy_svg import drawing

    return graphml(found, words) if ending == ".graphml" else drawing(found, words, limits)


def related(folder: Any, given: dict[str, Any], published: bool, cycles: str) -> tuple[Any, Any]:
    """The hierarchy of a folder's survey, and what it was made of; of what ships, it alone."""
    from legenda.explain.relations import Relations
    from legenda.tasks.relate_concepts import relate_concepts

    if cycles not in ("merge", "cut"):
        raise BadInput(f"--cycles is merge or cut; it got {cycles!r}.")
    if folder.name:
        if given or published or cycles != "merge":
            raise BadInput(f"{folder} ships with legenda and is only shown. Survey your own to find others.")  # fmt: skip # noqa: E501
        found = folder.relations()
        if found is None:
            raise Missing(f"no relations of {folder} ship with legenda.")
        return found, None
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
