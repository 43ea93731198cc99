import pytest
import torch

from legenda.corpus.record import Record
from legenda.errors import Refused
from legenda.explain.part_of import Kinds, SupportPairs
from legenda.explain.relations import Relations
from legenda.models.seeing import open_seeing
from legenda.tasks.concept_folder import ConceptFolder
from legenda.tasks.relate_concepts import recorded, relate_concepts
from tests.cli import concept_world

HOW = Relations(least=5, share=0.6, sure=0.2)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return ConceptFolder(concept_world.world(tmp_path) / "a")


def test_recorded_codes_are_those_of_the_pictures(folder):
    model, (dictionary, _) = open_seeing(concept_world.MODEL), folder.dictionary()
    survey, record = folder.survey(), Record(folder.path / "survey")
    read = [codes.dense() for i in range(len(record)) for codes in recorded(record, i, survey)]
    pictures = folder.origin.pictures()[0]
    x = torch.cat([model.pixels([pictures.open(i)]) for i in range(len(pictures))])
    assert torch.allclose(torch.cat(read), dictionary.encode(model.acts(x)).dense(), atol=1e-4)


def test_kinds_are_those_of_all_positions_at_once(folder):
    made = relate_concepts(folder, HOW)
    survey, record = folder.survey(), Record(folder.path / "survey")
    pairs = SupportPairs(made.edges.pairs, len(survey), survey.grid)
    for i in range(len(record)):
        for codes in recorded(record, i, survey):
            pairs.update(codes)
    assert len(made.edges) > 0 and made.edges.kind == tuple(Kinds()(pairs.result()))


def test_what_is_found_is_written_and_reads_back(folder):
    steps = []
    made = relate_concepts(
        folder, HOW, report=lambda what, done, total: steps.append((done, total))
    )
    read = folder.relations()
    assert read is not None and read.pairs == made.hierarchy.pairs
    assert read.active == made.hierarchy.active and read.chance == made.hierarchy.chance
    assert steps == [(1, 1)]
    assert made.absorbed is not None and made.absorbed.total.pairs == len(made.edges)


def test_without_recorded_codes_edges_have_no_kind(folder):
    """As in what ships: the survey alone."""
    survey = folder.path / "survey"
    (survey / "survey.safetensors").replace(folder.path / "survey.safetensors")
    concept_world.shutil.rmtree(survey)
    made = relate_concepts(folder, HOW)
    assert len(made.edges) > 0 and not any(edge.kind for edge in made.edges)


def test_where_nothing_is_related(folder):
    made = relate_concepts(folder, Relations(least=100_000))
    assert len(made.edges) == 0 and made.absorbed is None and made.hierarchy.roots == ()
    read = folder.relations()
    assert read is not None and len(read) == 0


def test_a_damaged_record_leaves_the_former_relations(folder):
    before = (folder.path / "relations.json").read_bytes()
    (one,) = (folder.path / "survey").glob("0*.safetensors")
    concept_world.spoilt(one)
    with pytest.raises(Refused, match="is damaged: its checksum is another"):
        relate_concepts(folder, HOW)
    assert (folder.path / "relations.json").read_bytes() == before
