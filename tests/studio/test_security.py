import asyncio
import json
from html.parser import HTMLParser

import pytest

from legenda.studio.security import ALWAYS, Guard, is_here, is_loopback, refusal
from tests.atlas.made import made
from tests.studio.served import studio

HOST = "127.0.0.1:8377"


class Held:
    token = "secret"


def scope(method="GET", path="/", **headers):
    sent = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    pairs = [(name.encode(), value.encode()) for name, value in sent.items()]
    return {"type": "http", "method": method, "path": path, "headers": pairs}


def refused(method="GET", **headers):
    return refusal(scope(method, **headers), "secret", 25 << 20)


@pytest.mark.parametrize("host", [HOST, "127.0.0.1", "localhost", "LOCALHOST:80", "[::1]", "[::1]:9"])  # fmt: skip # noqa: E501
def test_this_machine_is_answered_by_its_names(host):
    assert is_here(host)
    assert refused(host=host) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8377", "127.0.0.1.evil.example", "localhost.evil.example",
     "127.0.0.1:x", "127.0.0.1:999999", "127.0.0.1@evil.example", "0.0.0.0:8377", "127.0.0.2",
     ":8377", "[::1", "::1"],
)  # fmt: skip
def test_another_name_that_leads_here_is_refused(host):
    assert refused(host=host) == (421, f"The studio answers on this machine only, not as {host!r}.")


def test_two_hosts_are_none():
    doubled = scope()
    doubled["headers"].append((b"host", b"evil.example"))
    status, _ = refusal(doubled, "secret", 1)
    assert status == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8377", "http://127.0.0.1:1", "http://localhost:8377"])  # fmt: skip # noqa: E501
def test_scripts_of_other_pages_are_refused(origin):
    said = (403, f"The studio answers its own pages only, not those of {origin!r}.")
    assert refused(origin=origin) == said
    assert refused("POST", origin=origin, x_legenda_token="secret") == said


def test_our_own_pages_pass():
    own = {"origin": f"http://{HOST}", "sec_fetch_site": "same-origin"}
    assert refused(**own) is None
    assert refused("POST", x_legenda_token="secret", **own) is None


@pytest.mark.parametrize(
    ("site", "mode", "passes"),
    [("none", "navigate", True), ("same-origin", "cors", True), ("same-site", "navigate", True),
     ("same-site", "no-cors", False), ("cross-site", "navigate", False),
     ("cross-site", "no-cors", False), ("else", "navigate", False)],
)  # fmt: skip
def test_what_the_browser_calls_foreign_is_refused(site, mode, passes):
    found = refused(sec_fetch_site=site, sec_fetch_mode=mode)
    sentence = "The studio answers its own pages only. Type its address yourself."
    assert found == (None if passes else (403, sentence))
    posted = refused("POST", sec_fetch_site=site, sec_fetch_mode=mode, x_legenda_token="secret")
    assert (posted is None) == (site in ("none", "same-origin"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "WHATEVER"])
@pytest.mark.parametrize("token", [None, "", "Secret", "secret2", "geheim…"])
def test_work_needs_the_token(method, token):
    headers = {} if token is None else {"x_legenda_token": token}
    said = (403, "The studio works for its own pages only. Load the page again.")
    assert refused(method, **headers) == said
    assert refused(method, x_legenda_token="secret") is None


def test_a_large_request_is_refused_by_what_it_says():
    said = (413, "The request is too large: at most 25 MB are taken. Send a smaller picture.")
    for length in (str((25 << 20) + 1), str(2 << 30), "9" * 30):
        assert refused("POST", x_legenda_token="secret", content_length=length) == said
    for length in (str(25 << 20), "0"):
        assert refused("POST", x_legenda_token="secret", content_length=length) is None
    for length in ("-1", "many", "1e9", "٣"):
        found = refused("POST", x_legenda_token="secret", content_length=length)
        assert found == (400, "The request does not say how long it is.")


def asked(app, messages, method="POST", patience=0.2, most=100, pause=0.0):
    """What a guarded application answers to some messages: its status and its body."""
    guard, sent, queue = Guard(app, Held(), most, patience), [], list(messages)

    async def receive():
        await asyncio.sleep(pause)
        return queue.pop(0) if queue else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asyncio.run(guard(scope(method, x_legenda_token="secret"), receive, send))
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:]), sent, queue


def part(data, more=True):
    return {"type": "http.request", "body": data, "more_body": more}


