"""What a person may do to an app: permissions, and the roles that bring them.

Heroku has the same four permissions. The owner of an app, the operator and the admins of the team that owns
it have all of them; everybody else has what is written here.
"""

from __future__ import annotations

from collections.abc import Collection

VIEW, DEPLOY, OPERATE, MANAGE = "view", "deploy", "operate", "manage"
PERMISSIONS = {
    DEPLOY: "Can deploy code and change config vars.",
    MANAGE: "Can manage access, rename and destroy the app.",
    OPERATE: "Can scale, restart and run dynos.",
    VIEW: "Can view the app.",
}
"""Permission → what it allows, in the order in which they are listed."""

EVERYTHING = frozenset(PERMISSIONS)
COLLABORATOR = frozenset({VIEW, DEPLOY, OPERATE})
"""Of who was given access to an app without further words."""

ADMIN, MEMBER, VIEWER, GUEST = "admin", "member", "viewer", "collaborator"
TEAM_ROLES = (ADMIN, MEMBER, VIEWER, GUEST)
"""In a team. GUEST: only of those apps that he was given access to."""


def permissions(*, owner: bool, given: Collection[str] | None, role: str | None) -> frozenset[str]:
    """What someone may do to an app.

    owner: he owns it, or is the operator. given: his permissions as a collaborator, None for who is none.
    role: in the team that owns the app, None for who is not in it (or where no team owns the app).
    """
    if owner or role == ADMIN:
        return EVERYTHING
    found = frozenset(given) & EVERYTHING if given is not None else frozenset[str]()
    # Heroku: whoever may do anything to an app sees it; members and viewers of a team see its apps.
    return found | {VIEW} if found or given is not None or role in (MEMBER, VIEWER) else found


def may_join(role: str | None, *, locked: bool) -> bool:
    """Whether a member of a team may make himself a collaborator of an app of the team (Heroku: unless locked)."""
    return role == ADMIN or (role == MEMBER and not locked)


def may_create(role: str | None) -> bool:
    """Whether someone of this role may make apps and pipelines for the team."""
    return role in (ADMIN, MEMBER)


def may_administer(role: str | None) -> bool:
    """Whether someone of this role may change the team, its members and its invitations."""
    return role == ADMIN


def unknown(names: Collection[str]) -> list[str]:
    """Those of the names that are no permissions."""
    return sorted(set(names) - EVERYTHING)
