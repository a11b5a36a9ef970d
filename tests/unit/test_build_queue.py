"""Who is next, and what those that wait are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pogo.rules.build_queue import Started, Waiting, next_build, order, reasons

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def waiting(app: str, user: str, seconds: float, **more: object) -> Waiting:
    return Waiting(f"{app}-{seconds}", app, user, at(seconds), **more)  # type: ignore[arg-type]


def test_first_come_first_served() -> None:
    queue = [waiting("b", "bob", 2), waiting("a", "ann", 1), waiting("c", "cid", 3)]
    assert [one.app for one in order(queue, [])] == ["a", "b", "c"]


def test_ten_builds_of_one_app_do_not_hold_up_another() -> None:
    queue = [waiting("a", "ann", n) for n in range(10)] + [waiting("b", "bob", 20)]
    assert [one.app for one in order(queue, [])[:3]] == ["a", "b", "a"]
    assert next_build(queue, [Started("a", "ann", at(0), running=True)], at(30)) == queue[-1]


def test_many_apps_of_one_person_do_not_hold_up_another() -> None:
    queue = [waiting(f"a{n}", "ann", n) for n in range(10)] + [waiting("b", "bob", 20)]
    started = [Started("x", "ann", at(-9), running=True), Started("y", "ann", at(-8), running=True)]
    assert order(queue, started)[0].app == "b"
    assert [one.app for one in order(queue, [])[:3]] == ["a0", "b", "a1"]


def test_one_build_of_an_app_at_a_time() -> None:
    queue = [waiting("a", "ann", 1)]
    assert next_build(queue, [Started("a", "ann", at(0), running=True)], at(5)) is None
    assert next_build(queue, [Started("a", "ann", at(0), running=False)], at(5)) == queue[0]


def test_what_a_dead_daemon_began_goes_first() -> None:
    queue = [waiting("b", "bob", 1), waiting("a", "ann", 2, begun=True)]
    assert order(queue, [Started("c", "ann", at(3), running=True)])[0].app == "a"


def test_a_build_that_was_put_off_keeps_its_turn_among_those_of_its_app() -> None:
    queue = [waiting("a", "ann", 1, begun=True, not_before=at(10)), waiting("a", "ann", 2), waiting("b", "bob", 3)]
    assert next_build(queue, [], at(5)) == queue[2]
    assert next_build(queue, [], at(11)) == queue[0]


def test_reasons() -> None:
    running = [Started("a", "ann", at(0), running=True), Started("b", "bob", at(0), running=True)]
    queue = [waiting("a", "ann", 1), waiting("a", "ann", 2), waiting("c", "cid", 3), waiting("d", "dan", 4)]
    told = reasons(queue, running, 2)
    assert told["a-1"] == "Another build of this app must end first. This one is queued, and starts then."
    assert told["a-2"].startswith("2 other builds of this app must end first.")
    assert told["c-3"] == "All 2 build places are taken. This build is queued: it is next in the queue."
    assert told["d-4"].endswith("it is number 2 in the queue.")
    assert reasons(queue[2:], running, 3) == {}


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xy"), st.integers(0, 50)), max_size=12),
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xy"), st.integers(0, 50), st.booleans()), max_size=5),
)
def test_everybody_is_served_and_an_app_in_its_order(
    builds: list[tuple[str, str, int]], began: list[tuple[str, str, int, bool]]
) -> None:
    queue = [Waiting(f"{n:02}", app, user, at(second)) for n, (app, user, second) in enumerate(builds)]
    started = [Started(app, user, at(second), running) for app, user, second, running in began]
    found = order(queue, started)
    assert sorted(one.id for one in found) == sorted(one.id for one in queue)
    for app in "abcd":
        mine = [(one.created_at, one.id) for one in found if one.app == app]
        assert mine == sorted(mine)
    chosen = next_build(queue, started, at(60))
    busy = {one.app for one in started if one.running}
    assert (chosen is None) == all(one.app in busy for one in queue)
