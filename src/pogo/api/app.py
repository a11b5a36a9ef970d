"""The HTTP application of pogod: all resources, and how errors are told, once."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException

from pogo import __version__
from pogo.api import answers
from pogo.api.bodies import explain
from pogo.api.envelope import Envelope
from pogo.api.resources import (
    absent,
    account,
    acm,
    app_setups,
    apps,
    audit,
    authorizations,
    browser,
    buildpacks,
    builds,
    catalog,
    checks,
    clients,
    collaborators,
    config_vars,
    domains,
    drains,
    dynos,
    exec_manager,
    features,
    formation,
    inside,
    invitations,
    keys,
    logs,
    metrics,
    output,
    passkeys,
    pipelines,
    promotions,
    registry,
    releases,
    review_apps,
    router_metrics,
    router_settings,
    slugs,
    sni_endpoints,
    sources,
    team_apps,
    teams,
    transfers,
    two_factor,
    usage,
    webhooks,
)
from pogo.errors import BadRequest, InvalidParams, NotFound, PogoError, RateLimited, Unauthorized
from pogo.services.platform import Platform

RESOURCES = (
    account,
    two_factor,
    passkeys,
    keys,
    transfers,
    authorizations,
    clients,
    invitations,
    audit,
    browser,
    apps,
    app_setups,
    absent,
    usage,
    team_apps,
    teams,
    pipelines,
    promotions,
    review_apps,
    collaborators,
    config_vars,
    releases,
    slugs,
    builds,
    sources,
    buildpacks,
    registry,
    formation,
    dynos,
    inside,
    exec_manager,
    domains,
    sni_endpoints,
    acm,
    drains,
    webhooks,
    features,
    checks,
    router_settings,
    router_metrics,
    metrics,
    catalog,
    logs,
)
STREAMS = (logs, output, sources, browser, passkeys)
EXPOSED = ["Accept-Ranges", "Content-Range", "ETag", "Next-Range", "Oauth-Scope", "RateLimit-Remaining", "Request-Id"]


def create_app(platform: Platform) -> FastAPI:
    app = FastAPI(
        title="Pogoapp Platform API", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.platform = platform
    app.state.stopping = asyncio.Event()  # set when pogod is told to end
    for module in RESOURCES:
        app.include_router(module.router)
    for module in STREAMS:
        app.include_router(module.streams)
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=EXPOSED
    )
    app.add_middleware(Envelope)
    app.add_exception_handler(PogoError, _on_pogo_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    return app


def _on_pogo_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PogoError)
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Basic realm="Pogoapp"'
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.retry_after)
    return answers.error(error, headers)


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if error.errors()[0]["type"] == "json_invalid":
        return answers.error(BadRequest("The body of the request is not valid JSON."))
    return answers.error(InvalidParams(explain(error.errors())))


def _on_http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: unknown paths, wrong methods, bodies too large or broken."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return answers.error(NotFound("endpoint", f"There is no endpoint {request.method} at this path."))
    known = {405: "method_not_allowed", 413: "payload_too_large"}
    refusal = BadRequest(f"{request.method} is not possible here." if error.status_code == 405 else error.detail)
    refusal.status = error.status_code
    refusal.id = known.get(error.status_code, "bad_request")
    return answers.error(refusal, error.headers)
