"""Rows: batches are a pure function of step, size and seed, and every row comes once per epoch."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.core.model import Rerun, Run
from legenda.corpus.arrays import ArrayPictures
from legenda.corpus.pictures import Subset
from legenda.corpus.record import Record, Recorder
from legenda.corpus.rows import ArrayRows, PictureRows, RecordRows, RowSource, record_rows
from legenda.corpus.stream import GROUP, ahead, identity
from legenda.corpus.windows import lot, spans
from legenda.errors import BadInput, LegendaError, Missing, Refused, Unsupported

POSITIONS = 4


class ToyPatches(torch.nn.Module):
    """A class token, then 4 patches of an 8 × 8 picture at width 5: the first channel says the
    number of the picture, the second that of the position."""

    name, ref, grid = "toy-patches", "tests.corpus.test_rows:ToyPatches", (2, 2)

    def __init__(self, seed=0):
        super().__init__()
        lot = torch.Generator().manual_seed(seed)
        self.weight = torch.nn.Parameter(torch.randn(3, 3, 4, 4, generator=lot))
        self.batches, self.threads = [], set()

    def pixels(self, pictures):
        arrays = [np.asarray(p.resize((8, 8), Image.Resampling.NEAREST)) for p in pictures]
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float()

    def acts(self, x):
        self.batches.append(len(x))
        self.threads.add(threading.get_ident())
        number = x[:, :1, :1, :1].flatten(1)[:, None].expand(-1, POSITIONS, 1)
        position = torch.arange(POSITIONS).view(1, POSITIONS, 1).expand(len(x), -1, 1)
        patches = torch.nn.functional.conv2d(x / 255, self.weight, stride=4).flatten(2).mT.tanh()
        acts = torch.cat([number, position, patches], 2)
        return torch.cat([acts[:, :1] * 0 - 1, acts], 1)

    def run(self, x, edit=None):
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, acts.mean((1, 2)))

    def prefix(self, x):
        acts = self.acts(x)
        special = torch.zeros(acts.shape[:2], dtype=torch.bool)
        special[:, 0] = True
        return Rerun(self, x, acts, special, torch.ones_like(special))


class Broken:
    """A corpus of which some pictures cannot be read."""

    def __init__(self, pictures, bad):
        self.pictures, self.bad = pictures, bad
        self.digest = f"{pictures.digest} without {sorted(bad)}"
        self.key, self.label = pictures.key, pictures.label
        self.opened = []

    def __len__(self):
        return len(self.pictures)

    def open(self, i):
        self.opened.append(i)
        if i in self.bad:
            raise BadInput(f"{self.key(i)} is damaged.")
        return self.pictures.open(i)


def corpus(count):
    array = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    array[:, 0, 0, 0] = np.arange(count)
    return ArrayPictures(array, "toy")


def refused(error, call, *args, **options):
    with pytest.raises(LegendaError) as caught:
        call(*args, **options)
    assert type(caught.value) is error
    return str(caught.value)


def recorded(folder, lengths=(5, 0, 7, 3, 6), width=3):
    """Rows whose first number is their own, in shards of these lengths."""
    numbers = torch.arange(sum(lengths)).float()
    rows = torch.cat([numbers[:, None], torch.randn(len(numbers), width - 1)], 1)
    with Recorder(folder, {"toy": 1}) as recorder:
        for i, part in enumerate(rows.split(list(lengths))):
            recorder.write(i, {"acts": part})
        return recorder.finish(len(lengths))


@pytest.fixture(params=["array", "record", "whole", "pictures", "all"])
def source(request, tmp_path):
    """Each source of rows, and the same one again."""
    numbers = torch.arange(21.0)[:, None]
    made = {
        "array": lambda: ArrayRows(torch.cat([numbers, numbers.sin()], 1)),
        "record": lambda: RecordRows(Record(tmp_path / "r"), window=8),
        "whole": lambda: RecordRows(Record(tmp_path / "r")),
        "pictures": lambda: PictureRows(ToyPatches(), corpus(50), per_image=3, window=20),
        "all": lambda: PictureRows(ToyPatches(), corpus(50), window=64),
    }[request.param]
    recorded(tmp_path / "r")
    return made(), made()


def identities(rows):
    """A number for each row."""
    return (rows[:, 0] * 100 + rows[:, 1] * (rows.shape[1] == 5)).tolist()


# ----------------------------------------------------------------------- all sources alike


def test_a_batch_is_a_pure_function_of_step_size_and_seed(source):
    one, other = source
    assert isinstance(one, RowSource) and one.key == other.key
    size = 16
    forwards = {(step, seed): one.batch(step, size, seed) for seed in (0, 1) for step in range(20)}
    asked = list(forwards)
    for step, seed in [asked[i] for i in np.random.default_rng(0).permutation(len(asked))[:25]]:
        found = other.batch(step, size, seed)
        assert found.shape == (size, one.width) and found.dtype == torch.float32
        assert torch.equal(found, forwards[step, seed])
    assert not torch.equal(forwards[0, 0], forwards[0, 1])


def test_a_training_that_goes_on_sees_the_rest(source):
    one, other = source
    whole = [one.batch(step, 7, 3) for step in range(12)]
    assert all(torch.equal(other.batch(step, 7, 3), whole[step]) for step in range(8, 12))


def test_every_row_comes_once_per_epoch_in_another_order(source):
    rows = source[0]
    count = rows.count
    stream = identities(torch.cat([rows.batch(step, 11, 5) for step in range(3 * count // 11 + 1)]))
    epochs = [stream[e * count : (e + 1) * count] for e in range(3)]
    assert all(len(set(epoch)) == count for epoch in epochs)
    assert epochs[0] != epochs[1] and epochs[1] != epochs[2]


def test_batches_of_any_size_are_cut_from_one_sequence(source):
    one, other = source
    long = one.batch(0, 3 * one.count + 5, 2)
    assert torch.equal(other.batch(1, 13, 2), long[13:26])
    assert torch.equal(other.batch(0, 1, 2), long[:1])


def test_bad_numbers(source):
    rows = source[0]
    said = "a batch needs a step from 0 and a size from 1; it got {} and {}."
    assert refused(BadInput, rows.batch, -1, 4, 0) == said.format(-1, 4)
    assert refused(BadInput, rows.batch, 0, 0, 0) == said.format(0, 0)


def test_nothing_global_is_drawn_from_and_negative_seeds_count(source):
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    batches = [source[0].batch(2, 9, seed) for seed in (-1, 1, 2**63)]
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    assert not torch.equal(batches[0], batches[1]) and not torch.equal(batches[0], batches[2])


def test_spans_are_what_counting_rows_one_by_one_gives():
    sizes = {0: [3, 5, 1], 1: [4, 4, 1], 2: [9], 3: [1, 8]}
    slow = [(e, w, i) for e in range(4) for w, size in enumerate(sizes[e]) for i in range(size)]
    for size in (1, 4, 9, 20):
        for step in range(36 // size):
            found = [
                (span.window.epoch, span.window.number, i)
                for span in spans(lambda _, epoch: sizes[epoch], step, size, 7)
                for i in range(span.begin, span.end)
            ]
            assert found == slow[step * size : (step + 1) * size]


def test_lots_of_different_numbers_differ():
    drawn = [
        torch.rand(1, generator=lot(*n)).item() for n in ((0, 1), (1, 0), (0,), (0, 0, 1), (1,))
    ]
    assert len(set(drawn)) == 5 and drawn[0] == torch.rand(1, generator=lot(0, 1)).item()


# ------------------------------------------------------------------------------- arrays


def test_a_large_array_is_shuffled_evenly():
    rows = ArrayRows(torch.arange(20000.0)[:, None])
    drawn = rows.batch(0, 10000, 0)[:, 0]
    assert 9700 < drawn.mean() < 10300  # 10000, give or take 7 standard errors
    assert abs(torch.corrcoef(torch.stack([drawn[1:], drawn[:-1]]))[0, 1]) < 0.05


def test_halves_become_float32():
    assert ArrayRows(torch.ones(3, 2).half()).batch(0, 2, 0).dtype == torch.float32


def test_arrays_that_are_no_rows():
    assert refused(BadInput, ArrayRows, torch.ones(2, 3, 4)) == (
        "ArrayRows needs floats (r d); it got torch.float32 of the shape (2, 3, 4). "
        "Lay positions in rows."
    )
    assert refused(BadInput, ArrayRows, torch.ones(2, 3).long()) == (
        "ArrayRows needs floats (r d); it got torch.int64 of the shape (2, 3). "
        "Lay positions in rows."
    )
    bad = torch.ones(5, 2)
    bad[1, 0], bad[3] = float("nan"), float("inf")
    assert refused(BadInput, ArrayRows, bad) == (
        "2 of 5 rows hold NaN or infinity. Leave them out, or check the model."
    )


def test_the_key_of_an_array_follows_its_rows():
    assert ArrayRows(torch.ones(3, 2)).key == ArrayRows(torch.ones(3, 2)).key
    assert ArrayRows(torch.ones(3, 2)).key != ArrayRows(torch.ones(2, 3)).key


# ------------------------------------------------------------------------------ records


def test_a_record_is_read_window_by_window(tmp_path):
    record = recorded(tmp_path, lengths=(10,) * 20)
    read = []
    real = record.read
    record.read = lambda i: read.append(i) or real(i)
    rows = RecordRows(record, window=25, ahead=False)
    for step in range(3):
        rows.batch(step, 10, 0)
    assert len(read) == 3 and len(set(read)) == 3  # one window of three shards
    for step in range(20):
        rows.batch(step, 10, 0)
    assert len(set(read)) == 20
    assert rows.key != RecordRows(record, window=26).key


def test_a_record_that_fits_is_read_once(tmp_path):
    record = recorded(tmp_path)
    read = []
    real = record.read
    record.read = lambda i: read.append(i) or real(i)
    rows = RecordRows(record)
    for step in range(30):
        rows.batch(step, 10, 0)
    assert sorted(read) == [0, 2, 3, 4]  # shard 1 is empty


def test_damage_is_named_when_it_is_met(tmp_path):
    record = recorded(tmp_path)
    path = next(tmp_path.glob("00003-*"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    rows = RecordRows(record)
    assert refused(Refused, rows.batch, 0, 21, 0) == (
        f"{path} is damaged: its checksum is another. Record into the same folder again: only "
        "this shard is computed anew."
    )


def test_records_without_rows(tmp_path):
    record = recorded(tmp_path / "a")
    assert refused(BadInput, RecordRows, record, "codes") == (
        f"RecordRows needs 'codes' (r d) in every shard of {tmp_path}/a; the shapes there are ()."
    )
    empty = recorded(tmp_path / "b", (0, 0))
    assert refused(BadInput, RecordRows, empty) == (
        f"RecordRows needs rows, and a window of 1 or more; {tmp_path}/b holds 0, the window is "
        "131072."
    )


# ----------------------------------------------------------------------------- pictures


def test_positions_are_drawn_by_seed_and_epoch_and_special_ones_left_out():
    rows = PictureRows(ToyPatches(), corpus(50), per_image=2, window=20)
    assert (rows.count, rows.width) == (100, 5)
    epochs = [rows.batch(e, 100, 0) for e in range(3)]
    for epoch in epochs:
        assert epoch[:, 0].sort().values.tolist() == sorted(2 * list(range(50)))
        assert set(epoch[:, 1].tolist()) == {0, 1, 2, 3}
    kept = [set(identities(epoch)) for epoch in epochs]
    assert kept[0] != kept[1] != kept[2]
    often = torch.cat(epochs)[:, 1].long().bincount()
    assert often.min() > 45  # 75 each, give or take 4 standard deviations


def test_rows_are_the_activations_of_their_picture():
    model, pictures = ToyPatches(), corpus(50)
    rows = PictureRows(model, pictures, window=20).batch(0, 200, 0)
    for number in (0, 17, 49):
        x = model.pixels([pictures.open(number)])
        mine = rows[rows[:, 0] == number]
        assert torch.allclose(mine[mine[:, 1].argsort()], model.acts(x)[0, 1:].detach(), atol=1e-6)


def test_prefetching_changes_nothing_and_groups_are_always_of_one_size():
    waiting, eager = (
        PictureRows(model, corpus(50), per_image=3, window=20, ahead=ahead)
        for model, ahead in ((ToyPatches(), False), (ToyPatches(), True))
    )
    for step in (0, 1, 2, 9, 3, 4):
        assert torch.equal(waiting.batch(step, 40, 1), eager.batch(step, 40, 1))
    eager.close()
    assert set(waiting.model.batches) == set(eager.model.batches) == {GROUP}
    assert threading.get_ident() in eager.model.threads  # the blank picture
    assert len(eager.model.threads) == 2
    assert all(p.grad is None for p in eager.model.parameters())


def test_the_next_window_is_made_ready_while_this_one_is_used():
    rows = PictureRows(ToyPatches(), corpus(128), window=32)
    rows.batch(0, 8, 0)
    rows._windows._hands.submit(lambda: None).result()  # whatever waited before it is done
    before = len(rows.model.batches)
    assert before == 3  # the blank picture, this window and the next
    rows.batch(16, 8, 0)
    rows.batch(17, 8, 0)
    rows._windows._hands.submit(lambda: None).result()
    assert len(rows.model.batches) == before + 1  # only the one after it
    eager = PictureRows(ToyPatches(), corpus(128), window=32, ahead=False)
    eager.batch(0, 8, 0)
    assert len(eager.model.batches) == 2


def test_pictures_that_cannot_be_read_are_listed_and_the_others_stand_in():
    broken = Broken(corpus(50), {3, 4, 49})
    rows = PictureRows(ToyPatches(), broken, per_image=2, window=20)
    epoch = rows.batch(0, 100, 0)
    assert rows.refused == [(f"toy-0000{i:02}", f"toy-0000{i:02} is damaged.") for i in (3, 4, 49)]
    seen = set(epoch[:, 0].tolist())
    assert seen == set(range(50)) - {3, 4, 49}
    assert torch.equal(epoch, PictureRows(ToyPatches(), broken, 2, 20).batch(0, 100, 0))
    assert len(set(identities(epoch))) == 94  # 47 pictures; the other six rows come again
    strict = PictureRows(ToyPatches(), broken, per_image=2, window=20, strict=True)
    assert refused(BadInput, strict.batch, 0, 100, 0).endswith(" is damaged.")


def test_a_window_without_any_picture():
    broken = Broken(corpus(3), {0, 1, 2})
    rows = PictureRows(ToyPatches(), broken, window=20)
    said = refused(BadInput, rows.batch, 0, 4, 0)
    assert said.startswith("no picture can be read, of 3 asked for; the first is toy-00000")
    assert said.endswith(" is damaged. Mend the corpus.")


def test_what_pictures_are_refused():
    assert refused(BadInput, PictureRows, ToyPatches(), corpus(3), 5) == (
        "per_image=5 positions are to be kept of each picture; toy-patches has 4. Choose 1 to 4, "
        "or None for all."
    )
    assert refused(BadInput, PictureRows, ToyPatches(), Subset(corpus(3), [])) == (
        "PictureRows needs pictures, and a window of 1 or more; it got 0 and 256."
    )

    class Blind:
        name, ref, grid = "blind", "blind", None
        run = acts = ToyPatches.run

    assert refused(Unsupported, PictureRows, Blind(), corpus(3)) == (
        "PictureRows needs a model that prepares pictures (`pixels`); blind has none. "
        "Open it as an image model."
    )


def test_activations_that_are_not_finite_name_their_picture():
    class Torn(ToyPatches):
        def prefix(self, x):
            prefix = super().prefix(x)
            prefix.acts[x[:, 0, 0, 0] == 7] = float("nan")
            return prefix

    rows = PictureRows(Torn(), corpus(20), window=20)
    assert refused(BadInput, rows.batch, 0, 4, 0) == (
        "toy-patches gives NaN or infinity for toy-000007. Check its weights, and how it prepares "
        "pictures."
    )


def test_the_key_follows_the_model_the_corpus_and_the_settings():
    keys = [
        PictureRows(*held).key
        for held in (
            (ToyPatches(), corpus(20)), (ToyPatches(), corpus(20)), (ToyPatches(1), corpus(20)),
            (ToyPatches(), corpus(21)), (ToyPatches(), corpus(20), 2),
            (ToyPatches(), corpus(20), 4, 9),
        )
    ]  # fmt: skip
    assert keys[0] == keys[1] and len(set(keys)) == 5


def test_the_identity_of_a_model_finds_the_network_it_holds():
    class Held:
        name, ref, grid = "held", "held", None
        run = acts = ToyPatches.run

        def __init__(self, seed):
            self.dual = type("Dual", (), {})()
            self.dual.image = ToyPatches(seed)

    assert identity(Held(0)) == identity(Held(0)) != identity(Held(1))


# ------------------------------------------------------------------------ recorded pictures


@pytest.mark.parametrize("per_image", [None, 3])
def test_recorded_rows_are_those_of_the_pictures_and_say_where_they_lie(tmp_path, per_image):
    model, said = ToyPatches(), []
    record = record_rows(
        model, corpus(70), tmp_path, per_image, torch.float32, lambda *at: said.append(at)
    )
    assert said == [(1, 3), (2, 3), (3, 3)] and set(model.batches) == {GROUP}
    held = [record.read(i) for i in range(3)]
    rows, image, position = (
        torch.cat([shard[name] for shard in held]) for name in ("acts", "image", "position")
    )
    kept = per_image or POSITIONS
    assert torch.equal(image, torch.arange(70).repeat_interleave(kept))
    assert torch.equal(rows[:, 0].long(), image) and torch.equal(rows[:, 1].long(), position)
    assert [len(shard["acts"]) for shard in held] == [32 * kept, 32 * kept, 6 * kept]
    streamed = PictureRows(ToyPatches(), corpus(70), per_image, window=32).batch(0, 70 * kept, 0)
    assert set(map(tuple, streamed.tolist())) == set(map(tuple, rows.tolist()))
    assert RecordRows(record).count == 70 * kept


def test_a_recording_goes_on_where_it_stopped(tmp_path):
    whole = record_rows(ToyPatches(), corpus(70), tmp_path / "whole")
    pictures = Broken(corpus(70), set())
    pictures.digest = corpus(70).digest

    def stop(done, of):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_rows(ToyPatches(), pictures, tmp_path / "parts", report=stop)
    pictures.opened.clear()
    parts = record_rows(ToyPatches(), pictures, tmp_path / "parts")
    assert pictures.opened == list(range(64, 70)) and parts.digest == whole.digest
    pictures.opened.clear()
    assert record_rows(ToyPatches(), pictures, tmp_path / "parts").digest == whole.digest
    assert pictures.opened == []


def test_another_model_is_refused(tmp_path):
    record_rows(ToyPatches(), corpus(5), tmp_path)
    said = refused(Refused, record_rows, ToyPatches(1), corpus(5), tmp_path)
    assert said.startswith(f"{tmp_path} holds something else: model is 'tests.corpus.test_rows:Toy")
    said = refused(Refused, record_rows, ToyPatches(), corpus(5), tmp_path, 2)
    assert said == (
        f"{tmp_path} holds something else: per_image is 4 there and 2 here. "
        "Choose another folder, or remove this one."
    )


def test_a_recording_lists_what_cannot_be_read(tmp_path):
    bad = {0, *range(32, 64)}
    record = record_rows(ToyPatches(), Broken(corpus(70), bad), tmp_path / "a")
    assert [record.shapes(i)["acts"] for i in range(3)] == [(124, 5), (0, 5), (24, 5)]
    rows = RecordRows(record)
    assert rows.count == 4 * 37
    assert rows.refused == [(f"toy-0000{i:02}", f"toy-0000{i:02} is damaged.") for i in sorted(bad)]
    strict = Broken(corpus(70), bad)
    assert refused(
        BadInput, record_rows, ToyPatches(), strict, tmp_path / "b", strict=True
    ) == "toy-000000 is damaged."  # fmt: skip
    assert refused(
        BadInput, record_rows, ToyPatches(), Broken(corpus(3), {0, 1, 2}), tmp_path / "c"
    ) == (
        "no picture can be read, of 3 asked for; the first is toy-000000: toy-000000 is damaged. "
        "Mend the corpus."
    )
    assert refused(BadInput, record_rows, ToyPatches(), Subset(corpus(3), []), tmp_path / "d") == (
        "record_rows needs pictures; the corpus has none. Name another."
    )


def test_half_precision_refuses_what_it_cannot_hold(tmp_path):
    class Loud(ToyPatches):
        def acts(self, x):
            return super().acts(x) * 1e5

    assert refused(BadInput, record_rows, Loud(), corpus(3), tmp_path / "a") == (
        "toy-patches has activations of 300000, which torch.float16 cannot hold. "
        "Record them as bfloat16 or float32."
    )
    record = record_rows(Loud(), corpus(3), tmp_path / "b", dtype=torch.bfloat16)
    assert record.read(0)["acts"].dtype == torch.bfloat16
    assert RecordRows(record).batch(0, 4, 0).dtype == torch.float32


def test_work_ahead_keeps_order_and_passes_errors_on():
    assert list(ahead(lambda i: i * i, range(5))) == [0, 1, 4, 9, 16]
    assert list(ahead(lambda i: i, [])) == []

    def fails(i):
        if i == 2:
            raise Missing("two")
        return i

    going = ahead(fails, range(5))
    assert [next(going), next(going)] == [0, 1]
    assert refused(Missing, next, going) == "two"


def test_some_pictures_are_taken_evenly_apart():
    from legenda.corpus.stream import evenly

    assert evenly(10, 4) == [0, 2, 5, 7] and evenly(3, 9) == [0, 1, 2] and evenly(0, 5) == []
    assert len(set(evenly(1339, 512))) == 512 and max(evenly(1339, 512)) > 1330
