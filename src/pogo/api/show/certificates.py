"""Certificates, and what is known of those of a domain."""

from __future__ import annotations

from typing import Any

from pogo.api.show.shapes import app_ref, time
from pogo.model import App
from pogo.services.certificates import EndpointView


def endpoint(app: App, view: EndpointView) -> dict[str, Any]:
    """acm: not in the schema, but read by the official client."""
    row = view.row
    return {
        "app": app_ref(app),
        "certificate_chain": row.chain,
        "created_at": time(row.created_at),
        "display_name": None,
        "domains": list(view.domains),
        "id": row.id,
        "name": row.name,
        "ssl_cert": {
            "acm": row.acm,
            "ca_signed?": row.trusted,
            "cert_domains": row.names,
            "expires_at": time(row.expires_at),
            "id": row.cert_id,
            "issuer": row.issuer,
            "self_signed?": row.issuer == row.subject,
            "starts_at": time(row.starts_at),
            "subject": row.subject,
        },
        "updated_at": time(row.updated_at),
    }
