import json
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from PIL import Image

from legenda.describe.answer_store import AnswerStore
from legenda.describe.budget import Budget, Estimate, Stop, tokens_of
from legenda.describe.chat import (
    KEY,
    MODEL,
    URL,
    Chat,
    Question,
    from_environment,
    here,
    seed_of,
    side_by_side,
)
from legenda.describe.chat_call import waiting
from legenda.errors import BadInput, Missing, Refused
from tests.describe.server_process import running

FAR = "http://chat.example.invalid/v1"
SECRET = "sk-very-secret"


@pytest.fixture(scope="module")
def url():
    with running("tests.describe.chat_server") as address:
        yield address


def heard(url, what="asked"):
    return json.loads(urllib.request.urlopen(url.replace("/v1", f"/{what}")).read())


def patient(url, model, **more):
    return Chat(url, model, pause=0.01, **more)


def test_words_pictures_system_and_key_reach_the_server(url):
    chat = Chat(url, "echo", "secret")
    assert chat("abc") == "cba | 0 pictures | terces reraeB | 1 messages"
    picture = Image.new("RGB", (4, 4), "red")
    assert chat("abc", [picture, picture], "be brief").startswith("cba | 2 pictures | terces reraeB | 2")  # fmt: skip # noqa: E501
    assert "secret" not in repr(chat)


def test_an_answer_is_kept_and_never_asked_for_again(url, tmp_path):
    chat = Chat(url, "echo", "secret", answers=tmp_path / "answers")
    first = chat("abc")
    assert (chat.budget.calls, chat.budget.replayed) == (1, 0)
    offline = replace(chat, url="http://127.0.0.1:9/v1", tries=1, timeout=0.2)
    assert offline("abc") == first
    assert (chat.budget.calls, chat.budget.replayed) == (1, 1)
    with pytest.raises(Missing, match="no answer from http://127.0.0.1:9/v1 in 1 try of 0.2 s"):
        offline("another question")
    assert len(list((tmp_path / "answers").iterdir())) == 1, "a failure is never kept"


def test_a_server_that_starts_slowly_is_asked_again(url):
    chat = patient(url, "slow to start", tries=4)
    assert chat("abc").startswith("cba") and chat.budget.calls == 3


@pytest.mark.parametrize(("model", "calls"), [("busy once", 2), ("ill once", 2), ("ill twice", 3)])
def test_busy_and_ill_servers_are_asked_again(url, model, calls):
    chat, begun = patient(url, model), time.monotonic()
    assert chat("abc").startswith("cba") and chat.budget.calls == calls
    assert heard(url)[model] == calls
    if model == "busy once":
        assert time.monotonic() - begun >= 0.3, "Retry-After is honoured"


def test_waits_double_and_are_drawn_by_the_seed(monkeypatch, url):
    slept = []
    monkeypatch.setattr("legenda.describe.chat_call.time.sleep", slept.append)
    for seed in (0, 0, 1):
        with pytest.raises(Missing):
            Chat(url, "ill", seed=seed, tries=4, pause=1.0)("abc")
    first, again, other = slept[:3], slept[3:6], slept[6:]
    assert first == again != other
    assert all(2**k <= wait <= 2 ** (k + 1) for k, wait in enumerate(first))


WITHOUT = "or do without a language model."
CHECK = "Check the address, the model's name and the key."
KEYED = "Set LEGENDA_CHAT_KEY to one that it knows."
LOG = "Ask again, or look into the server's log."
LEAVE = "status 429: it wants to be left alone for 3600 s"
PROTOCOL = "answered something that is not the chat protocol. It should end in /v1."
NOTHING = "answered nothing. Allow a longer answer, or choose another model."
TROUBLES = {
    "gone": (Refused, f'refused the question to gone (status 404: {{"error": "no, …"}}). {CHECK}'),
    "moved": (
        Refused,
        f'refused the question to moved (status 307: {{"error": "no, …"}}). {CHECK}',
    ),
    "locked": (Stop, f"did not accept the key (status 401). {KEYED}"),
    "forbidden": (Stop, f"did not accept the key (status 403). {KEYED}"),
    "ill": (Missing, f"in 2 tries of 0.5 s (status 503). Start the server anew, {WITHOUT}"),
    "busy": (Missing, f"in 1 try of 0.5 s ({LEAVE}). Ask again after that."),
    "slow": (Missing, f"in 2 tries of 0.5 s (it is too slow). Allow it more time, {WITHOUT}"),
    "drips": (Missing, f"in 2 tries of 0.5 s (it is too slow). Allow it more time, {WITHOUT}"),
    "html": (Refused, "answered with a web page, not in the chat protocol. It should end in /v1."),
    "half": (Refused, f"sent no whole JSON: it breaks at character 34 of 39. {LOG}"),
    "strange": (Refused, PROTOCOL),
    "list": (Refused, PROTOCOL),
    "empty": (Refused, NOTHING),
    "blank": (Refused, NOTHING),
}


