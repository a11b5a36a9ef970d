"""Teams: their names, and who must stay in them."""

from __future__ import annotations

from collections.abc import Mapping

from pogo.errors import InvalidParams
from pogo.rules.names import check_own_name
from pogo.rules.permissions import ADMIN, MEMBER, VIEWER

RESERVED = frozenset({"apps", "invitations", "permissions"})  # their paths would be others'
ROLES = (ADMIN, MEMBER, VIEWER)
"""That can be given; who collaborates on an app of a team without one of them is its `collaborator`."""


def check_name(name: str) -> None:
    """Raises InvalidParams."""
    check_own_name(name, "team", RESERVED)


def check_role(role: str | None) -> str:
    """The role. Raises InvalidParams."""
    if role not in ROLES:
        raise InvalidParams(f"Role {role!r} is not one of {', '.join(ROLES)}.")
    return role


def check_admins(roles: Mapping[str, str], user_id: str, role: str | None) -> None:
    """Whether a member may get another role, or go (None). roles: of all members, by user id.

    Raises InvalidParams: a team keeps one admin at least.
    """
    left = {**roles, user_id: role}
    if ADMIN in roles.values() and ADMIN not in left.values():
        raise InvalidParams("A team needs an admin, and this is its last one. Make somebody else an admin first.")
