"""Find the relations of the units of a concept folder, and make a hierarchy of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from legenda.core.codes import Codes
from legenda.corpus.coded_shard import unpacked
from legenda.corpus.record import Record
from legenda.corpus.unit_survey import UnitSurvey
from legenda.explain.absorption import Absorption
from legenda.explain.absorption import Report as Absorbed
from legenda.explain.edges import Edges
from legenda.explain.hierarchy import Hierarchy, hierarchy
from legenda.explain.part_of import Kinds, SupportPairs
from legenda.explain.relations import Relations
from legenda.tasks.concept_folder import SCHEMA, ConceptFolder

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Related:
    """The edges that were found, the hierarchy made of them, and what absorbs what."""

    edges: Edges
    hierarchy: Hierarchy
    absorbed: Absorbed | None


def relate_concepts(
    folder: ConceptFolder,
    how: Relations,
    kinds: Kinds | None = None,
    cycles: Literal["merge", "cut"] = "merge",
    report: Report = lambda what, done, total: None,
) -> Related:
    """Edges of the survey, told apart by where units are on, and written into the folder."""
    dictionary = folder.dictionary()[0] if folder.fitted else None
    survey = folder.survey(None if dictionary is None else len(dictionary.atoms))
    edges = how(survey)
    if len(edges) and survey.grid is not None and (folder.path / "survey").is_dir():
        pairs = SupportPairs(edges.pairs, len(survey), survey.grid)
        record = Record(folder.path / "survey")
        for i in range(len(record)):
            for codes in recorded(record, i, survey):
                pairs.update(codes)
            report("comparing", i + 1, len(record))
        edges = edges.typed((kinds or Kinds())(pairs.result()))
    found = hierarchy(edges, cycles)
    absorbed = None
    if dictionary is not None and len(edges):
        absorbed = Absorption(seed=how.seed)(survey, dictionary.atoms, edges.pairs)
    folder.write("relations.json", {"schema": SCHEMA, **found.plain()})
    return Related(edges, found, absorbed)


def recorded(record: Record, i: int, survey: UnitSurvey) -> Iterator[Codes]:
    """The codes of file i of a survey, some pictures at a time, read again from disk."""
    h, w = survey.grid or (1, 1)
    for shard in unpacked(record.read(i)):
        codes, mask = shard.codes(len(survey))
        if len(mask) and mask.shape[1] == h * w:
            yield codes
