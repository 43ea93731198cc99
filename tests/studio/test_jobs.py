import json
import threading
import time

import pytest

from legenda.errors import BadInput, Missing, Refused
from legenda.studio.jobs import KEPT, Jobs
from legenda.studio.threads import Threads


@pytest.fixture
def jobs():
    threads = Threads()
    made = Jobs(threads, waiting=2)
    yield made
    made.close()
    threads.close()


def ended(job):
    for _ in range(400):
        if job.over:
            return job.news[2]
        time.sleep(0.01)
    raise AssertionError("it does not end")


async def heard(jobs, job):
    return [json.loads(one.split("data: ")[1]) async for one in jobs.follow(job.number)]


def test_a_job_tells_how_far_it_is_and_how_it_ended(jobs):
    import asyncio

    go = threading.Event()

    def work(report):
        report("counting", 1, 4)
        go.wait(5)
        return {"answer": 42}

    job = jobs.begin("count", work)
    threading.Timer(0.2, go.set).start()
    said = asyncio.run(heard(jobs, job))
    assert said[-1]["state"] == "done" and said[-1]["result"] == {"answer": 42}
    (counting,) = [one for one in said if one.get("what") == "counting"]
    assert (counting["done"], counting["total"]) == (1, 4)
    assert counting["left"] == pytest.approx(3 * counting["seconds"])
    assert asyncio.run(heard(jobs, job)) == said[-1:], "who comes late hears the end"


def test_jobs_are_done_one_after_the_other(jobs):
    order, inside = [], []

    def work(name):
        def done(report):
            inside.append(name)
            assert len(inside) == 1
            time.sleep(0.02)
            order.append(name)
            inside.remove(name)
            return {}

        return done

    for job in [jobs.begin("x", work(name)) for name in "abc"]:
        ended(job)
    assert order == ["a", "b", "c"]


def test_a_job_under_way_stops_at_its_next_sign(jobs):
    steps, began = [], threading.Event()

    def work(report):
        for step in range(10_000):
            report("stepping", step, 10_000)
            steps.append(step)
            began.set()
            time.sleep(0.005)
        return {}

    job = jobs.begin("steps", work)
    began.wait(5)
    jobs.cancel(job.number)
    assert ended(job) == {"state": "cancelled"}
    assert len(steps) < 1000
    assert ended(jobs.begin("next", lambda report: {}))["state"] == "done", "work goes on"


def test_a_job_that_waits_is_never_begun_once_called_off(jobs):
    go, done = threading.Event(), []
    first = jobs.begin("first", lambda report: {"waited": go.wait(5)})
    second = jobs.begin("second", lambda report: done.append(1) or {})
    assert jobs.cancel(second.number).state == "cancelled"
    go.set()
    assert ended(first)["result"] == {"waited": True}
    assert ended(jobs.begin("third", lambda report: {}))["state"] == "done"
    assert not done


def test_what_goes_wrong_is_said(jobs):
    def refuses(report):
        raise BadInput("there is no such token. Choose another.")

    def breaks(report):
        raise ZeroDivisionError("division by zero")

    def grows(report):
        raise MemoryError

    said = [ended(jobs.begin("x", work)) for work in (refuses, breaks, grows)]
    assert said == [
        {"state": "failed", "error": "there is no such token. Choose another."},
        {"state": "failed", "error": "ZeroDivisionError: division by zero"},
        {"state": "failed", "error": "there is not enough memory for this. Ask for less."},
    ]


def test_too_many_jobs_are_refused(jobs):
    go = threading.Event()
    begun = [jobs.begin("x", lambda report: {"waited": go.wait(5)}) for _ in range(3)]
    with pytest.raises(Refused) as refused:
        jobs.begin("x", lambda report: {})
    assert str(refused.value) == (
        "the studio has 3 jobs to do, and takes no more. Wait for them, or call some off."
    )
    go.set()
    for job in begun:
        ended(job)
    assert ended(jobs.begin("x", lambda report: {}))["state"] == "done"


def test_old_jobs_are_forgotten(jobs):
    first = jobs.begin("x", lambda report: {})
    ended(first)
    for _ in range(KEPT + 3):
        ended(jobs.begin("x", lambda report: {}))
    assert len(jobs.all) <= KEPT + 1
    with pytest.raises(Missing) as missing:
        jobs.find(first.number)
    assert str(missing.value) == (f"there is no job {first.number!r}. It may have been long ago.")


def test_followers_are_let_go_when_the_server_stops(jobs):
    import asyncio

    go = threading.Event()
    job = jobs.begin("x", lambda report: {"waited": go.wait(5)})
    threading.Timer(0.1, jobs.close).start()
    begun = time.monotonic()
    asyncio.run(heard(jobs, job))
    assert time.monotonic() - begun < 2
    go.set()


def test_readers_have_their_own_threads_and_do_not_wait_for_work(jobs):
    import asyncio

    go = threading.Event()
    jobs.begin("x", lambda report: {"waited": go.wait(5)})

    async def names():
        read = [jobs.threads.read(lambda: threading.current_thread().name) for _ in range(20)]
        quick = await jobs.threads.at_once(lambda: threading.current_thread().name)
        return {await one for one in read}, quick

    readers, quick = asyncio.run(names())
    go.set()
    assert len(readers) <= 4 and all(name.startswith("studio-reader") for name in readers)
    assert quick.startswith("studio-quick")