@pytest.mark.parametrize("model", TROUBLES)
def test_every_trouble_has_its_sentence_and_none_is_kept_or_holds_the_key(url, model, tmp_path):
    kind, sentence = TROUBLES[model]
    chat = patient(url, model, key=SECRET, timeout=0.5, tries=2, answers=tmp_path / "answers")
    with pytest.raises(kind) as problem:
        chat("abc")
    said = {"empty": f"{model} at {url}", "blank": f"{model} at {url}"}.get(model, url)
    if kind is Missing:
        said = f"no answer from {url}"
    assert str(problem.value) == f"{said} {sentence}"
    assert SECRET not in str(problem.value) and SECRET not in repr(chat)
    assert problem.value.__cause__ is None and not (tmp_path / "answers").exists()


def test_a_server_that_is_down_or_wants_a_key(url):
    with pytest.raises(Missing) as problem:
        patient("http://127.0.0.1:9/v1", "echo", tries=2)("abc")
    assert str(problem.value) == (
        "no answer from http://127.0.0.1:9/v1 in 2 tries of 60 s (nothing listens there). Start "
        f"the server, {WITHOUT}"
    )
    with pytest.raises(Stop, match=r"/v1 wants a key, and none was given \(status 401\). Set LEG"):
        Chat(url, "locked")("abc")


def test_a_key_that_the_server_repeats_is_neither_returned_nor_kept(url, tmp_path):
    chat = Chat(url, "parrot", SECRET, answers=tmp_path)
    assert chat("abc") == "You showed me Bearer …." == chat("abc")
    (kept,) = tmp_path.iterdir()
    assert SECRET not in kept.read_text()


def test_what_a_model_declines_or_says_in_parts_is_its_answer(url):
    assert Chat(url, "declines")("abc") == "I cannot look at it."
    assert Chat(url, "in parts")("abc") == "ab"


def test_bad_addresses_keys_and_numbers():
    for address in (
        "localhost:80",
        "ftp://host/v1",
        "http://",
        "http://host:port/v1",
        "file:///v1",
    ):
        with pytest.raises(BadInput) as problem:
            Chat(address, "echo")
        assert str(problem.value) == (
            "Chat needs an address that begins with http:// or https://, and a model; it got "
            f"{address!r} and 'echo'."
        )
    for address in (f"http://me:{SECRET}@host/v1", f"http://me:{SECRET}@host:port/v1"):
        with pytest.raises(BadInput) as problem:
            Chat(address, "echo")
        assert str(problem.value) == (
            "the address of a chat model holds no name or password. Set LEGENDA_CHAT_KEY instead."
        )
    for key in (f"{SECRET}\n", f"{SECRET} x", f"{SECRET}é"):
        with pytest.raises(BadInput) as problem:
            Chat("http://host/v1", "echo", key)
        assert str(problem.value) == (
            "the key of a chat model is plain letters without spaces. Copy it again."
        )
    with pytest.raises(BadInput, match=r"numbers of 0 or more; it got timeout=60.0, tries=-1, pau"):
        Chat("http://host/v1", "echo", tries=-1)
    with pytest.raises(BadInput, match="a cap on tokens needs to know how long an answer can be"):
        Chat("http://host/v1", "echo", budget=Budget(most_tokens=9))


def test_samples_have_seeds_and_places_of_their_own(url, tmp_path):
    chat = Chat(url, "counted", seed=5, answers=tmp_path)
    asked = [Question("abc", sample=i) for i in range(4)]
    said = chat.every(asked)
    assert said == [f"seed {seed_of(5, i)}" for i in range(4)] and len(set(said)) == 4
    assert said[0] == "seed 5" and seed_of(5, 1) != seed_of(6, 0)
    assert len(list(tmp_path.iterdir())) == 4
    body = heard(url, "bodies")[-1]
    assert not {"sample", "about"} & set(body), "what is only identity is not sent"


def test_what_makes_a_question_another_one():
    chat, picture = Chat(FAR, "m"), Image.new("RGB", (4, 4), "red")
    same = Question("a", [picture])
    wide = Image.new("RGB", (2, 8), "red")
    others = [
        Question("b", [picture]), Question("a"), Question("a", [picture, picture]),
        Question("a", [Image.new("RGB", (4, 4), "blue")]), Question("a", [wide]),
        Question("a", [picture], "s"), Question("a", [picture], sample=1),
        Question("a", [picture], about="plain v2"),
    ]  # fmt: skip
    known = [json.dumps(chat.identity(q)) for q in (same, *others)]
    chats = [replace(chat, model="n"), replace(chat, temperature=1.0), replace(chat, seed=1), replace(chat, longest=9)]  # fmt: skip # noqa: E501
    known += [json.dumps(one.identity(same)) for one in chats]
    assert len(set(known)) == len(known) == 13
    again = Question("a", [picture.convert("RGBA")])
    assert chat.identity(again) == replace(chat, url="http://b/v1", key="k").identity(same)


