import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from PIL import Image

from legenda.describe.chat import KEY, MODEL, URL, Chat, from_environment
from legenda.errors import BadInput, Missing, Refused


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    port = tmp_path_factory.mktemp("chat") / "port"
    server = subprocess.Popen([sys.executable, "-m", "tests.describe.chat_server", str(port)])
    try:
        for _ in range(200):
            if port.exists() and port.read_text():
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port.read_text()}/v1"
    finally:
        server.kill()
        server.wait()


def test_words_pictures_system_and_key_reach_the_server(url):
    chat = Chat(url, "echo", "secret")
    assert chat("abc") == "cba | 0 pictures | Bearer secret | 1 messages"
    picture = Image.new("RGB", (4, 4), "red")
    assert chat("abc", [picture, picture], "be brief").startswith("cba | 2 pictures | Bearer secret | 2")  # fmt: skip # noqa: E501
    assert "secret" not in repr(chat)


def test_an_answer_is_kept_and_never_asked_for_again(url, tmp_path):
    chat = Chat(url, "echo", "secret", answers=tmp_path / "answers")
    first = chat("abc")
    (kept,) = (tmp_path / "answers").iterdir()
    assert "secret" not in json.dumps(json.loads(kept.read_text())["asked"])
    offline = replace(chat, url="http://127.0.0.1:9/v1", tries=1, timeout=0.2)
    assert offline("abc") == first
    with pytest.raises(Missing, match="no answer from http://127.0.0.1:9/v1 in 1 tries of 0.2 s"):
        offline("another question")
    assert len(list((tmp_path / "answers").iterdir())) == 1, "a failure is never kept"


def test_a_server_that_starts_slowly_is_asked_again(url):
    assert Chat(url, "slow to start", tries=4)("abc").startswith("cba")


def test_refusals(url):
    with pytest.raises(Refused, match=r"refused the question to gone \(status 404"):
        Chat(url, "gone")("abc")
    with pytest.raises(Refused, match="answered something that is not the chat protocol"):
        Chat(url, "strange")("abc")
    with pytest.raises(Missing, match=r"in 2 tries of 60 s \(status 503\). Start the server"):
        Chat(url, "ill", tries=2)("abc")
    with pytest.raises(BadInput, match="Chat needs an address that begins with http"):
        Chat("localhost:80", "echo")


def test_the_environment_names_a_model_or_none(monkeypatch):
    for name in (URL, MODEL, KEY):
        monkeypatch.delenv(name, raising=False)
    assert from_environment() is None
    monkeypatch.setenv(URL, "http://localhost:1/v1")
    with pytest.raises(BadInput, match=f"Set {URL} and {MODEL}"):
        from_environment()
    monkeypatch.setenv(MODEL, "llava")
    monkeypatch.setenv(KEY, "k")
    found = from_environment()
    assert (found.url, found.model, found.key) == ("http://localhost:1/v1", "llava", "k")
    assert from_environment(model="other").model == "other"
