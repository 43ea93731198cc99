"""The concepts of a folder, brought into an atlas: names, exemplars with maps, and a hierarchy.

A concept folder (`tasks.concept_folder`) holds a dictionary, a survey, names and relations. Here
its units get the pictures that turn them on, each with the map of where, and what every picture
is made of. The certainty of a name is how far it tells its own patches from others on pictures
that were held out: with A the area under the ROC curve,

    certainty = max(0, 2 A - 1)                                           (1)

which is 0 where the word tells nothing, and 1 where it tells all.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from time import perf_counter
from typing import Any, NamedTuple

from legenda.atlas.entries import ExplanationEntry, RelationEntry, Said, StudyEntry, UnitEntry
from legenda.atlas.keys import key_of
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_model, put_relations, put_set, put_units
from legenda.atlas.writer import Writer
from legenda.core.explanation import Score
from legenda.corpus.pictures import Pictures, from_source
from legenda.corpus.unit_survey import UnitSurvey
from legenda.describe.naming import Name
from legenda.errors import BadInput
from legenda.explain.edges import Edge
from legenda.explain.hierarchy import Hierarchy
from legenda.tasks.atlas_concept_pictures import Looked, Shown, corpus_of, looked, put_looked
from legenda.tasks.atlas_models import held, kept, model_entry, provenance, set_entry, target_key
from legenda.tasks.atlas_pictures import picture_entry
from legenda.tasks.concept_folder import ConceptFolder, concept_folder
from legenda.tasks.reading import Reader
from legenda.tasks.run_identity import dictionary_digest

Report = Callable[[str, int, int], None]
CHECK, OTHERS = "name check", 5
"""What the score of a name is called; and candidates that are kept of each."""


@dataclass(frozen=True)
class ConceptSettings:
    """How much of a concept folder is brought.

    Parameters
    ----------
    exemplars: pictures of each unit, the strongest first; more show more of what it is.
    unnamed: the same of each unit without a name; fewer are quicker.
    pictures: of the corpus, evenly apart, that are read beside them.
    """

    exemplars: int = 4
    unnamed: int = 4
    pictures: int = 24

    def __post_init__(self) -> None:
        """Refuse less than nothing."""
        if self.exemplars < 1 or min(self.unnamed, self.pictures) < 0:
            raise BadInput(
                "concepts are shown by one exemplar each or more, those without a name by 0 or "
                f"more, and read in 0 pictures or more; it got exemplars={self.exemplars}, "
                f"unnamed={self.unnamed} and pictures={self.pictures}."
            )


class Known(NamedTuple):
    """What is in the folder."""

    folder: ConceptFolder
    reader: Reader
    names: dict[int, Name]


def gather_concepts(
    atlas: Atlas,
    folder_ref: str = "zoo:scenes",
    *,
    images: str | Pictures | None = None,
    settings: ConceptSettings | None = None,
    shown: Sequence[Shown] = (),
    device: str = "cpu",
    report: Report = lambda *_: None,
) -> int:
    """Bring the concepts of a folder into an atlas; the number of the study.

    Parameters
    ----------
    atlas: opened to write; a study that it holds is not made again.
    folder_ref: a folder of `legenda fit`, or a model of the zoo whose concepts ship.
    images: where the pictures of its survey are now; None: where they were.
    settings: how much of it.
    shown: pictures that are read, beside those of the corpus.
    report: progress.
    """
    began, how = perf_counter(), settings or ConceptSettings()
    folder = concept_folder(folder_ref)
    reader = Reader.of(folder_ref, device)
    known = Known(folder, reader, {name.unit: name for name in reader.names})
    corpus = from_source(images) if images is not None else corpus_of(folder)
    entry = entry_of(known, corpus, how, shown, device)
    there = held(atlas, entry)
    if there is not None:
        return there
    seen = looked(folder, reader, corpus, how, shown, report)
    with kept(atlas, entry, began) as number:
        write(atlas, number, entry, known, seen)
    return number


def entry_of(
    known: Known, corpus: Pictures | None, how: ConceptSettings, shown: Sequence[Shown], device: str
) -> StudyEntry:
    """What the study is, and how to make it again."""
    reader, about = known.reader, model_entry(getattr(known.reader.model, "dual", known.reader.model))  # fmt: skip # noqa: E501
    said = [[n.unit, n.word, n.reason, n.by] for n in reader.names]
    shown_as = [picture_entry(*one) for one in shown]
    identity = {
        "model": str(reader.model.ref), "weights": about.digest, "names": said,
        "dictionary": dictionary_digest(reader.dictionary),
        "pictures": corpus.digest if corpus is not None else "none",
        "shown": [[one.source, key_of(one.data.hex())] for one in shown_as],
        **asdict(how),
    }  # fmt: skip
    command = f"legenda gather ATLAS concepts --model={known.folder}"
    return StudyEntry("concepts", f"The concepts of {known.folder}", identity, provenance(device), command)  # fmt: skip # noqa: E501


def write(
    atlas: Atlas, number: int, entry: StudyEntry, known: Known, seen: Looked
) -> None:  # fmt: skip
    """Everything that the folder holds, inside a transaction."""
    reader = known.reader
    model: Any = reader.model
    base, _, site = str(model.ref).rpartition("@")
    row = put_model(atlas, model_entry(getattr(model, "dual", model), site, base or str(model.ref)))
    _, about = known.folder.dictionary()
    facts = {name: value for name, value in about.figures.items() if isfinite(value)}
    card: dict[str, Any] = {**facts, "rows": about.rows, "data": about.data}
    card["pictures"] = known.folder.origin.images
    set_id = put_set(atlas, set_entry(row, reader.dictionary, "concept", card))
    count = len(reader.dictionary.atoms)
    units = [unit_of(set_id, i, known.names.get(i), reader.survey) for i in range(count)]
    ids = put_units(atlas, units)
    with Writer(atlas, number) as writer:
        for i, name in known.names.items():
            writer.add(explanation_of(entry, ids[i], name))
    if reader.relations is not None:
        put_relations(atlas, number, relations_of(reader.relations, ids, reader.survey))
    put_looked(atlas, set_id, ids, seen)


def unit_of(set_id: int, i: int, name: Name | None, survey: UnitSurvey | None) -> UnitEntry:
    """One unit, in one line."""
    facts: dict[str, Any] = {}
    dead = False
    if survey is not None:
        dead = not survey.active[i]
        low, high = survey.image_interval(i)
        facts |= {"fires": int(survey.active[i]), "images": survey.image_share(i)}
        facts |= {"images_low": low, "images_high": high, "images_n": survey.images}
    state, why = "unread", ""
    if dead:
        state, why = "dead", "it was on at no position of the survey"
    elif name is not None:
        state, why = ("named", "") if name.word else ("abstained", name.reason or "no word stands out")  # fmt: skip # noqa: E501
    sure, score = (None, None, None), None
    check = None if name is None or not name.word else name.check
    if check is not None and isfinite(check.auroc):
        sure, score, facts["score"] = certainty(check.auroc, check.interval), check.auroc, CHECK
        facts["certainty"] = "2 AUROC - 1 of the word on held-out patches"
    word = (name.word or "") if name is not None and state == "named" else ""
    return UnitEntry(set_id, i, f"concept {i}", state, word, why, *sure, score, facts)


def certainty(area: float, interval: tuple[float, float]) -> tuple[float, float, float]:
    """Equation (1), with its interval."""
    value, low, high = (max(0.0, 2 * v - 1) for v in (area, *interval))
    return value, low, high


def explanation_of(entry: StudyEntry, unit: int, name: Name) -> ExplanationEntry:
    """The name of one unit, other candidates, and its check beside controls."""
    said = [Said(name.word or "", name.by, abstained="" if name.word else name.reason)]
    scores: tuple[Score, ...] = ()
    check = name.check
    if name.word and check is not None and isfinite(check.auroc):
        said = [Said(name.word, name.by, *certainty(check.auroc, check.interval))]
        scores = (Score(CHECK, check.auroc, check.interval, check.images, True, check.random, None, "AUROC"),)  # fmt: skip # noqa: E501
    others = [word for word, _ in name.candidates if word != name.word][:OTHERS]
    facts: dict[str, Any] = {"likeness": name.score, "margin": name.margin}
    facts |= {} if name.null is None else {"least": name.null}
    facts = {k: v for k, v in facts.items() if isfinite(v)}
    if scores and check is not None and isfinite(check.shuffled):
        facts["of another unit"] = check.shuffled
    return ExplanationEntry(
        target_key(entry, "name", name.unit), f"concept {name.unit}", "Naming", unit, None, None,
        (*said, *[Said(word, name.by) for word in others]), scores, facts,
    )  # fmt: skip


def relations_of(
    found: Hierarchy, ids: Sequence[int], survey: UnitSurvey | None
) -> list[RelationEntry]:
    """Edges of the hierarchy; units that are merged in it are the same."""
    made = [relation_of(edge, found, ids) for edge in found.edges]
    for node, merged in found.synonyms.items():
        facts = {"why": "each is above the other"}
        made += [RelationEntry("same", ids[one], ids[node], 1.0, found.active[node], facts=facts) for one in merged]  # fmt: skip # noqa: E501
    return made


def relation_of(edge: Edge, found: Hierarchy, ids: Sequence[int]) -> RelationEntry:
    """One edge: how often the parent is on where the child is, beside how often it is anywhere."""
    child, parent, both = ids[edge.child], ids[edge.parent], edge.together
    if edge.kind not in ("is-a", "part-of"):
        return RelationEntry("co-occurs", child, parent, edge.lift, both, *edge.lift_interval, 1.0, {"measure": "lift"})  # fmt: skip # noqa: E501
    anywhere = found.active[edge.parent] / max(1, found.positions)
    facts = {"lift": edge.lift, "weighted": edge.weighted, "measure": "share of positions"}
    low, high = min(edge.interval[0], edge.share), max(edge.interval[1], edge.share)
    return RelationEntry(edge.kind, child, parent, edge.share, found.active[edge.child], low, high, anywhere, facts)  # fmt: skip # noqa: E501
