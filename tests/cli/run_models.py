"""Models for `legenda run`, each by a factory: a dual encoder, a classifier, a slow decoder."""

import time

from tests.cli.latent_model import Discs
from tests.toys import conv_model, tiny_dual, tiny_encoder

DUAL, CLASSIFIER, SLOW, BARE = (f"tests.cli.run_models:{n}" for n in ("dual", "classifier", "slow", "bare"))  # fmt: skip # noqa: E501


class SlowDiscs(Discs):
    """The discs, as if their decoder were large: each call of it takes a while."""

    def decode(self, z):
        time.sleep(0.1)
        return super().decode(z)


def dual():
    return tiny_dual("clip")


def classifier():
    return tiny_encoder("vit-classifier")


def slow():
    return SlowDiscs(1)


def bare():
    """A network that does not say how it takes pictures."""
    return conv_model()