def test_answers_come_in_order_and_a_question_asked_twice_is_sent_once(url, tmp_path):
    chat = Chat(url, "echo", answers=tmp_path)
    words = ["ab", "cd", "ef", "ab", "gh"] * 3
    said = chat.every([Question(word) for word in words], at_once=8)
    assert [one[:2] for one in said] == [word[::-1] for word in words]
    assert chat.budget.calls == 4
    assert Chat(url, "echo").every([Question(word) for word in words], at_once=1) == said


def test_side_by_side_is_side_by_side_and_a_failure_leaves_what_has_not_begun():
    gate = threading.Barrier(3, timeout=5)
    assert side_by_side(lambda i: (gate.wait(), i)[1], [0, 1, 2], 3) == [0, 1, 2]
    done = []

    def once(i):
        if i == 0:
            raise Missing("no")
        time.sleep(0.02)
        done.append(i)

    with pytest.raises(Missing):
        side_by_side(once, list(range(200)), 2)
    assert len(done) < 100
    with pytest.raises(BadInput, match="at least one question is asked at once; it got 0"):
        side_by_side(once, [], 0)


def test_a_cap_on_calls_stops_before_it_is_exceeded_and_keeps_what_was_answered(url, tmp_path):
    budget = Budget(most_calls=3)
    chat = Chat(url, "echo", answers=tmp_path, budget=budget)
    before = heard(url).get("echo", 0)
    with pytest.raises(Stop) as problem:
        chat.every([Question(str(i)) for i in range(9)], at_once=2)
    assert str(problem.value) == (
        "the cap of 3 calls is reached. What was answered is kept: raise the cap to go on from "
        "here."
    )
    assert budget.calls == 3 == heard(url)["echo"] - before == len(list(tmp_path.iterdir()))
    more = replace(chat, budget=Budget(most_calls=6))
    assert len(more.every([Question(str(i)) for i in range(9)])) == 9
    assert (more.budget.calls, more.budget.replayed) == (6, 3)


def test_tries_are_calls_too(url):
    chat = patient(url, "ill", tries=5, budget=Budget(most_calls=2))
    with pytest.raises(Stop):
        chat("abc")
    assert chat.budget.calls == 2


def test_a_cap_on_tokens_counts_what_the_server_counted(url, tmp_path):
    budget = Budget(most_tokens=165)
    chat = Chat(url, "counted", longest=10, answers=tmp_path, budget=budget)
    assert chat.estimate([Question("x" * 60)]) == Estimate(1, 0, 25)
    for sample in range(4):  # 30 + 10 each, though the estimate was 15 + 10
        chat.ask(Question("x" * 60, sample=sample))
    assert (budget.asked_tokens, budget.answered_tokens, budget.unreported) == (120, 40, 0)
    with pytest.raises(Stop) as problem:
        chat.ask(Question("x" * 60, sample=4))
    assert str(problem.value) == (
        "the next call may take 40 tokens, and 160 of at most 165 are used. What was answered is "
        "kept: raise the cap to go on from here."
    )
    assert budget.calls == 4


def test_without_a_count_the_estimate_is_spent_and_a_refusal_costs_nothing(url):
    chat = Chat(url, "echo", longest=10, budget=Budget(most_tokens=59))
    chat("x" * 40), chat("x" * 40)
    assert chat.budget.unreported == 2
    with pytest.raises(Stop, match="the next call may take 20 tokens, and 40 of at most 59"):
        chat("x" * 40)
    gone = Chat(url, "gone", longest=10, budget=Budget(most_tokens=20))
    for _ in range(3):
        with pytest.raises(Refused, match="status 404"):
            gone("x" * 40)


def test_threads_never_pass_a_cap(url):
    budget = Budget(most_calls=10, most_tokens=10_000)

    def one(_):
        try:
            budget.settle(budget.send(10, 5), 10, (10, 5))
        except Stop:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(200))) == 10
    assert (budget.calls, budget.asked_tokens, budget.answered_tokens) == (10, 100, 50)
    assert repr(budget) == "Budget(most_calls=10, most_tokens=10000)"
    with pytest.raises(BadInput, match="a budget is a number of calls or tokens; it got -1 and No"):
        Budget(-1)


