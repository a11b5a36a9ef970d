"""Teams as the Platform API shows them."""

from __future__ import annotations

from typing import Any

from pogo.api.show import apps
from pogo.api.show.shapes import app_ref, stable_id, time, user_ref
from pogo.model import App, Collaborator, Team, TeamInvitation, TeamMember, User
from pogo.rules import permissions
from pogo.settings import Settings


def team(row: Team, role: str | None) -> dict[str, Any]:
    return {
        "created_at": time(row.created_at),
        "credit_card_collections": False,
        "default": False,
        "enterprise_account": None,
        "id": row.id,
        "identity_provider": None,
        "membership_limit": None,
        "name": row.name,
        "provisioned_licenses": False,
        "role": role,
        "type": "team",
        "updated_at": time(row.updated_at),
    }


def member(row: TeamMember) -> dict[str, Any]:
    return _member(row.id, row.user, row.role, time(row.created_at), time(row.updated_at))


def guest(team: Team, user: User) -> dict[str, Any]:
    """Who has access to apps of the team without being in it (Heroku: role `collaborator`)."""
    at = time(team.created_at)
    return _member(stable_id("guest", f"{team.id}/{user.id}"), user, permissions.GUEST, at, at)


def _member(id: str, user: User, role: str, created_at: str, updated_at: str) -> dict[str, Any]:
    return {
        "created_at": created_at,
        "email": user.email,
        "federated": False,
        "id": id,
        "identity_provider": None,
        "role": role,
        "two_factor_authentication": user.totp_since is not None,
        "updated_at": updated_at,
        "user": {**user_ref(user), "name": user.name},
    }


def invitation(row: TeamInvitation, token: str | None = None) -> dict[str, Any]:
    """token: ours, for whoever has just invited: he passes it on."""
    shown = {
        "created_at": time(row.created_at),
        "id": row.id,
        "invited_by": {**user_ref(row.inviter), "name": row.inviter.name},
        "role": row.role,
        "team": {"id": row.team_id, "name": row.team.name},
        "updated_at": time(row.updated_at),
        "user": {"email": row.email, "id": stable_id("invited", row.email), "name": None},
    }
    return {**shown, "token": token} if token else shown


def app(settings: Settings, row: App, slug_size: int | None, *, joined: bool) -> dict[str, Any]:
    """joined: whether the caller collaborates on it."""
    return {**apps.app(settings, row, slug_size), "joined": joined}


def collaborator(row: App, found: Collaborator, role: str) -> dict[str, Any]:
    return {
        "app": app_ref(row),
        "created_at": time(found.created_at),
        "id": found.id,
        "permissions": named(found.permissions),
        "role": role,
        "updated_at": time(found.updated_at),
        "user": {**user_ref(found.user), "federated": False},
    }


def named(given: list[str]) -> list[dict[str, str]]:
    return [{"name": name, "description": permissions.PERMISSIONS[name]} for name in sorted(given)]
