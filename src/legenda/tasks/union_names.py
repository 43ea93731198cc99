"""Names of every kind of unit under one rule of silence, brought into an atlas.

Each kind brings its best names, how sure they are, and how sure names of nothing are
(`union_sureness`); one rule at one α says from where on a name is a name (`score.null_names`). In
the atlas the rule names what nobody has named yet, such as the tokens of a codebook, and silences
what was named so and is no surer than nothing. It never names what an earlier study left silent,
since that had reasons of its own, nor touches a name that came of other evidence; a person's name
stands above it. One table says of every kind how silent the rule is on nothing, and how much it
names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from time import perf_counter
from typing import Any

from legenda.atlas.entries import ExplanationEntry, Said, StudyEntry
from legenda.atlas.keys import digest_of, key_of
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_result
from legenda.atlas.writer import Writer
from legenda.errors import BadInput
from legenda.score.null_names import NullNames, Ruled
from legenda.tasks.atlas_models import held, kept, provenance, target_key
from legenda.tasks.union_place import changed, known, line
from legenda.tasks.union_sureness import Candidates


@dataclass(frozen=True, eq=False)
class Kind:
    """Names of one kind, and where their units are.

    Parameters
    ----------
    candidates: the names.
    ids: the rows of the units in the atlas, by number.
    of: the model and what makes its units, as a study's identity has it.
    """

    candidates: Candidates
    ids: Mapping[int, int]
    of: str


def gather_names(
    atlas: Atlas,
    kinds: Mapping[str, Kind] | Callable[[], Mapping[str, Kind]],
    *,
    identity: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
    seed: int = 0,
    device: str = "cpu",
) -> int:
    """Rule over names of some kinds, in an atlas; the number of the study.

    Parameters
    ----------
    atlas: opened to write; a study that it holds is not made again.
    kinds: names by kind of unit, such as token, concept and latent; or what makes them.
    identity: all that they depend on, so that they are made only where they are asked; None: they
        are their own identity.
    alpha: the chance that nothing is named; larger names more, true and false.
    seed: of the folds that judge the rule.
    """
    began = perf_counter()
    if identity is None:
        kinds = kinds() if callable(kinds) else kinds
        identity = {kind: own_identity(one) for kind, one in kinds.items()}
    entry = entry_of(identity, alpha, seed, device)
    there = held(atlas, entry)
    if there is not None:
        return there
    kinds = kinds() if callable(kinds) else kinds
    checked(kinds)
    ruled = NullNames(alpha, seed=seed)({k: one.candidates.sureness for k, one in kinds.items()})
    with kept(atlas, entry, began) as number:
        with Writer(atlas, number) as writer:
            for kind, one in kinds.items():
                for i in range(len(one.candidates.numbers)):
                    if one.candidates.words[i]:
                        writer.add(explanation_of(entry, kind, one, ruled[kind], i))
        for kind, one in kinds.items():
            changed(atlas, judged(atlas, one, ruled[kind]))
            put_result(atlas, number, "nulls", kind, f"One rule for all names: {kind}s", told(ruled[kind], alpha))  # fmt: skip # noqa: E501
    return number


def checked(kinds: Mapping[str, Kind]) -> None:
    """Refuse names of units that the atlas does not hold."""
    for kind, one in kinds.items():
        if strange := set(one.candidates.numbers) - set(one.ids):
            raise BadInput(
                f"names of {kind}s are given to units of the atlas; it holds no {kind} "
                f"{min(strange)} of {one.of}. Gather them first."
            )


def entry_of(identity: Mapping[str, Any], alpha: float, seed: int, device: str) -> StudyEntry:
    """What the study is, and how to make it again."""
    settings = {"kinds": dict(identity), "alpha": alpha, "seed": seed}
    title = "One rule of silence for every kind of name"
    return StudyEntry("names", title, settings, provenance(device), "legenda union ATLAS names")


def own_identity(one: Kind) -> list[str]:
    """What names of one kind are, as content."""
    sure = one.candidates.sureness
    words = key_of([list(some) for some in one.candidates.words])
    return [one.of, one.candidates.by, words, digest_of({"units": sure.units, **sure.nulls})]


def explanation_of(
    entry: StudyEntry, kind: str, one: Kind, ruled: Ruled, i: int
) -> ExplanationEntry:
    """The name of one unit, or why it has none, and other candidates."""
    words, number = one.candidates.words[i], one.candidates.numbers[i]
    said = bool(ruled.named[i])
    value = float(one.candidates.sureness.units[i])
    first = Said(words[0] if said else "", one.candidates.by, abstained="" if said else why(value, ruled))  # fmt: skip # noqa: E501
    others = [Said(word, one.candidates.by) for word in (words[1:] if said else words)]
    facts = {"sureness": value, "least": ruled.threshold, "of": ruled.of}
    return ExplanationEntry(
        target_key(entry, kind, number), f"{kind} {number}", "NullNames", one.ids[number], None,
        None, (first, *others), (), facts,
    )  # fmt: skip


def judged(atlas: Atlas, one: Kind, ruled: Ruled) -> dict[int, dict[str, Any]]:
    """What the rule changes: the unread are named or left silent, and the named may be silenced."""
    found: dict[int, dict[str, Any]] = {}
    sureness = one.candidates.sureness.units
    for i, number in enumerate(one.candidates.numbers):
        unit, value, words = one.ids[number], float(sureness[i]), one.candidates.words[i]
        if not isfinite(value) or not words:
            continue
        facts = {"sureness": value, "least sureness": ruled.threshold}
        there = known(atlas, unit)
        own = there.state == "unread" or (there.state == "named" and same(there.said, words))
        if there.state == "unread" and ruled.named[i]:
            found[unit] = {"state": "named", "said": words[0], "why": "", "facts": facts}
        elif own and not ruled.named[i]:
            found[unit] = {"state": "abstained", "said": "", "why": why(value, ruled), "facts": facts}  # fmt: skip # noqa: E501
        else:
            found[unit] = {"facts": facts}
    return found


def same(said: str, words: Sequence[str]) -> bool:
    """Whether a name is one of the candidates; of "size, small to large" the first part counts."""
    return said.partition(",")[0] in {word.partition(",")[0] for word in words}


def why(value: float, ruled: Ruled) -> str:
    """Why the rule is silent."""
    return (
        f"its name is no surer than names of nothing: {ruled.of} {value:.3g}, and of "
        f"{ruled.silent.n} of nothing a name begins at {ruled.threshold:.3g}"
    )


def told(ruled: Ruled, alpha: float) -> dict[str, Any]:
    """One line of the table over kinds."""
    silent, coverage = ruled.silent, ruled.coverage
    own = line(coverage)
    return {
        "kind": ruled.kind, "of": ruled.of, "threshold": ruled.threshold, "alpha": alpha,
        "silent": silent.value, "low": silent.interval[0], "high": silent.interval[1],
        "n": silent.n, "coverage": own["value"], "coverage_low": own["low"],
        "coverage_high": own["high"], "units": coverage.n, "holds": ruled.holds(alpha),
    }  # fmt: skip
