"""What becomes of each operation of Heroku's schema: routed, or absent with the reason. For tests and documents."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from heroku_schema import plain

ADD_ONS = "add-ons come with the stores"
SPACES = "there are no private spaces: the whole platform is yours"
ENTERPRISE = "there are no enterprise accounts above teams"
BILLING = "nothing is billed"
TESTS = "test runs (Heroku CI) are not offered"

#: By resource: why what has no route has none.
REASONS = {
    "account-feature": "no feature of accounts can be switched",
    "add-on": ADD_ONS,
    "add-on-action": ADD_ONS,
    "add-on-attachment": ADD_ONS,
    "add-on-config": ADD_ONS,
    "add-on-region-capability": ADD_ONS,
    "add-on-webhook": ADD_ONS,
    "add-on-webhook-delivery": ADD_ONS,
    "add-on-webhook-event": ADD_ONS,
    "allowed-add-on-service": ADD_ONS,
    "archive": ENTERPRISE,
    "audit-trail-event": ENTERPRISE,
    "credit": BILLING,
    "enterprise-account": ENTERPRISE,
    "enterprise-account-daily-usage": ENTERPRISE,
    "enterprise-account-member": ENTERPRISE,
    "enterprise-account-monthly-usage": ENTERPRISE,
    "generation": "every team has the one generation there is",
    "identity-provider": "there is no single sign-on",
    "inbound-ruleset": SPACES,
    "invoice": BILLING,
    "invoice-address": BILLING,
    "log-drain": ADD_ONS,
    "oci-image": "apps are slugs of buildpacks, not images",
    "peering": SPACES,
    "peering-info": SPACES,
    "plan": ADD_ONS,
    "sms-number": "the platform sends no text messages",
    "space": SPACES,
    "space-app-access": SPACES,
    "space-nat": SPACES,
    "space-topology": SPACES,
    "space-transfer": SPACES,
    "team": ENTERPRISE,
    "team-delinquency": BILLING,
    "team-invoice": BILLING,
    "telemetry-drain": "OpenTelemetry drains are not offered",
    "test-case": TESTS,
    "test-node": TESTS,
    "test-run": TESTS,
    "vpn-connection": SPACES,
}


#: Routed, and they say that there is no such thing, whatever it is called (404): what of the message tells so.
NOTHING_THERE = {
    "GET /account/features/{account-feature}": "Couldn't find that feature",
    "GET /addon-services/{add-on-service}": "add-ons are not there yet",
    "GET /addon-services/{add-on-service}/plans": "add-ons are not there yet",
    "GET /teams/{team}/features/{team-feature}": "Couldn't find that feature",
    "POST /actions/addon-attachments/resolve": "add-ons are not there yet",
    "POST /actions/addons/resolve": "add-ons are not there yet",
    "POST /apps/{app}/addons": "add-ons are not there yet",
}


class Operation(NamedTuple):
    """href: `/apps/{app}/dynos`. state: `routed`, or `absent` for a reason."""

    resource: str
    title: str
    method: str
    href: str
    state: str
    reason: str


def operations(schema: Mapping[str, Any], served: Collection[str]) -> list[Operation]:
    """schema: Heroku's. served: our operations, as `GET /apps/{app}`."""
    patterns = [re.compile(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(one))) for one in served]
    found = []
    for resource, described in schema["definitions"].items():
        for link in described.get("links", []):
            href = plain(link["href"])
            routed = any(pattern.fullmatch(f"{link['method']} {href}") for pattern in patterns)
            reason = "" if routed else REASONS.get(resource, "")
            state = "routed" if routed else "absent"
            found.append(Operation(resource, link["title"], link["method"], href, state, reason))
    return found
