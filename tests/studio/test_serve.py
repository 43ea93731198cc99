"""The studio over real sockets, and as a process of its own."""

import re
import signal
import socket
import threading
import time

import httpx
import pytest

from legenda.errors import BadInput, Missing, Refused
from legenda.studio.serve import address, bound
from tests.atlas.made import made
from tests.studio.served import listening, process


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with listening(made(tmp_path_factory.mktemp("atlas") / "a")) as url:
        yield url


def token(url):
    return re.search(r'legenda-token" content="([^"]+)"', httpx.get(f"{url}/live").text)[1]


def test_pages_are_answered(url):
    assert httpx.get(f"{url}/").status_code == 200
    assert "server" not in httpx.get(f"{url}/").headers


def test_a_stranger_who_leads_a_name_here_sees_nothing(url):
    found = httpx.get(f"{url}/", headers={"host": "evil.example"})
    assert found.status_code == 421 and "squares" not in found.text


def test_two_gigabytes_are_refused_before_they_are_sent(url):
    host, _, port = url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as wire:
        head = (
            f"POST /api/live/pictures HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"X-Legenda-Token: {token(url)}\r\nContent-Length: {2 << 30}\r\n\r\n"
        )
        begun = time.monotonic()
        wire.sendall(head.encode())
        said = wire.recv(4096)
        assert said.startswith(b"HTTP/1.1 413 "), said
        assert time.monotonic() - begun < 1


def test_a_stream_without_an_end_is_refused_when_it_is_too_much(url):
    sent = 0

    def endless():
        nonlocal sent
        for _ in range(2048):
            sent += 1 << 20
            yield b"x" * (1 << 20)

    headers = {"X-Legenda-Token": token(url)}
    found = httpx.post(f"{url}/api/live/pictures", content=endless(), timeout=20, headers=headers)
    assert found.status_code == 413
    assert sent < 400 << 20, "it is not read to its end"
    assert httpx.get(f"{url}/").status_code == 200


def test_thirty_two_readers_at_once_see_no_error(url):
    statuses = []

    def reader(first):
        with httpx.Client(base_url=url, timeout=30) as client:
            for i in range(6):
                unit = 1 + (first + i) % 11
                statuses.extend(
                    client.get(path).status_code
                    for path in (f"/unit/{unit}", "/api/search?q=cat", "/media/picture/1")
                )

    threads = [threading.Thread(target=reader, args=(i,)) for i in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 32 * 18


def heard(wire):
    """All that is sent until the other side hangs up."""
    got = b""
    while piece := wire.recv(65536):
        got += piece
    return got


@pytest.mark.parametrize("drip", [b"", b"x-more: y\r\n"])
@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\n", b"HEAD / HTTP/1.1\r\nhost: localhost\r\n\r\nGET /"])  # fmt: skip # noqa: E501
def test_whoever_does_not_come_to_the_end_of_a_question_is_cut_off(tmp_path, first, drip):
    with listening(made(tmp_path / "a"), patience=0.4) as slow:
        host, _, port = slow.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as wire:
            wire.sendall(first)
            begun, over = time.monotonic(), threading.Event()

            def dripping():
                while drip and not over.wait(0.1):
                    try:
                        wire.sendall(drip)
                    except OSError:
                        return

            threading.Thread(target=dripping).start()
            try:
                heard(wire)
            except ConnectionResetError:
                pass
            over.set()
            assert 0.3 < time.monotonic() - begun < 3
        assert httpx.get(f"{slow}/static/page.css").status_code == 200


def test_a_connection_is_kept_while_questions_come(tmp_path):
    with listening(made(tmp_path / "a"), patience=0.4) as slow, httpx.Client() as client:
        wires = set()
        for _ in range(5):
            found = client.get(f"{slow}/static/page.css")
            wires.add(found.extensions["network_stream"].get_extra_info("client_addr"))
            time.sleep(0.25)
        assert len(wires) == 1, "longer than its patience, but never that long in silence"


def test_it_stops_at_once_and_leaves_nothing_behind(tmp_path):
    folder = made(tmp_path / "a")
    with process(folder) as (url, made_):
        with httpx.stream("GET", f"{url}/api/jobs/abc/events") as none:
            assert none.status_code == 404
        made_.send_signal(signal.SIGINT)
        out, err = made_.communicate(timeout=20)
    assert made_.returncode == 130
    assert err.splitlines() == [
        f"{folder} is served at {url}/ to this machine alone. Ctrl-C stops it.", "interrupted"
    ]  # fmt: skip
    assert out == ""
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_a_port_that_is_taken_is_said():
    with bound("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert address(first) == f"http://127.0.0.1:{port}/"
        assert first.proto == socket.IPPROTO_TCP, "or every answer waits 40 ms for company"
        with pytest.raises(Missing) as missing:
            bound("127.0.0.1", port)
    assert str(missing.value) == (
        f"port {port} of 127.0.0.1 cannot be used: address already in use. Choose another with "
        "--port, or 0 for a free one."
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_others_are_not_served(host):
    with pytest.raises(Refused) as refused:
        bound(host, 0)
    assert str(refused.value) == (
        "the studio listens on this machine alone, so that nobody else reads or changes the atlas; "
        f"{host} is open to others. Leave --host out, and use an SSH tunnel from afar."
    )


def test_a_port_is_a_number_of_sixteen_bits():
    with pytest.raises(BadInput) as wrong:
        bound("127.0.0.1", 70_000)
    assert str(wrong.value) == (
        "a port is a number from 0 to 65535; it got 70000. 0 takes a free one."
    )
