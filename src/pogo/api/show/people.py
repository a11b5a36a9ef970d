"""Accounts and authorizations."""

from __future__ import annotations

from typing import Any

from pogo.api.show.shapes import stable_id, time, user_ref
from pogo.model import Authorization, User, utcnow

REDACTED = "*" * 10


def account(user: User) -> dict[str, Any]:
    return {
        "allow_tracking": False,
        "beta": False,
        "country_of_residence": None,
        "created_at": time(user.created_at),
        "default_organization": None,
        "default_team": None,
        "delinquent_at": None,
        "email": user.email,
        "federated": False,
        "id": user.id,
        "identity_provider": None,
        "last_login": time(user.last_login),
        "name": user.name,
        "sms_number": None,
        "suspended_at": None,
        "two_factor_authentication": False,
        "updated_at": time(user.updated_at),
        "verified": True,
    }


def authorization(row: Authorization, token: str = "") -> dict[str, Any]:
    """token: only where the caller knows it anyhow, or it was just made; else it is redacted."""
    expires_in = max(0, int((row.expires_at - utcnow()).total_seconds())) if row.expires_at else None
    access_token = {"id": stable_id("token", row.id), "token": token or REDACTED, "expires_in": expires_in}
    return {
        "access_token": access_token,
        "client": None,
        "created_at": time(row.created_at),
        "description": row.description,
        "grant": None,
        "id": row.id,
        "refresh_token": None,
        "scope": row.scope,
        "session": None,
        "updated_at": time(row.updated_at),
        "user": {**user_ref(row.user), "full_name": row.user.name},
    }
