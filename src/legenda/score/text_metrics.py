"""Text metrics: how near sentences come to references that people wrote.

BLEU, ROUGE-L, METEOR (`meteor`) and CIDEr are those of well-kept libraries, which `pip install
"legenda[text]"` brings; BERTScore is ours (`bert_score`). All are ×100. With P predictions and
R references, paired by key, every metric gives one number per text, of which the mean is taken;
BLEU alone is one number of the whole corpus, from sums of its counts over texts.

The control pairs each prediction with the references of the next text: what is left then is how
alike all texts are. Intervals resample texts.

Differs from the official code: a prediction is read whole, where theirs keeps its first line;
predictions and references meet by key, where theirs go by position and slip when a file is
missing; BLEU is sacrebleu's, whose tokens and smoothing are written in its signature; CIDEr takes
lower-case words, since the Penn tokenizer needs Java.

References
----------
Papineni, Roukos, Ward, Zhu. BLEU: a method for automatic evaluation of machine translation. ACL
2002. Post. A call for clarity in reporting BLEU scores. WMT 2018. sacrebleu.
Lin. ROUGE: a package for automatic evaluation of summaries. 2004. ROUGE-L.
Vedantam, Zitnick, Parikh. CIDEr: consensus-based image description evaluation. CVPR 2015.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.effect import ends
from legenda.core.explanation import Score
from legenda.core.interval import bootstrap
from legenda.errors import BadInput, Missing, near

WORD = re.compile(r"[a-z0-9]+(?:['’-][a-z0-9]+)*")


@dataclass(frozen=True)
class Texts:
    """Predictions and the references of each, in one order."""

    keys: tuple[str, ...]
    predictions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.keys)

    def mismatched(self) -> "Texts":
        """The control: every prediction beside the references of the next text."""
        return replace(self, references=self.references[1:] + self.references[:1])


TextMetric = Callable[[Texts], Float[Tensor, " t"]]


def aligned(predictions: Mapping[str, str], references: Mapping[str, str | Sequence[str]]) -> Texts:
    """Pairs by key, every text whole on one line; a key without a partner is refused."""
    keys = sorted(predictions)
    for key in sorted(predictions.keys() ^ references.keys()):
        has, lacks = ("prediction", "reference")[:: 1 if key in predictions else -1]
        others = references if key in predictions else predictions
        raise BadInput(
            f"{key!r} has a {has} and no {lacks}.{near(key, others)} Give both, or leave it out."
        )
    held = [[r] if isinstance(r := references[key], str) else list(r) for key in keys]
    empty = [k for k, of in zip(keys, held, strict=True) if not any(map(str.strip, of))]
    if empty or len(keys) < 2:
        raise BadInput(
            f"text metrics compare two texts or more with references that hold words; of "
            f"{len(keys)} texts {len(empty)} have none{f' (first {empty[0]!r})' if empty else ''}. "
            "Give them."
        )
    whole = [tuple(map(lined, of)) for of in held]
    return Texts(tuple(keys), tuple(lined(predictions[key]) for key in keys), tuple(whole))


def scores(texts: Texts, metrics: Mapping[str, TextMetric], seed: int = 0) -> dict[str, Score]:
    """Each metric's mean over texts, its interval, and the same of the control."""
    found = {}
    for name, metric in metrics.items():
        values, control = metric(texts), metric(texts.mismatched())
        found[name] = Score(
            name, float(values.mean()), bootstrap(values, seed), len(texts), True,
            float(control.mean()), bootstrap(control, seed),
        )  # fmt: skip
    return found


def bleu(texts: Texts, seed: int = 0, draws: int = 1000) -> Score:
    """BLEU of the corpus, from counts that are resampled text by text."""
    values = [bleu_of(one, seed, draws) for one in (texts, texts.mismatched())]
    (value, interval), (control, control_interval) = values
    return Score("BLEU", value, interval, len(texts), True, control, control_interval)


def bleu_of(texts: Texts, seed: int, draws: int) -> tuple[float, tuple[float, float]]:
    """BLEU, and its interval."""
    metric = needs("sacrebleu").BLEU(effective_order=False)
    each = []
    for said, of in zip(texts.predictions, texts.references, strict=True):
        one = metric.corpus_score([said], [[reference] for reference in of])
        each.append([*one.counts, *one.totals, one.sys_len, one.ref_len])
    counts, n = torch.tensor(each, dtype=torch.int64), len(each)
    lot = torch.Generator().manual_seed(seed)
    picks = torch.randint(n, (draws, n), generator=lot)
    found = torch.tensor([_bleu(metric, counts[pick]) for pick in picks], dtype=torch.float64)
    return _bleu(metric, counts), ends(found, 0.95)


def _bleu(metric: Any, counts: Tensor) -> float:
    total = counts.sum(0).tolist()
    return float(metric.compute_bleu(total[:4], total[4:8], total[8], total[9]).score)


def rouge_l(texts: Texts) -> Float[Tensor, " t"]:
    """ROUGE-L: F1 of the longest common subsequence with the nearest reference."""
    scorer = needs("rouge_score.rouge_scorer", "rouge-score").RougeScorer(["rougeL"])
    pairs = zip(texts.references, texts.predictions, strict=True)
    return hundred([scorer.score_multi(list(of), said)["rougeL"].fmeasure for of, said in pairs])


def cider(texts: Texts) -> Float[Tensor, " t"]:
    """CIDEr-D: cosine of weighted n-grams, 0 to 1000 (its published scale is 10, ×100)."""
    scorer = needs("pycocoevalcap.cider.cider", "pycocoevalcap").Cider()
    said = {i: [" ".join(words(one))] for i, one in enumerate(texts.predictions)}
    wanted = {i: [" ".join(words(r)) for r in of] for i, of in enumerate(texts.references)}
    return hundred(scorer.compute_score(wanted, said)[1].tolist())


def words(text: str) -> list[str]:
    """Lower-case words and numbers, without punctuation."""
    return WORD.findall(text.lower())


def lined(text: str) -> str:
    """A text of several lines on one: all of it is compared."""
    return " ".join(text.split())


def hundred(values: Sequence[float]) -> Float[Tensor, " t"]:
    """Shares as numbers of 100."""
    return torch.tensor(values, dtype=torch.float64) * 100


def needs(module: str, package: str = "") -> ModuleType:
    """A library of the extra, or the sentence that says how to have it."""
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise Missing(
            f"this text metric needs {package or module}, which is not installed. "
            'Run pip install "legenda[text]".'
        ) from None
