"""k-means as a dictionary: a position is written as the centre that lies nearest to it.

    i(x) = argmin_k ‖x - c_k‖²                                            (1)
    c_k  = the mean of the rows whose centre it is                        (2)

One unit is on at each position. This is a codebook whose entries nobody trained into a model.

References
----------
Lloyd. Least squares quantization in PCM. IEEE Transactions on Information Theory 1982. (1), (2).
Arthur, Vassilvitskii. k-means++: the advantages of careful seeding. SODA 2007. Where it begins.
Sculley. Web-scale k-means clustering. WWW 2010. (2) by small batches of rows.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from legenda.dictionaries.autoencoder import Rows, checked_rows
from legenda.dictionaries.linear import LinearDictionary, Nearest
from legenda.errors import BadInput


@dataclass(frozen=True)
class KMeans:
    """Centres by mini-batches, from the best of a few beginnings, `r d -> k d`.

    Parameters
    ----------
    units: how many centres; more lie nearer to the rows.
    weight: what the unit that is on weighs, `one`, its `projection` or its `cosine`.
    batch: rows of a step; larger moves the centres more steadily.
    passes: most passes over the rows; more let the centres settle.
    tries: beginnings, of which the best is kept; more find a better one.
    """

    units: int
    weight: Literal["one", "projection", "cosine"] = "one"
    batch: int = 4096
    passes: int = 100
    tries: int = 3

    def __post_init__(self):
        if min(self.units, self.batch, self.passes, self.tries) < 1:
            raise BadInput(
                f"KMeans needs a unit, a batch, a pass and a try or more; it got units="
                f"{self.units}, batch={self.batch}, passes={self.passes}, tries={self.tries}. "
                "Change these."
            )
        Nearest(self.weight)

    def fit(self, rows: Rows, seed: int = 0) -> LinearDictionary:
        """Equations (1) and (2), until the centres settle."""
        from sklearn.cluster import MiniBatchKMeans

        rows = checked_rows(rows, self.units)
        settings: dict[str, Any] = {
            "batch_size": self.batch, "max_iter": self.passes, "n_init": self.tries,
        }  # fmt: skip
        fitted = MiniBatchKMeans(self.units, random_state=seed, **settings)
        fitted.fit(rows.detach().cpu().double().numpy())
        centres = torch.from_numpy(fitted.cluster_centers_).to(rows)
        nothing = torch.zeros_like(centres[0])
        return LinearDictionary(centres, nothing, Nearest(self.weight), "k-means", self)
