"""When certificates are renewed and tried again, and what users are told meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pogo.rules import acme
from pogo.rules.acme import DomainState

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_renewed_when_a_third_of_the_life_is_left() -> None:
    for days in (6, 45, 90, 365):
        end = START + timedelta(days=days)
        assert end - acme.renew_at(START, end) == timedelta(days=days) / 3


def test_attempts_stay_below_what_authorities_allow() -> None:
    attempts = [timedelta()]
    for failures in range(1, 30):
        attempts.append(attempts[-1] + acme.pause(failures))
    for first in range(len(attempts)):
        within = [one for one in attempts[first:] if one - attempts[first] < timedelta(hours=1)]
        assert len(within) <= 3  # Let's Encrypt: five failed validations of a name an hour
    assert acme.pause(1000) == timedelta(days=1)
    pauses = [acme.trouble_pause(troubles) for troubles in range(1, 50)]
    assert pauses == sorted(pauses) and pauses[0] < timedelta(seconds=10) and pauses[-1] == timedelta(hours=1)


def test_how_names_are_proven() -> None:
    assert acme.kind(("www.example.com",), platform=False, dns=True) == "http-01"
    assert acme.kind(("*.example.com",), platform=False, dns=False) == "dns-01"
    wildcard = acme.platform_names("example.com", dns=True)
    assert wildcard == ("example.com", "*.example.com")
    assert acme.kind(wildcard, platform=True, dns=True) == "dns-01"
    plain = acme.platform_names("example.com", dns=False)
    assert "api.example.com" in plain and acme.kind(plain, platform=True, dns=False) == "http-01"


def test_what_users_are_told() -> None:
    states = {
        DomainState(): ("pending", None),
        DomainState(ordered=True): ("verified", None),
        DomainState(troubles=2, reason="down"): ("pending", "down"),
        DomainState(failures=1, reason="NXDOMAIN"): ("failing", "NXDOMAIN"),
        DomainState(failures=acme.FAILED, reason="NXDOMAIN"): ("failed", "NXDOMAIN"),
        DomainState(issued=True): ("cert issued", None),
        DomainState(issued=True, ordered=True): ("cert issued", None),
        DomainState(issued=True, troubles=3, reason="down"): ("cert issued", None),
        DomainState(issued=True, failures=1, reason="NXDOMAIN"): ("failing", "NXDOMAIN"),
    }
    for state, told in states.items():
        assert acme.status(state) == told, state
    assert acme.status(DomainState(possible=False))[0] == "disabled"
    assert acme.status(DomainState(own="mine-1"))[0] == "cert issued"
