"""One thread per test process (small tensors, and other people's machines), no network."""

import os

os.environ.setdefault("LEGENDA_OFFLINE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest  # noqa: E402 -- the environment is read on import
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded():
    """Whatever a test draws from the global generators, it draws again next time."""
    torch.manual_seed(0)
