"""The tokens of a model, brought into an atlas: importance, names, exemplars, company, and proof.

Labelled pictures are read as tokens, and a concept model says how much each position matters for
the label of its picture (`tasks.tokens`). Every entry of the codebook becomes a unit: dead where
no picture holds it, named where what is around its most important cells has a word that stands
out. Curves say whether judges that never saw a token miss those that matter; an audit, which
tokens went with a group; an edit, what a picture becomes with other tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from legenda.atlas.entries import StudyEntry
from legenda.atlas.keys import key_of
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_result
from legenda.concepts.extractors import CNN, Extractor
from legenda.concepts.model import ConceptModel
from legenda.corpus.labels import Labels
from legenda.errors import BadInput, Unsupported
from legenda.explain.concept_tokens import ConceptTokens
from legenda.explain.token_importance import TokenImportance
from legenda.models.opening import open_model
from legenda.models.vq import VQ
from legenda.score.judges import Judge
from legenda.tasks.atlas_models import held, kept, model_entry, provenance
from legenda.tasks.atlas_token_results import audit_of, edit_of, faithfulness
from legenda.tasks.atlas_token_units import Tokens, put_tokens
from legenda.tasks.audit import audited
from legenda.tasks.audit_groups import Groups
from legenda.tasks.bench import Edited
from legenda.tasks.run_identity import content, dictionary_digest
from legenda.tasks.shelf import Shelf
from legenda.tasks.token_cards import by_importance, cards, exemplars
from legenda.tasks.token_naming import TokenNaming, name_tokens
from legenda.tasks.token_survey import content as content_of
from legenda.tasks.token_survey import survey_importance, survey_tokens
from legenda.tasks.tokens import check, known, learned, tally

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TokenSettings:
    """How much is made of the tokens of a model.

    Parameters
    ----------
    drawn: tokens that are decoded, the most important; more take longer.
    named: of these, how many are named where names are asked for.
    exemplars: pictures of each token; more show more of where it stands.
    pictures: that are read, evenly apart, beside the exemplars.
    masked: pictures that the curves are of; more make them surer.
    counts: positions that are taken away.
    draws: noise by which importance is measured; more make it steadier, and take longer.
    top: positions of a picture that count as important.
    epochs: of an audit's training, and of a concept model that is learned; None: as many as usual.
    seed: of everything random.
    """

    drawn: int = 512
    named: int = 512
    exemplars: int = 4
    pictures: int = 48
    masked: int = 96
    counts: tuple[int, ...] = (8, 16, 32, 64, 128)
    draws: int = 20
    top: int = 20
    epochs: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what shows nothing."""
        least = {"drawn": 1, "named": 0, "exemplars": 1, "pictures": 0, "masked": 2, "draws": 1, "top": 1}  # fmt: skip # noqa: E501
        for name, few in least.items():
            if getattr(self, name) < few:
                raise BadInput(f"{name} of a survey of tokens is {few} or more; it got {getattr(self, name)}.")  # fmt: skip # noqa: E501


QUICK = TokenSettings(named=128, draws=4, masked=48, epochs=2)
"""What takes half a minute."""


@dataclass(frozen=True)
class Proofs:
    """What is asked of the tokens beside their cards, all of it optional.

    Parameters
    ----------
    judges, names: classifiers of pictures that know no token, and what their classes are called.
    groups: pictures of two groups, to be audited.
    edit: makes an edit of a picture, and `edited` stands for it in the settings.
    """

    judges: Mapping[str, Judge] = field(default_factory=dict)
    names: Sequence[str] = ()
    groups: Groups | None = None
    edit: Callable[[VQ, ConceptModel], Edited] | None = None
    edited: str = ""


def gather_tokens(
    atlas: Atlas,
    model_ref: str,
    labels: Labels,
    *,
    concepts: ConceptModel | None = None,
    extractor: Extractor = CNN(),  # noqa: B008 -- frozen
    naming: TokenNaming | None = None,
    proofs: Proofs | None = None,
    settings: TokenSettings | None = None,
    work: Path | None = None,
    device: str = "cpu",
    report: Report = lambda *_: None,
) -> int:
    """Survey the tokens of a model into an atlas; the number of the study.

    Parameters
    ----------
    atlas: opened to write; a study that it holds is not made again.
    model_ref, labels: of a model with a codebook, and pictures with what each shows.
    concepts: the concept model that is asked; None trains `extractor` on the labels.
    naming: by what tokens are named; None names none.
    proofs: curves, an audit and an edit.
    work: where pieces are kept, so that one that was killed goes on; None keeps none.
    report: progress.
    """
    began, how, proofs = perf_counter(), settings or TokenSettings(), proofs or Proofs()
    vq = open_model(model_ref, device=device)
    if not isinstance(vq, VQ):
        raise Unsupported(
            "a survey of tokens", "a model with a codebook", model_ref,
            "Gather latents of a VAE, or concepts of an encoder.",
        )  # fmt: skip
    check(vq, labels, concepts, ConceptTokens(top=how.top), how.epochs)
    entry = entry_of(vq, labels, concepts or extractor, naming, proofs, how, device)
    there = held(atlas, entry)
    if there is not None:
        return there
    found = tokens_of(vq, labels, concepts, extractor, naming, how, work, report)
    results = results_of(found, proofs, how, work, report)
    with kept(atlas, entry, began) as number:
        ids = put_tokens(atlas, number, entry, found, how.pictures)
        for kind, key, title, made in results:
            put_result(atlas, number, kind, key, title, made(atlas, ids))
    return number


