"""Centred naming: pictures and words meet at their means, and hubs lose what all units give them.

The embeddings of pictures and of words lie in two narrow cones. With μ_x the mean activation and
μ_t the mean word,

    v_i = x_i - μ_x,        t'_w = normalise(t_w - μ_t)                    (1)

x_i being what another way of naming makes of the unit. Then words that are near to every unit are
held back by CSLS (equation (2) of `matching`) or by z-scores (equation (3) there).

References
----------
Bhalla, Oesterling, Srinivas, Calmon, Lakkaraju. Interpreting CLIP with sparse linear concept
embeddings (SpLiCE). NeurIPS 2024. (1), to close the gap of the modalities.
Lample, Conneau, Ranzato, Denoyer, Jégou. Word translation without parallel data. ICLR 2018. CSLS.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.describe.family_naming import FamilyNaming
from legenda.describe.matching import Hubs
from legenda.describe.unit_vectors import UnitEvidence, VanillaNaming


@dataclass(frozen=True)
class CentredNaming:
    """Both sides centred, hubs corrected, `k e -> k e`.

    Parameters
    ----------
    of: where a unit points before its mean is taken away; it has to add the bias.
    hubs: "csls", "zscore", or "none" to centre only.
    near: neighbours of "csls"; more correct for wider hubs, fewer for narrower ones.
    """

    of: VanillaNaming | FamilyNaming = VanillaNaming(add_bias=True)
    hubs: Hubs = "csls"
    near: int = 10

    def directions(self, evidence: UnitEvidence) -> Float[Tensor, "k e"]:
        return self.of.directions(evidence) - evidence.mean  # (1)

    def lexicon(self, words: Float[Tensor, "t e"]) -> Float[Tensor, "t e"]:
        return normalize(words - words.mean(0), dim=1)  # (1)
