"""Choosing among names: the plainest of words that score alike, and only words that tell.

Both come after a unit was named (`naming`), and may be left out.
"""

from collections.abc import Sequence
from dataclasses import replace

from legenda.describe.naming import Name
from legenda.describe.vocabulary import Vocabulary


def simplest(names: tuple[Name, ...], vocabulary: Vocabulary, tie: float) -> tuple[Name, ...]:
    """Of the candidates that score within `tie` of the best, the earliest word of the vocabulary.

    A vocabulary begins with its most everyday words, and who cannot tell "star" from "movie star"
    should say the less; it has to pass (1), too. A larger tie takes plainer words.
    """
    place = {word: i for i, word in enumerate(vocabulary.words)}
    found = []
    for name in names:
        if name.word is None or name.word not in place:
            found.append(name)
            continue
        enough = max(name.candidates[0][1] - tie, name.null if name.null is not None else -2.0)
        near = [(place[word], word, s) for word, s in name.candidates if s >= enough]
        _, word, score = min(near, default=(0, name.word, name.score))
        if word == name.word:
            found.append(name)
            continue
        gap = name.candidates[0][1] - score
        reason = f"{name.candidates[0][0]!r} is nearer by {gap:.2g}, and less everyday"
        found.append(replace(name, word=word, score=score, margin=-gap, reason=reason))
    return tuple(found)


def sure(names: Sequence[Name], least: float) -> tuple[Name, ...]:
    """Names whose word tells its patches at least so well, surely; others are withheld.

    `least` is for the lower end of the area's interval. A name that is kept by a check looks a
    little better in that check than it is: check it again on other pictures.
    """
    found = []
    for name in names:
        check = name.check
        if name.word is None or check is None or check.interval[0] >= least:
            found.append(name)
            continue
        low, high = check.interval
        known = check.auroc == check.auroc
        area = f"AUROC {check.auroc:.2f} [{low:.2f}, {high:.2f}]" if known else "it was on at none"
        why = f"{name.word!r} does not surely tell its patches on held-out pictures: {area}"
        found.append(replace(name, word=None, reason=why))
    return tuple(found)
