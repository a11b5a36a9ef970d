"""Accounts, tokens, keys, transfers, the audit record."""

from __future__ import annotations

from typing import Any

from pogo.api.show.shapes import app_ref, stable_id, time, user_ref
from pogo.model import AppTransfer, AuditEvent, Authorization, Client, Grant, Invitation, Key, Passkey, User, utcnow

REDACTED = "*" * 10
PREFERENCES = {
    "timezone": str,
    "default-organization": str,
    "dismissed-github-banner": bool,
    "dismissed-getting-started": bool,
    "dismissed-org-access-controls": bool,
    "dismissed-org-wizard-notification": bool,
    "dismissed-pipelines-banner": bool,
    "dismissed-pipelines-github-banner": bool,
    "dismissed-pipelines-github-banners": list,
    "dismissed-sms-banner": bool,
}


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
        "two_factor_authentication": user.totp_since is not None,
        "updated_at": time(user.updated_at),
        "verified": True,
    }


def preferences(user: User) -> dict[str, Any]:
    return {name: user.preferences.get(name) for name in PREFERENCES}


def key(row: Key) -> dict[str, Any]:
    return {
        "comment": row.comment,
        "created_at": time(row.created_at),
        "email": row.user.email,
        "fingerprint": row.fingerprint,
        "id": row.id,
        "public_key": f"{row.public_key} {row.comment}".strip(),
        "updated_at": time(row.updated_at),
    }


def passkey(row: Passkey) -> dict[str, Any]:
    return {
        "backed_up": row.backed_up,
        "created_at": time(row.created_at),
        "id": row.id,
        "name": row.name,
        "transports": row.transports,
        "used_at": time(row.used_at) if row.used_at else None,
    }


def _expires_in(row: Authorization) -> int | None:
    return max(0, int((row.expires_at - utcnow()).total_seconds())) if row.expires_at else None


def token_id(row: Authorization) -> str:
    return stable_id("token", row.id)


def authorization(row: Authorization, token: str = "") -> dict[str, Any]:
    """token: only where the caller knows it anyhow, or it was just made; else it is redacted."""
    refresh = {"id": stable_id("refresh", row.id), "token": REDACTED, "expires_in": None}
    return {
        "access_token": {"id": token_id(row), "token": token or REDACTED, "expires_in": _expires_in(row)},
        "client": _client_ref(row.client) if row.client else None,
        "created_at": time(row.created_at),
        "description": row.description,
        "grant": None,
        "id": row.id,
        "refresh_token": refresh if row.refresh_sha256 else None,
        "scope": row.scope,
        "session": {"id": row.id} if row.session else None,
        "updated_at": time(row.updated_at),
        "user": {**user_ref(row.user), "full_name": row.user.name},
    }


def granted(row: Grant, code: str, client: Client, user: User) -> dict[str, Any]:
    """An authorization of which the client has to make a token yet."""
    seconds = max(0, int((row.expires_at - utcnow()).total_seconds()))
    return {
        "access_token": None,
        "client": _client_ref(client),
        "created_at": time(row.created_at),
        "description": client.name,
        "grant": {"code": code, "expires_in": seconds, "id": row.id},
        "id": row.id,
        "refresh_token": None,
        "scope": row.scope,
        "session": None,
        "updated_at": time(row.updated_at),
        "user": {**user_ref(user), "full_name": user.name},
    }


def token(row: Authorization, access: str = "", refresh: str = "", *, grant_type: str = "") -> dict[str, Any]:
    return {
        "access_token": {"expires_in": _expires_in(row), "id": token_id(row), "token": access or REDACTED},
        "authorization": {"id": row.id},
        "client": None,
        "created_at": time(row.created_at),
        "grant": {"code": REDACTED, "type": grant_type or "authorization_code"},
        "id": token_id(row),
        "refresh_token": {"expires_in": None, "id": stable_id("refresh", row.id), "token": refresh or REDACTED},
        "session": {"id": row.id},
        "updated_at": time(row.updated_at),
        "user": {"id": row.user_id},
    }


def session(row: Authorization) -> dict[str, Any]:
    return {
        "created_at": time(row.created_at),
        "description": row.description,
        "expires_in": _expires_in(row),
        "id": row.id,
        "updated_at": time(row.updated_at),
        "user": user_ref(row.user),
    }


def _client_ref(row: Client) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "redirect_uri": row.redirect_uri}


def client(row: Client) -> dict[str, Any]:
    return {
        **_client_ref(row),
        "created_at": time(row.created_at),
        "ignores_delinquent": None,
        "secret": row.secret,
        "updated_at": time(row.updated_at),
    }


def transfer(row: AppTransfer) -> dict[str, Any]:
    return {
        "app": app_ref(row.app),
        "created_at": time(row.created_at),
        "id": row.id,
        "owner": user_ref(row.owner),
        "recipient": user_ref(row.recipient),
        "state": row.state,
        "updated_at": time(row.updated_at),
    }


def invitation(row: Invitation) -> dict[str, Any]:
    """kind: `account` for a new one, `password` for a reset."""
    return {
        "created_at": time(row.created_at),
        "email": row.email,
        "expires_at": time(row.expires_at),
        "id": row.id,
        "invited_by": row.invited_by,
        "kind": "account" if row.user_id is None else "password",
    }


def password_reset(row: Invitation, user: User) -> dict[str, Any]:
    return {"created_at": time(row.created_at), "expires_at": time(row.expires_at), "user": user_ref(user)}


def audit_event(row: AuditEvent) -> dict[str, Any]:
    return {
        "action": row.action,
        "actor": {"id": row.user_id, "email": row.email, "authorization": row.authorization_id},
        "app": {"id": row.app, "name": row.app_name} if row.app else None,
        "changes": row.changes,
        "created_at": time(row.created_at),
        "id": row.id,
        "ip": row.ip,
        "number": row.number,
        "request_id": row.request_id,
        "user_agent": row.agent,
    }
