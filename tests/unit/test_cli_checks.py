"""checks, checks:set, checks:unset, router:metrics: what is asked of the API and what is printed."""

from __future__ import annotations

from typing import Any

import cli_double
from cli_double import DATE, Cli

cli = cli_double.cli
CHECKS = {"ready_path": None, "live_path": "/live", "live_period": 10, "live_timeout": 2.5, "live_failures": 3}


def test_checks_are_told_in_words(cli: Cli) -> None:
    cli.answer("GET /apps/myapp/checks", CHECKS)
    shown = cli.run("checks", "-a", "myapp").out
    assert "Ready: when the port answers\n" in shown
    assert "Live:  GET /live every 10 s, answered within 2.5 s; replaced after 3 failures in a row\n" in shown
    cli.double.answers.clear()
    cli.answer("GET /apps/myapp/checks", {**CHECKS, "live_path": None, "ready_path": "/up"})
    shown = cli.run("checks", "-a", "myapp").out
    assert "Ready: when GET /up is answered by 2xx or 3xx\nLive:  not checked\n" in shown


def test_checks_are_set_and_unset(cli: Cli) -> None:
    cli.answer("PATCH /apps/myapp/checks", CHECKS)
    result = cli.run("checks:set", "live=/live?a=b", "timeout=2.5", "failures=3", "-a", "myapp")
    assert cli.requests[0].body == {"live_path": "/live?a=b", "live_timeout": 2.5, "live_failures": 3}
    assert result.err == "Setting live, timeout, failures of myapp... done\n"
    assert "Live:" in result.out
    cli.run("checks:unset", "live", "ready", "-a", "myapp")
    assert cli.requests[0].body == {"live_path": None, "ready_path": None}


def test_check_settings_that_make_no_sense(cli: Cli) -> None:
    for words in (["path=/x"], ["live"], ["failures=many"], []):
        result = cli.run("checks:set", *words, "-a", "myapp")
        assert result.status == 1
        assert cli.calls == []
    assert "Settings: ready, live, period, timeout, failures" in cli.run("checks:unset", "path", "-a", "myapp").err


def row(requests: int, **more: Any) -> dict[str, Any]:
    return {
        "at": DATE,
        "requests": requests,
        "rate": requests / 60,
        "statuses": {"2xx": requests, "3xx": 0, "4xx": 0, "5xx": 0},
        "errors": {},
        "service": {"p50": 3, "p95": 20, "p99": 90},
        **more,
    }


def test_metrics_are_a_table(cli: Cli) -> None:
    found = {"rows": [row(0), row(60, errors={"H12": 2, "H27": 1})], "total": row(60)}
    cli.answer("GET /apps/myapp/router-metrics?minutes=60&step=5", found)
    cli.answer("GET /apps/myapp/router-metrics?minutes=1440&step=120", found)
    lines = cli.run("router:metrics", "-a", "myapp").out.splitlines()
    assert lines[0] == "=== myapp Requests in the last 60 minutes"
    assert lines[2].split()[:3] == ["From", "Requests", "Per"]
    assert lines[4].split() == ["12:00", "0"]
    assert lines[5].split() == ["12:00", "60", "1.00", "60", "0", "0", "0", "3", "20", "90", "H12:2", "H27:1"]
    assert lines[6].split()[0] == "total"
    assert cli.run("router:metrics", "-a", "myapp", "-m", "1440").status == 0
