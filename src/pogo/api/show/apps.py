"""Apps and what belongs to them whatever is deployed."""

from __future__ import annotations

from typing import Any

from pogo.api.show import catalog
from pogo.api.show.shapes import app_ref, stable_id, time, user_ref
from pogo.model import App, Collaborator, Domain, LogDrain
from pogo.rules import acme, buildpacks
from pogo.rules.acme import DomainState
from pogo.services.app_list import AppFacts, facts
from pogo.services.formation import FormationView
from pogo.settings import Settings

_PERMISSIONS = {
    "deploy": "Can deploy code and change config vars.",
    "manage": "Can manage access, rename and destroy the app.",
    "operate": "Can scale, restart and run dynos.",
    "view": "Can view the app.",
}


def app(settings: Settings, row: App, slug_size: int | None, *, extended: bool = False) -> dict[str, Any]:
    """slug_size: bytes of the slug that runs."""
    return listed(settings, facts(row, slug_size), extended=extended)


def listed(settings: Settings, row: AppFacts, *, extended: bool = False) -> dict[str, Any]:
    team = {"id": row.team_id, "name": row.team_name} if row.team_id else None
    shown = {
        "acm": row.acm,
        "archived_at": None,
        "build_stack": catalog.stack_ref(row.build_stack),
        "buildpack_provided_description": row.detected,
        "create_status": "complete",
        "created_at": time(row.created_at),
        "generation": catalog.GENERATION,
        "git_url": f"{settings.https_url(settings.git_host)}/{row.name}.git",
        "id": row.id,
        "internal_routing": None,
        "locked": row.locked,
        "maintenance": row.maintenance,
        "name": row.name,
        "organization": team,
        "owner": _owner(row.owner_id, row.owner_email, row.team_id, row.team_name),
        "process_tier": "basic",
        "region": catalog.REGION,
        "released_at": time(row.released_at),
        "repo_size": row.repo_size,
        "slug_size": row.slug_size,
        "space": None,
        "stack": catalog.stack_ref(row.stack),
        "team": team,
        "updated_at": time(row.updated_at),
        "web_url": settings.app_url(row.name),
    }
    return {**shown, "extended": {"slot": row.slot}} if extended else shown


def owner_ref(row: App) -> dict[str, Any]:
    return _owner(row.owner_id, row.owner.email, row.team_id, row.team.name if row.team else None)


def _owner(user_id: str, email: str, team_id: str | None, team_name: str | None) -> dict[str, Any]:
    """Heroku's form of a team that owns an app, by which its CLI knows it: an e-mail of a domain of its own."""
    if team_id:
        return {"id": team_id, "email": f"{team_name}@herokumanager.com"}
    return {"id": user_id, "email": email}


def collaborator(app: App, row: Collaborator) -> dict[str, Any]:
    return {
        "app": app_ref(app),
        "created_at": time(row.created_at),
        "id": row.id,
        "permissions": _permissions(*row.permissions),
        "role": "collaborator",
        "updated_at": time(row.updated_at),
        "user": {**user_ref(row.user), "federated": False},
    }


def owner(app: App) -> dict[str, Any]:
    """The owner, as the first of the collaborators (Heroku)."""
    return {
        "app": app_ref(app),
        "created_at": time(app.created_at),
        "id": stable_id("owner", f"{app.id}/{app.owner_id}"),
        "permissions": _permissions("deploy", "manage", "operate", "view"),
        "role": "owner",
        "updated_at": time(app.created_at),
        "user": {**user_ref(app.owner), "federated": False},
    }


def _permissions(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "description": _PERMISSIONS[name]} for name in names]


def domain(
    settings: Settings, app: App, row: Domain, *, endpoint: str | None = None, acm: DomainState | None = None
) -> dict[str, Any]:
    """endpoint: name of its certificate. acm: of a domain whose app has automatic certificates."""
    status, reason = acme.status(acm) if acm else (None, None)
    return {
        "acm_status": status,
        "acm_status_reason": reason,
        "app": app_ref(app),
        "cname": settings.app_host(app.name) if row.app_id else None,
        "created_at": time(row.created_at),
        "hostname": row.hostname,
        "id": row.id,
        "kind": "custom" if row.app_id else "heroku",
        "sni_endpoint": {"id": row.sni_endpoint_id, "name": endpoint} if endpoint else None,
        "status": "succeeded",
        "updated_at": time(row.updated_at),
    }


def default_domain(settings: Settings, app: App) -> Domain:
    """The app's own name on the platform's domain, as a row that is in no table (`app_id` is empty)."""
    return Domain(
        id=stable_id("domain", app.id),
        app_id="",
        hostname=settings.app_host(app.name),
        created_at=app.created_at,
        updated_at=app.created_at,
    )


def drain(app: App, row: LogDrain) -> dict[str, Any]:
    return {
        "addon": None,
        "app": app_ref(app),
        "created_at": time(row.created_at),
        "id": row.id,
        "token": row.token,
        "updated_at": time(row.updated_at),
        "url": row.url,
    }


def formation(app: App, view: FormationView) -> dict[str, Any]:
    return {
        "app": app_ref(app),
        "command": view.command,
        "created_at": time(view.row.created_at),
        "dyno_size": catalog.size_ref(view.row.size),
        "id": view.row.id,
        "quantity": view.row.quantity,
        "size": view.row.size,
        "type": view.row.type,
        "updated_at": time(view.row.updated_at),
    }


def buildpack(given: str) -> dict[str, Any]:
    """`ns/name` is shown as it is, so that clients find by its name what the user asked for by its name."""
    name = buildpacks.display_name(given)
    return {"url": name, "name": name}