def test_an_estimate_sends_nothing(url, tmp_path):
    chat = Chat(url, "echo", longest=50, answers=tmp_path)
    chat("abcd")
    asked = [Question("abcd"), Question("efgh"), Question("efgh"), Question("i" * 9)]
    before = heard(url)["echo"]
    assert chat.estimate(asked) == Estimate(2, 1, 1 + 50 + 3 + 50)
    assert heard(url)["echo"] == before and chat.budget.calls == 1
    assert tokens_of("", [Image.new("L", (28, 29))]) == 2
    chat.every(asked)
    assert chat.budget.calls == 3, "as was estimated"


def test_offline_replays_and_refuses_what_it_does_not_know(url, tmp_path, monkeypatch):
    chat = Chat(url, "echo", answers=tmp_path)
    first = chat("abc")
    far = replace(chat, url=FAR)
    monkeypatch.setenv("LEGENDA_OFFLINE", "1")
    assert far("abc") == first and chat("new")
    with pytest.raises(Missing) as problem:
        far("another")
    assert str(problem.value) == (
        f"{FAR} was never asked this, and LEGENDA_OFFLINE forbids the network. Unset it, or "
        "replay a study whose answers are kept."
    )
    replayed = replace(chat, tries=0)
    assert replayed("abc") == first
    with pytest.raises(Missing, match=r"was never asked this, and `tries` is 0\. Allow a try, or"):
        replayed("another")
    monkeypatch.setenv("LEGENDA_OFFLINE", "0")
    with pytest.raises(Missing, match="no answer from"):
        replace(far, tries=1, timeout=1.0)("another")


def test_addresses_on_this_machine():
    for near in ("http://localhost:1/v1", "http://127.3.0.1/v1", "http://[::1]:8/v1"):
        assert here(near)
    for far in (FAR, "http://localhost.example/v1", "https://api.example.com/v1"):
        assert not here(far)


def test_a_store_is_safe_under_many_writers_and_refuses_damage(tmp_path):
    store, asked = AnswerStore(tmp_path / "a"), {"messages": "one", "seed": 1}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: store.keep(asked, f"answer {i % 2}" * 999), range(64)))
        seen = list(pool.map(lambda _: store.read(asked), range(64)))
    assert set(seen) <= {"answer 0" * 999, "answer 1" * 999}
    (kept,) = (tmp_path / "a").iterdir()
    whole = kept.read_bytes()
    for bad in (whole[:99], b"[]", b"", whole.replace(b'"one"', b'"two"')):
        kept.write_bytes(bad)
        with pytest.raises(Refused) as problem:
            store.read(asked)
        assert str(problem.value) == (
            f"{kept} is damaged: it is not what was written. Remove it, to ask again."
        )
    assert AnswerStore().read(asked) is None and AnswerStore().keep(asked, "x") is None


def test_a_kill_between_writing_and_naming_leaves_no_answer(tmp_path, monkeypatch):
    store, asked = AnswerStore(tmp_path), {"messages": "one"}

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("legenda.describe.answer_store.Path.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store.keep(asked, "answer")
    monkeypatch.undo()
    assert store.read(asked) is None
    store.keep(asked, "answer")
    assert store.read(asked) == "answer"


WRITES = """
import sys
from pathlib import Path
from legenda.describe.answer_store import AnswerStore
store, number = AnswerStore(Path(sys.argv[1])), 0
while True:
    store.keep({"number": number}, "word " * 20_000)
    number += 1
"""


def test_a_process_that_is_killed_leaves_whole_answers_only(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path)])
    while len(list(tmp_path.glob("*.json"))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = len(list(tmp_path.glob("*.json")))
    said = [AnswerStore(tmp_path).read({"number": i}) for i in range(kept + 1)]
    assert said == ["word " * 20_000] * kept + [None]


def test_a_store_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Missing, match=r"could not be written: .*\. Make room there, or choose ano"):
        AnswerStore(tmp_path / "file").keep({"a": 1}, "x")


def test_retry_after_is_a_number_or_a_date():
    assert waiting("2.5") == 2.5 and waiting("-3") == 0 and waiting("") == 0 == waiting("soon")
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 < waiting(later) <= 30
    assert waiting(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0


def test_the_environment_names_a_model_or_none(monkeypatch):
    for name in (URL, MODEL, KEY):
        monkeypatch.delenv(name, raising=False)
    assert from_environment() is None
    monkeypatch.setenv(URL, "http://localhost:1/v1")
    with pytest.raises(BadInput, match=f"Set {URL} and {MODEL}"):
        from_environment()
    monkeypatch.setenv(MODEL, "llava")
    monkeypatch.setenv(KEY, "k\n")
    found = from_environment()
    assert (found.url, found.model, found.key) == ("http://localhost:1/v1", "llava", "k")
    assert from_environment(model="other").model == "other"
