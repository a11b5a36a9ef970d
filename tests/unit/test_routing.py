from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.router import Backend, Server
from pogo.rules.routing import AppView, DynoView, backend, routes

WORDS = st.sampled_from(["starting", "up", "stopping", "crashed"])


@st.composite
def apps(draw: st.DrawFn) -> AppView:
    count = draw(st.integers(0, 8))
    dynos = tuple(
        DynoView(
            f"c{index}",
            draw(st.sampled_from(["web", "web", "web", "worker"])),
            draw(WORDS),
            draw(st.booleans()),
            f"10.83.0.{index + 1}",
            5000,
        )
        for index in range(count)
    )
    return AppView(
        slot=1,
        name="shop",
        hosts=("shop.localhost",),
        maintenance=draw(st.booleans()),
        has_slug=draw(st.booleans()),
        web_quantity=draw(st.integers(0, 4)),
        dynos=dynos,
    )


def names(servers: tuple[Server, ...]) -> set[str]:
    return {server.name for server in servers}


def web(container_id: str, state: str, *, retired: bool = False) -> DynoView:
    return DynoView(container_id, "web", state, retired, "10.83.0.9", 5000)  # type: ignore[arg-type]


@given(apps())
def test_a_stopping_crashed_or_starting_dyno_gets_no_request(app: AppView) -> None:
    up = {dyno.container_id for dyno in app.dynos if dyno.state == "up" and dyno.type == "web"}
    assert names(backend(app).servers) <= up


@given(apps())
def test_a_dyno_serves_or_drains_never_both(app: AppView) -> None:
    found = backend(app)
    assert not names(found.servers) & names(found.draining)


@given(apps())
def test_a_switch_never_takes_the_last_serving_dyno(app: AppView) -> None:
    up = [dyno for dyno in app.dynos if dyno.state == "up" and dyno.type == "web"]
    if app.web_quantity and up:
        assert backend(app).servers


@given(apps())
def test_a_new_dyno_that_is_up_always_serves(app: AppView) -> None:
    new = {d.container_id for d in app.dynos if d.state == "up" and d.type == "web" and not d.retired}
    assert new <= names(backend(app).servers)


@given(apps())
def test_old_dynos_leave_together(app: AppView) -> None:
    old = {d.container_id for d in app.dynos if d.state == "up" and d.type == "web" and d.retired}
    found = backend(app)
    assert old <= names(found.servers) or old <= names(found.draining)


@given(apps())
def test_whoever_has_requests_may_finish_them(app: AppView) -> None:
    """No up or stopping web dyno disappears from the router: only the loop that stops it takes it away."""
    alive = {d.container_id for d in app.dynos if d.state in ("up", "stopping") and d.type == "web"}
    found = backend(app)
    assert names(found.servers) | names(found.draining) == alive


@given(apps())
def test_an_app_serves_or_says_why_not(app: AppView) -> None:
    found = backend(app)
    assert bool(found.refusal) == (app.maintenance or not found.servers)


def test_a_deploy_step_by_step() -> None:
    old = (web("old1", "up", retired=True), web("old2", "up", retired=True))

    def step(*new: DynoView) -> tuple[set[str], set[str]]:
        found = backend(AppView(1, "shop", web_quantity=2, dynos=old + new))
        return names(found.servers), names(found.draining)

    assert step() == ({"old1", "old2"}, set())
    assert step(web("new1", "starting"), web("new2", "starting")) == ({"old1", "old2"}, set())
    assert step(web("new1", "up"), web("new2", "starting")) == ({"old1", "old2", "new1"}, set())
    assert step(web("new1", "up"), web("new2", "crashed")) == ({"old1", "old2", "new1"}, set())
    assert step(web("new1", "up"), web("new2", "up")) == ({"new1", "new2"}, {"old1", "old2"})


@pytest.mark.parametrize(
    ("app", "refusal"),
    [
        (AppView(1, "a", maintenance=True, web_quantity=1, dynos=(web("c", "up"),)), "H80"),
        (AppView(1, "a"), "H14"),
        (AppView(1, "a", web_quantity=1, has_slug=False), "H14"),
        (AppView(1, "a", web_quantity=1), "H20"),
        (AppView(1, "a", web_quantity=1, dynos=(web("c", "starting"),)), "H20"),
        (AppView(1, "a", web_quantity=2, dynos=(web("c", "crashed"), web("d", "starting"))), "H20"),
        (AppView(1, "a", web_quantity=2, dynos=(web("c", "crashed"), web("d", "crashed"))), "H10"),
        (AppView(1, "a", web_quantity=1, dynos=(web("c", "crashed"), web("d", "stopping", retired=True))), "H10"),
        (AppView(1, "a", web_quantity=0, dynos=(web("c", "stopping"),)), "H14"),
        (AppView(1, "a", web_quantity=1, dynos=(web("c", "up"),)), ""),
    ],
)
def test_refusals(app: AppView, refusal: str) -> None:
    assert backend(app).refusal == refusal


def test_a_dyno_without_an_address_is_not_routed() -> None:
    app = AppView(1, "a", web_quantity=1, dynos=(DynoView("c", "web", "up"),))
    assert backend(app) == Backend(1, refusal="H20")


def test_hosts_are_lower_case_and_go_to_one_app() -> None:
    found = routes([AppView(7, "b", ("X.example.com.",)), AppView(3, "a", ("x.example.com", "a.localhost"))])
    assert found.hosts == {"x.example.com": 3, "a.localhost": 3}
    assert set(found.backends) == {3, 7}