def entry_of(
    vq: VQ, labels: Labels, asked: Any, naming: TokenNaming | None, proofs: Proofs,
    how: TokenSettings, device: str,
) -> StudyEntry:  # fmt: skip
    """What the study is, and how to make it again."""
    about = model_entry(vq)
    pictures = key_of([[content_of(one.image), one.label] for one in labels.images])
    groups = proofs.groups
    audit = None if groups is None else key_of([[content_of(o.image), o.label] for o in groups.labels.images])  # fmt: skip # noqa: E501
    identity = {
        "model": about.ref, "weights": about.digest, "dictionary": dictionary_digest(vq.codebook),
        "pictures": pictures, "asked": key_of(content(asked)),
        "concept model": getattr(asked, "ref", repr(asked)),
        "named by": None if naming is None else [naming.model.ref, repr(naming)],
        "judges": {name: key_of(content(judge)) for name, judge in proofs.judges.items()},
        "audit": audit, "edit": proofs.edited, **asdict(how),
    }  # fmt: skip
    command = f"legenda gather ATLAS tokens --model={about.ref}"
    return StudyEntry("tokens", f"The tokens of {about.ref}", identity, provenance(device), command)


def tokens_of(
    vq: VQ, labels: Labels, concepts: ConceptModel | None, extractor: Extractor,
    naming: TokenNaming | None, how: TokenSettings, work: Path | None, report: Report,
) -> Tokens:  # fmt: skip
    """Everything that is known of the tokens of a model over labelled pictures."""
    shelf, lost = Shelf(work), []
    survey = survey_tokens(vq, labels, shelf, report, lost.append)
    if concepts is None:
        model, accuracy, _ = learned(vq, survey, extractor, how.epochs, how.seed, work, report)
    else:
        model, (accuracy, _) = concepts, known(concepts, survey)
    importance = TokenImportance(draws=how.draws, seed=how.seed)
    scores = survey_importance(model, survey, importance, shelf, report)
    counts = tally(vq, survey, scores, how.top)
    order = by_importance(counts)
    drawn = [t for t in order if int(counts.cells[:, t].sum())][: how.drawn]
    made = cards(vq, survey, scores, counts, drawn=drawn, seed=how.seed, shelf=shelf, report=report)
    called = None
    if naming is not None and drawn[: how.named]:
        called = name_tokens(vq, survey, scores, drawn[: how.named], naming, shelf, report)
    best = exemplars(survey, scores, how.exemplars)
    return Tokens(vq, model, survey, scores, made, called, best, accuracy, tuple(lost))


def results_of(
    found: Tokens, proofs: Proofs, how: TokenSettings, work: Path | None, report: Report
) -> list[tuple[str, str, str, Callable[[Atlas, Sequence[int]], dict[str, Any]]]]:
    """Curves, audit and edit: kind, key, title, and what makes the content once units are there."""
    made: list[Any] = []
    if proofs.judges:
        report("masking tokens", 0, 1)
        curves = faithfulness(found, proofs.judges, proofs.names, how)
        title = f"Masking the tokens that matter, {found.vq.name}"
        made.append(("faithfulness", "tis masking", title, lambda atlas, ids: curves))
    if proofs.groups is not None:
        audit = audited(
            found.vq, proofs.groups, work, how=ConceptTokens(top=5, keep=10), epochs=how.epochs,
            importance=TokenImportance(draws=how.draws, seed=how.seed), seed=how.seed,
            report=report,
        )  # fmt: skip
        title = f"Tokens that {' and '.join(audit.groups)} are told by, though they say nothing"
        made.append(("audit", "shortcut", title, lambda atlas, ids: audit_of(audit, ids)))
    if proofs.edit is not None:
        report("editing", 0, 1)
        edit = proofs.edit(found.vq, found.model)
        title = f"A picture, {edit.edit}"
        made.append(("edit", edit.edit, title, lambda atlas, ids: edit_of(atlas, edit, proofs.edited)))  # fmt: skip # noqa: E501
    return made
