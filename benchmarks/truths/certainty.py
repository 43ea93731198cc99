"""Certainty against the truth, out of sample: is what answers agree on what can be explained?

A unit is *clear* by `score/clear_factor.py`: by what the encoder says of factors, gated by KL; the
rule was fixed before any certainty was computed. Settings of measured answers were chosen on the
selection of `small_vaes`; the models here chose nothing. Thresholds are found without the model
that they judge, and intervals draw models.
"""

import torch
from torch import Tensor

from benchmarks.table import Measurement, Row, quick
from benchmarks.truths import small_vaes
from benchmarks.truths.certainty_plot import plotted
from benchmarks.truths.latent_units import RIVALS, Judged, Known, published, small, units
from legenda.core.explanation import Score
from legenda.core.interval import wilson
from legenda.score.abstention import CrossValidated
from legenda.score.dci import DCI
from legenda.score.disentanglement_link import DisentanglementLink
from legenda.score.factor_vae_score import FactorVAEScore
from legenda.score.modularity import Modularity
from legenda.score.mutual_information_gap import MutualInformationGap
from legenda.score.ranking import roc_auc
from legenda.score.sap import SeparatedPredictability
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latent_story import NAMED

PAPER = 0.9694
"""The published figure, found and scored on the same units."""


def tensors(found: list[Judged]) -> tuple[Tensor, Tensor, list[str]]:
    """Truth, certainty and model of each unit."""
    clear = torch.tensor([u.clear for u in found])
    sure = torch.tensor([u.certainty for u in found], dtype=torch.float64)
    return clear, sure, [u.model for u in found]


def row(name: str, score: Score, goal: str = "", ok: bool | None = None) -> Row:
    """A score as a row."""
    return Row(name, score.value, score.unit, goal, ok, score.n, score.interval, score.control)


def areas(found: list[Judged], which: str) -> list[Row]:
    """ROC-AUC of certainty and of its rivals."""
    clear, sure, models = tensors(found)
    own = roc_auc(clear, sure, models)
    rows = [row(f"ROC-AUC, {which}", own, f">{PAPER}", own.value > PAPER)]
    for name, rival in RIVALS.items():
        values = torch.tensor([rival(u) for u in found], dtype=torch.float64)
        rows.append(row(f"ROC-AUC of {name}, {which}", roc_auc(clear, values, models)))
    return rows


def held_out(found: list[Judged]) -> list[Row]:
    """What thresholds do on models that did not choose them; and the published number."""
    report = CrossValidated()(*tensors(found))
    names = ("PR-AUC", "AURC", "balanced accuracy", "precision", "recall", "F1", "coverage")
    rows = [row(f"{name}, held out", report.scores[name]) for name in names]
    own = report.in_sample
    rows.append(Row("the same as published, in sample", own.value, "", "", None, len(found), own.chance_interval, own.chance))  # fmt: skip # noqa: E501
    return rows


def names(found: list[Judged]) -> list[Row]:
    """Whether what was named is the factor, and the right way round; and the coverage."""
    judged = [u.right for u in found if u.right is not None]
    right = sum(judged)
    factor = [u for u in found if u.clear]
    named = sum(u.story.verdict == NAMED for u in factor)
    blur = [u for u in found if u.active and not u.clear]
    false = sum(u.story.verdict == NAMED for u in blur)
    checks = [u.story.checked for u in found if u.story.checked is not None]
    holds = sum(c.holds for c in checks)
    picked, picks = sum(c.picked for c in checks), sum(c.picks for c in checks)
    pairs, tried = sum(c.pairs for c in checks), LatentSettings().fresh * len(checks)
    return [
        Row(
            "attribute and direction right, of named units with a factor",
            right / max(1, len(judged)),
            "",
            "",
            None,
            len(judged),
            wilson(right, len(judged)),
        ),  # fmt: skip # noqa: E501
        Row(
            "units with a factor that are named",
            named / max(1, len(factor)),
            "",
            "",
            None,
            len(factor),
            wilson(named, len(factor)),
        ),  # fmt: skip # noqa: E501
        Row(
            "active units without one that are named",
            false / max(1, len(blur)),
            "",
            "",
            None,
            len(blur),
            wilson(false, len(blur)),
        ),  # fmt: skip # noqa: E501
        Row(
            "named units that hold on fresh rows",
            holds / max(1, len(checks)),
            "",
            "",
            None,
            len(checks),
            wilson(holds, len(checks)),
        ),  # fmt: skip # noqa: E501
        Row(
            "right sheet picked among four from the sentence",
            picked / max(1, picks),
            "",
            "",
            None,
            picks,
            wilson(picked, picks),
            0.25,
        ),  # fmt: skip # noqa: E501
        Row(
            "true claim taken, both false twins turned down",
            pairs / max(1, tried),
            "",
            "",
            None,
            tried,
            wilson(pairs, tried),
        ),  # fmt: skip # noqa: E501
    ]


