import pytest
import torch

from legenda.core.codes import Codes
from legenda.core.evidence import Attribution, Evidence, Frames

drawn = torch.tensor([[False, True, True, True, True]])
scores = torch.tensor([[9.0, 1.0, 2.0, 3.0, 4.0]])
patches = Attribution(torch.ones(1, 3, 4, 4), scores, drawn, (2, 2), "nats")
words = Attribution(torch.ones(1, 5), scores, drawn, None, "nats", {"clean": torch.tensor([0.5])})


def test_the_map_holds_the_drawn_positions_on_their_grid():
    assert patches.map().tolist() == [[[1.0, 2.0], [3.0, 4.0]]]
    assert patches.heatmap().shape == (1, 4, 4)
    assert patches.heatmap()[0, 0, 0] == 1.0 and patches.heatmap()[0, -1, -1] == 4.0


def test_words_have_no_map():
    with pytest.raises(TypeError, match="word attributions have no grid; read `scores` where"):
        words.map()


def test_evidence_can_be_shown_and_stored():
    frames = Frames(torch.rand(2, 3, 4, 4), torch.tensor([-1.0, 2.0]))
    for evidence in (patches, words, frames):
        assert isinstance(evidence, Evidence)
        assert all(panel.image.ndim == 3 and panel.caption for panel in evidence.panels())
    assert [p.caption for p in frames.panels()] == ["-1.00", "+2.00"]
    assert set(words.arrays()) == {"x", "scores", "drawn", "clean"}


def test_scores_can_be_summed_per_unit():
    codes = Codes(torch.tensor([[[0], [1], [1], [0], [0]]]), torch.ones(1, 5, 1), 3)
    assert patches.per_unit(codes).tolist() == [[16.0, 3.0, 0.0]]
