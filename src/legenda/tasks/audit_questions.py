"""What an audit asks of the tokens of images, and what they answer."""

from dataclasses import dataclass

import torch

from legenda.audit.counterfactual import Counterfactual
from legenda.audit.difference import Differing, DifferingTokens
from legenda.audit.lean import GroupLean, Lean
from legenda.audit.shortcut import Shortcuts, ShortcutTokens
from legenda.concepts.model import ConceptModel
from legenda.explain.concept_tokens import RankedTokens
from legenda.tasks.audit_findings import Flagged, Margin, Read, proved
from legenda.types import Tokens

Lists = tuple[RankedTokens, RankedTokens]


@dataclass(frozen=True, eq=False)
class Answers:
    """What was found; None for what the images cannot say.

    Parameters
    ----------
    lean: of neutral images, if there are any that can say it; `silent` is why they cannot.
    shortcuts, flagged: in reference images, if there are any; flagged tokens with their proof.
    differing: between the training images, if these are all there is.
    """

    lean: Lean | None
    silent: str
    shortcuts: Shortcuts | None
    flagged: tuple[Flagged, ...]
    differing: Differing | None


@dataclass(frozen=True)
class Questions:
    """How two groups are asked about: at one rate of false ones, and from one seed."""

    groups: tuple[str, str]
    fdr: float
    seed: int

    def __post_init__(self) -> None:
        self.settings(Answers(None, "", None, (), None))  # a bad rate is refused before any work

    @property
    def lean(self) -> GroupLean:
        return GroupLean(self.groups, seed=self.seed)

    @property
    def shortcuts(self) -> ShortcutTokens:
        return ShortcutTokens(fdr=self.fdr, seed=self.seed)

    @property
    def difference(self) -> DifferingTokens:
        return DifferingTokens(fdr=self.fdr, seed=self.seed)

    @property
    def proof(self) -> Counterfactual:
        return Counterfactual(seed=self.seed)

    def answered(
        self, model: ConceptModel, training: Read, reference: Read, neutral: Read, lists: Lists
    ) -> Answers:
        """Every question that there are images for."""
        lean, silent, found, flagged, differing = None, "", None, (), None
        if len(neutral.tokens):
            a, b = (one.tokens.tolist() for one in lists)
            silent = why_silent(self.groups, neutral.tokens, set(a), set(b))
            lean = None if silent else self.lean(neutral.tokens, a, b)
        if len(reference.tokens):
            margins = (margin := Margin(model, self.groups))(reference.tokens)
            found = self.shortcuts(*reference, margins, self.groups, training)
            flagged = proved(found, reference, training, margins, margin, self.proof)
        if not len(neutral.tokens) and not len(reference.tokens):
            differing = self.difference(*training, self.groups)
        return Answers(lean, silent, found, flagged, differing)

    def settings(self, answers: Answers) -> dict[str, str]:
        """How the questions that were answered were asked."""
        asked = {
            "lean": (answers.lean, self.lean), "shortcuts": (answers.shortcuts, self.shortcuts),
            "proof": (answers.shortcuts, self.proof),
            "difference": (answers.differing, self.difference),
        }  # fmt: skip
        return {name: repr(how) for name, (answer, how) in asked.items() if answer is not None}


def why_silent(groups: tuple[str, str], tokens: Tokens, a: set[int], b: set[int]) -> str:
    """Why neutral images cannot say whose tokens they hold; nothing if they can."""
    named = f"the lists of {groups[0]!r} and {groups[1]!r}"
    left, kinds = len(a ^ b), tokens.unique()
    if a <= b or b <= a:
        return (
            f"{named} share {len(a & b)} tokens, which leaves {len(a - b)} and {len(b - a)}. "
            "Longer lists may tell the groups apart."
        )
    if not torch.isin(kinds, torch.tensor(sorted(a ^ b))).any():
        return f"none of the {left} tokens that are in one of {named} only occurs in them."
    if len(kinds) < left:
        return (
            f"its control draws {left} tokens, as many as are in one of {named} only, and "
            f"{len(kinds)} occur in them. Shorter lists, or more images, would do."
        )
    return ""