def by_factor(found: list[Judged]) -> list[Row]:
    """Of each factor, how many of its units are named, and how many of these rightly."""
    rows = []
    for factor in sorted({u.factor for u in found if u.factor}):
        own = [u for u in found if u.factor == factor]
        named = [u for u in own if u.story.verdict == NAMED]
        right = sum(bool(u.right) for u in named)
        rows.append(Row(f"named, of units of {factor}", len(named) / len(own), "", "", None, len(own), wilson(len(named), len(own))))  # fmt: skip # noqa: E501
        rows.append(Row(f"named rightly, of these, {factor}", right / max(1, len(named)), "", "", None, len(named), wilson(right, len(named))))  # fmt: skip # noqa: E501
    return rows


def link(models: list[Known], found: list[Judged]) -> list[Row]:
    """Whether models that are better disentangled are explained more surely."""
    sure = {m.name: [u.certainty for u in found if u.model == m.name and u.active] for m in models}
    kept = [m for m in models if sure[m.name]]
    mean = torch.tensor([sum(sure[m.name]) / len(sure[m.name]) for m in kept], dtype=torch.float64)
    measures = {
        "MIG": lambda m: MutualInformationGap()(m.codes, m.factors, m.world.factors).score.value,
        "DCI": lambda m: DCI()(m.codes, m.factors, m.world.factors).disentanglement.value,
        "SAP": lambda m: SeparatedPredictability()(m.codes, m.factors, m.world.factors).score.value,
        "modularity": lambda m: Modularity()(m.codes, m.factors, m.world.factors).modularity.value,
        "FactorVAE": lambda m: FactorVAEScore()(m.codes, m.factors, m.world.factors).score.value,
    }
    rows, points = [], {}
    worlds = [m.world.name if m.codes.shape[1] and "dsprites" not in m.name else "dsprites" for m in kept]  # fmt: skip # noqa: E501
    for name, measure in measures.items():
        values = torch.tensor([measure(m) for m in kept], dtype=torch.float64)
        tied = DisentanglementLink()(values, mean, worlds)
        rows.append(row(f"Spearman of {name} and mean certainty, p {tied.p:.4f}", tied.score))
        if tied.within is not None:
            rows.append(row(f"the same within worlds, p {tied.within_p:.4f}", tied.within))
        points[name] = values
    plotted(points, mean, worlds)
    return rows


def measure() -> Measurement:
    """All rows; the quick form takes two models and the published ones that are there."""
    which = small_vaes.TEST[:2] if quick() else small_vaes.TEST
    models = small(which) + published()
    found = units(models)
    active = [u for u in found if u.active]
    clear = sum(u.clear for u in active)
    rows = [*areas(active, "active units"), *held_out(active), *names(found), *by_factor(active)]
    rows += [areas(found, "all units")[0], *([] if quick() else link(models, found))]
    rows += [
        Row("active units", len(active), "", ">=200", len(active) >= 200),
        Row("of them clear", clear, ""),
        Row("models", len(models), "", ">=20", len(models) >= 20),
    ]
    return Measurement(
        "certainty", rows, [0, 1, 2],
        (
            "the aim is the published figure, which was found and scored on the same units",
            f"{len(which)} small VAEs of our own and {len(models) - len(which)} published of dSprites",
        ),
    )  # fmt: skip
