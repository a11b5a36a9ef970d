"""Certificates from a public authority (ACME, RFC 8555): when to try again, and what users are told. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Kind = Literal["http-01", "dns-01"]

PLATFORM = "platform"
WELL_KNOWN = "/.well-known/acme-challenge/"
# After a validation that failed. Let's Encrypt allows five an hour for one name; three are made here.
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 45, 120, 360, 720, 1440))
# After an authority that did not answer; nothing is counted against us there.
TROUBLE_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 300, 900, 1800, 3600))
# Failures in a row after which a domain is shown as failed. It is still tried, once a day.
FAILED = 5
# Let's Encrypt takes 300 orders of one account in three hours.
ORDERS, ORDERS_TIME = 250, timedelta(hours=3)
LIMITED_PAUSE = timedelta(hours=1)
# How long an authority may take to look and to sign.
PATIENCE = timedelta(minutes=15)
# A refresh asked for by a user does not come sooner after the last attempt.
REFRESH_PAUSE = timedelta(minutes=1)


@dataclass(frozen=True)
class Challenge:
    """How one name is proven. where, what: path and text to answer with (http-01), or name and value of a TXT record.

    url: of the challenge at the authority.
    """

    kind: Kind
    url: str
    where: str
    what: str


@dataclass(frozen=True)
class Wanted:
    """target: what the certificate is for, see model.AcmeOrder."""

    target: str
    names: tuple[str, ...]


def platform_names(domain: str, *, dns: bool) -> tuple[str, ...]:
    """What the platform's own certificate is for: a wildcard, which only DNS can prove, where that is possible."""
    return (domain, f"*.{domain}") if dns else tuple(f"{name}.{domain}" for name in ("api", "dashboard", "git"))


def kind(names: Sequence[str], *, platform: bool, dns: bool) -> Kind:
    """How to prove these names. dns: whether the operator's program for DNS is there."""
    return "dns-01" if any(name.startswith("*.") for name in names) or (platform and dns) else "http-01"


def renew_at(starts_at: datetime, expires_at: datetime) -> datetime:
    """When a third of its life is left (the authorities' advice: 30 days of 90)."""
    return expires_at - (expires_at - starts_at) / 3


def pause(failures: int) -> timedelta:
    """failures: in a row, this one included."""
    return PAUSES[min(failures, len(PAUSES)) - 1]


def trouble_pause(troubles: int) -> timedelta:
    return TROUBLE_PAUSES[min(troubles, len(TROUBLE_PAUSES)) - 1]


@dataclass(frozen=True)
class DomainState:
    """What is known of a domain of an app with automatic certificates.

    possible: whether the platform gets certificates at all. own: name of the certificate that the user chose for it.
    issued: whether it has one of ours. ordered: an order runs. failures, troubles, reason: see model.AcmeOrder.
    """

    possible: bool = True
    own: str | None = None
    issued: bool = False
    ordered: bool = False
    failures: int = 0
    troubles: int = 0
    reason: str | None = None


def status(domain: DomainState) -> tuple[str, str | None]:
    """`acm_status` and its reason, in Heroku's words; the official client waits for `cert issued` or `failed`."""
    if domain.own:
        return "cert issued", f"It uses the certificate {domain.own}, which is not managed by the platform."
    if not domain.possible:
        return "disabled", "The platform gets no certificates at present. Ask its operator."
    if domain.failures:
        return "failed" if domain.failures >= FAILED else "failing", domain.reason
    if domain.troubles and not domain.issued:
        return "pending", domain.reason
    if domain.issued:
        return "cert issued", None
    return ("verified" if domain.ordered else "pending"), None