async def whole(_scope, receive, send):
    """Reads everything, and says how much it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def excusing(scope_, receive, send):
    """Takes the end of a body for a mistake of the sender, as frameworks do."""
    try:
        await whole(scope_, receive, send)
    except Exception:  # noqa: BLE001 -- as they do
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"cannot be parsed"})


@pytest.mark.parametrize("app", [whole, excusing])
def test_a_body_that_says_nothing_of_its_length_is_counted(app):
    status, body, _, queue = asked(app, [part(b"x" * 60)] * 3 + [part(b"", False), part(b"left")])
    assert status == 413
    assert "too large" in json.loads(body)["error"]
    assert len(queue) == 1, "what still comes is read, so that the answer is seen, and no further"


def test_a_body_within_the_limit_passes():
    status, body, sent, _ = asked(whole, [part(b"x" * 60), part(b"x" * 40, False)])
    assert (status, body) == (200, b"100")
    assert {name.decode(): value.decode() for name, value in sent[0]["headers"]} == ALWAYS


def test_whoever_asks_for_a_head_is_sent_no_body():
    asked_of = []

    async def noted(scope_, receive, send):
        asked_of.append(scope_["method"])
        await whole(scope_, receive, send)

    status, body, sent, _ = asked(noted, [part(b"", False)], "HEAD")
    assert (status, body, asked_of) == (200, b"", ["GET"])
    assert len(sent) == 2 and not sent[1].get("more_body")


def test_a_body_that_does_not_come_is_given_up():
    status, body, _, _ = asked(whole, [part(b"x"), part(b"y", False)], patience=0.05, pause=0.2)
    assert status == 408
    assert json.loads(body) == {"error": "The request did not arrive whole in time. Send it again."}


def test_an_answer_that_does_not_begin_is_given_up():
    async def slow(_scope, receive, send):
        await asyncio.sleep(5)

    status, body, _, _ = asked(slow, [], "GET", patience=0.05)
    assert status == 503
    assert json.loads(body) == {"error": "This took too long, and was given up. Ask for less."}


def test_an_answer_that_has_begun_may_take_its_time():
    async def stream(_scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.15)
        await send({"type": "http.response.body", "body": b"done"})

    assert asked(stream, [], "GET", patience=0.05)[:2] == (200, b"done")


def test_sockets_are_closed_unheard():
    sent = []

    async def send(message):
        sent.append(message)

    guard = Guard(whole, Held())
    asyncio.run(guard({**scope(), "type": "websocket"}, asyncio.sleep, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_every_answer_forbids_frames_scripts_and_guesses(tmp_path):
    folder = made(tmp_path / "a")
    with studio(folder) as (client, _):
        for path in ("/", "/live", "/nothing", "/api/overview", "/media/picture/1", "/static/atlas.js"):  # fmt: skip # noqa: E501
            headers = client.get(path).headers
            for name, value in ALWAYS.items():
                assert headers[name] == value, path
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy and "frame-ancestors 'none'" in policy
        assert "script-src 'self' " not in policy, "no inline script, no eval"


class Scripts(HTMLParser):
    """Scripts of a page: files of ours, and whatever else could run."""

    def __init__(self):
        super().__init__()
        self.files, self.others = [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "script" and str(given.get("src")).startswith("/static/"):
            self.files.append(given["src"])
        elif tag == "script" or any(name.startswith("on") for name in given):
            self.others.append((tag, given))
        if str(given.get("href")).lower().startswith("javascript:"):
            self.others.append((tag, given))


def test_no_page_holds_a_script_of_its_own(tmp_path):
    with studio(made(tmp_path / "a")) as (client, _):
        for path in ("/", "/units", "/unit/4", "/picture/1", "/live"):
            reader = Scripts()
            reader.feed(client.get(path).text)
            assert reader.files and not reader.others, (path, reader.others)


def test_the_token_is_in_our_pages_and_is_another_each_time(tmp_path):
    folder, tokens = made(tmp_path / "a"), set()
    for _ in range(2):
        with studio(folder) as (client, headers):
            token = headers["X-Legenda-Token"]
            assert f'<meta name="legenda-token" content="{token}">' in client.get("/live").text
            assert len(token) >= 32
            tokens.add(token)
    assert len(tokens) == 2


def test_hosts_to_listen_on():
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]")))
    assert not any(
        map(is_loopback, ("0.0.0.0", "::", "192.168.0.2", "evil.example", "", "example"))
    )
