"""The tensor vocabulary: one letter per axis, the same letter everywhere.

b  batch          n  position (token or patch)    d  activation width
k  unit           j  slot: a unit that is on      e  joint embedding
c h w  image      m  exemplar                     s  step          t  text

r  row: an image of a batch, perhaps repeated (noise draws, several phrases)
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

Images = Float[Tensor, "b c h w"]
Tokens = Int[Tensor, "b n"]
Acts = Float[Tensor, "b n d"]
Atoms = Float[Tensor, "k d"]
Scores = Float[Tensor, " b"]
Maps = Float[Tensor, "b n"]
Mask = Bool[Tensor, "b n"]
