"""Teams: roles and what they bring; names; the last admin. Pipelines and webhooks: their decisions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pogo.errors import InvalidParams
from pogo.rules import permissions, pipelines, teams, webhooks


@pytest.mark.parametrize(
    ("owner", "given", "role", "expected"),
    [
        (True, None, None, "deploy manage operate view"),
        (False, None, None, ""),
        (False, ["deploy"], None, "deploy view"),
        (False, [], None, "view"),
        (False, None, "viewer", "view"),
        (False, None, "member", "view"),
        (False, ["operate"], "member", "operate view"),
        (False, None, "collaborator", ""),
        (False, None, "admin", "deploy manage operate view"),
        (False, ["nonsense"], None, "view"),
    ],
)
def test_permissions(owner: bool, given: list[str] | None, role: str | None, expected: str) -> None:
    assert permissions.permissions(owner=owner, given=given, role=role) == set(expected.split())


def test_who_may_join_create_and_administer() -> None:
    joins = {
        (role, locked)
        for role in permissions.TEAM_ROLES
        for locked in (0, 1)
        if permissions.may_join(role, locked=bool(locked))
    }
    assert joins == {("admin", 0), ("admin", 1), ("member", 0)}
    assert [role for role in permissions.TEAM_ROLES if permissions.may_create(role)] == ["admin", "member"]
    assert [role for role in permissions.TEAM_ROLES if permissions.may_administer(role)] == ["admin"]
    assert not permissions.may_join(None, locked=False)


def test_a_team_keeps_an_admin() -> None:
    roles = {"a": "admin", "b": "member"}
    teams.check_admins(roles, "b", "admin")
    teams.check_admins(roles, "b", None)
    for role in (None, "member"):
        with pytest.raises(InvalidParams):
            teams.check_admins(roles, "a", role)
        teams.check_admins({**roles, "b": "admin"}, "a", role)


def test_names() -> None:
    teams.check_name("acme-1")
    pipelines.check_name("acme-1")
    for name in ("Acme", "apps", "a", "a" * 31, "acme-", "ä"):
        with pytest.raises(InvalidParams):
            teams.check_name(name)


@pytest.mark.parametrize(
    ("base", "number", "expected"),
    [
        ("shop", 12, "shop-pr-12"),
        ("shop", None, "shop-abc123"),
        ("a" * 40, 7, "a" * 25 + "-pr-7"),
        ("x" * 24 + "-yy", 123, "x" * 23 + "-pr-123"),
    ],
)
def test_names_of_review_apps(base: str, number: int | None, expected: str) -> None:
    made = pipelines.review_name(base, number, "abc123")
    assert made == expected
    assert len(made) <= 30


def test_what_became_of_a_promotion() -> None:
    status = pipelines.target_status
    assert [status(one, None) for one in ("pending", "succeeded", "failed", "expired", None)] == [
        "pending",
        "succeeded",
        "failed",
        "failed",
        "failed",
    ]
    assert status("succeeded", "no") == "failed"
    assert pipelines.promotion_status(["succeeded", "pending"]) == "pending"
    assert pipelines.promotion_status(["succeeded", "failed"]) == "completed"


def test_when_a_delivery_is_tried_again() -> None:
    now = timedelta()
    assert webhooks.pause("notify", 1, now, 0.5) is None
    assert [webhooks.pause("sync", count, now, 0.5) for count in (1, 2, 3)] == [2, 4, 8]
    assert webhooks.pause("sync", 400, now, 0.5) == 3600
    assert webhooks.pause("sync", 1, now, 0) == 1.5
    assert webhooks.pause("sync", 1, timedelta(hours=72), 0.5) is None


def test_the_signature_of_heroku() -> None:
    """An example computed with openssl: printf '{}' | openssl dgst -sha256 -hmac shh -binary | base64"""
    assert webhooks.signature("shh", b"{}") == "m3A4wF7cz2Q9citS268s6isVnK8zml4SwDVuC4t7B5Q="
