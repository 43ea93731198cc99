"""Tiny autoencoders of latent diffusion: two short convolutional nets, such as taef2 of FLUX.2.

Encoder and decoder are rows of residual blocks at four sizes, each half the one before. Nothing
is normalised but at the smallest size, where a branch of each block looks at the whole picture.
A latent is a point, not a distribution: there is no log-variance.

    block(x) = relu(x' + conv(relu(conv(relu(conv(x'))))))                        (1)
    x'       = x + lift(relu(group norm(spread(x))))    where the block looks,
               x                                        elsewhere                  (2)
    decode(z) = net(3 · tanh(z / 3))                                              (3)

The names and shapes of the weights tell the widths and which blocks look. They do not tell that the
norm has four groups, that (2) comes before the convolutions, and (3): these paint photographs best.
"""

from dataclasses import replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput, Missing, Refused
from legenda.models.loading import reason_of, weights_of
from legenda.models.vae import COLOURS, VAE, vae_of
from legenda.models.vae_hub import TINY_SIDE
from legenda.types import Images

GROUPS, LIMIT = 4, 3.0
"""Groups of the norm, and the size that no latent exceeds where it is decoded."""
DEPTHS = (1, 3, 3, 3)
"""Blocks at each size, from the largest; the encoder goes down, the decoder up."""

STRIDE, CHECKED = 8, 32
"""Pixels between positions, and the side at which a net is tried when it is opened."""

Maps = Float[Tensor, "b d y x"]
Weights = dict[str, Tensor]


class TinyAutoencoder(nn.Module):
    """Pictures to a grid of latents and back, `b c h w -> b d h/8 w/8 -> b c h w`.

    Parameters
    ----------
    width: channels of every block; more paint finer.
    looking: channels of the branch that sees the whole picture; 0: no block has one.
    latents: numbers at each position; more say more.
    """

    def __init__(self, width: int = 64, looking: int = 256, latents: int = 32):
        super().__init__()
        self.latents = latents
        self.encoder = _encoder(width, looking, latents)
        self.decoder = _decoder(width, looking, latents)

    def encode(self, x: Images) -> Maps:
        """Latents of pictures whose colours lie from 0 to 1."""
        return self.encoder(x)

    def decode(self, z: Maps) -> Images:
        """Colours, about from 0 to 1."""
        return self.decoder(LIMIT * (z / LIMIT).tanh())  # (3)


class _Block(nn.Module):
    def __init__(self, width: int, looking: int = 0):
        super().__init__()
        self.conv = nn.Sequential(
            _conv(width, width), nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width)
        )
        self.pool = _look(width, looking) if looking else None

    def forward(self, x: Maps) -> Maps:
        if self.pool is not None:
            x = x + self.pool(x)  # (2)
        return (x + self.conv(x)).relu()  # (1)


def _look(width: int, looking: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, looking, 1, bias=False),
        nn.GroupNorm(GROUPS, looking),
        nn.ReLU(),
        nn.Conv2d(looking, width, 1, bias=False),
    )


def _conv(inner: int, outer: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, 3, stride, 1, bias=bias)


def _encoder(width: int, looking: int, latents: int) -> nn.Sequential:
    parts: list[nn.Module] = [_conv(3, width)]
    for size, depth in enumerate(DEPTHS):
        smallest = size == len(DEPTHS) - 1
        if size:
            parts.append(_conv(width, width, stride=2, bias=False))
        parts += [_Block(width, looking if smallest else 0) for _ in range(depth)]
    return nn.Sequential(*parts, _conv(width, latents))


def _decoder(width: int, looking: int, latents: int) -> nn.Sequential:
    # The first place is the limit of (3), which holds no weights: names count from there.
    parts: list[nn.Module] = [nn.Identity(), _conv(latents, width), nn.ReLU()]
    for size, depth in enumerate(reversed(DEPTHS)):
        if size:
            parts += [nn.Upsample(scale_factor=2), _conv(width, width, bias=False)]
        parts += [_Block(width, 0 if size else looking) for _ in range(depth)]
    return nn.Sequential(*parts, _conv(width, 3))


def is_tiny(folder: Path) -> bool:
    """Whether a folder holds one encoder and one decoder of this kind, by the names of files."""
    return all(len(_files(folder, part)) == 1 for part in ("encoder", "decoder"))


def open_tiny(folder: Path, ref: str, side: int = TINY_SIDE) -> VAE:
    """The two files of weights of a folder, NAME_encoder and NAME_decoder, as one model.

    A net takes pictures of any size that is a multiple of 8; it is opened at `side`.
    """
    if side < STRIDE or side % STRIDE:
        raise BadInput(
            f"a tiny autoencoder takes pictures whose side is a multiple of {STRIDE}; it got "
            f"{side}. Use {TINY_SIDE}."
        )
    if not is_tiny(folder):
        raise Missing(
            f"{folder.name} must hold one file *_encoder.safetensors and one "
            "*_decoder.safetensors. Copy both there, and no others of such names."
        )
    (first,), (second,) = _files(folder, "encoder"), _files(folder, "decoder")
    name = first.stem.removesuffix("_encoder")
    made = tiny_autoencoder(weights_of(first), weights_of(second), name)
    rows = side // STRIDE
    kind = f"tiny autoencoder, {made.latents} latents at {rows} × {rows} positions"
    about = {"kind": kind, "sites": "its latents"}
    # The net is the same at every size, and is checked where that is cheap.
    small = vae_of(made, _encoded, _decoded, _squares(CHECKED), ref=ref, name=name, about=about)
    return replace(small, preprocess=_squares(side), grid=(rows, rows))


def tiny_autoencoder(
    encoder: Weights, decoder: Weights, name: str = "this folder"
) -> TinyAutoencoder:
    """The network that holds these weights, its widths read off theirs."""
    first, last = encoder.get("0.weight"), decoder.get("1.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 4:
        raise Refused(
            f"{name} holds no tiny autoencoder: 0.weight of its encoder or 1.weight of its decoder "
            "is missing or has the wrong axes. Give the files of taef2, or a folder of diffusers."
        )
    seen = [w for n, w in encoder.items() if n.endswith(".pool.0.weight")]
    try:
        made = TinyAutoencoder(len(first), len(seen[0]) if seen else 0, last.shape[1])
        for net, weights in ((made.encoder, encoder), (made.decoder, decoder)):
            net.load_state_dict({n: w.float() for n, w in weights.items()})
    except (RuntimeError, ValueError) as error:
        raise Refused(
            f"{name} does not fit the layout of a tiny autoencoder: {reason_of(error)}"
        ) from None
    return made


def _files(folder: Path, part: str) -> list[Path]:
    return sorted(folder.glob(f"*_{part}.safetensors"))


def _squares(side: int) -> Preprocess:
    return Preprocess((side, side), mean=COLOURS.mean, std=COLOURS.std)


def _encoded(net: TinyAutoencoder, x: Images) -> Maps:
    return net.encode(x)


def _decoded(net: TinyAutoencoder, z: Maps) -> Images:
    return net.decode(z)
