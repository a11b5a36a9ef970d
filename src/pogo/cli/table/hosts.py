"""Domains, certificates, the router."""

from __future__ import annotations

from pogo.cli.parser import Arg, Command, Flag
from pogo.cli.table.flags import APP, CONFIRM, CONFIRM_C, ENDPOINT, JSON, JSON_J, PEM

COMMANDS = (
    Command("certs", "certs:show", "list the certificates of an app", (), APP),
    Command("certs:add", "certs:add", "add a certificate (PEM files)", PEM, APP),
    Command(
        "certs:auto",
        "certs:auto",
        "show the certificates that the platform gets by itself",
        (),
        (*APP, Flag("wait", help="until all domains have one, or failed")),
    ),
    Command("certs:auto:disable", "certs:auto_disable", "no automatic certificates any more", (), (*APP, CONFIRM_C)),
    Command(
        "certs:auto:enable",
        "certs:auto_enable",
        "have the platform get certificates for the app's domains",
        (),
        (*APP, Flag("wait", help="until all domains have one, or failed")),
    ),
    Command("certs:auto:refresh", "certs:auto_refresh", "try again now where it failed", (), APP),
    Command(
        "certs:generate",
        "certs:generate",
        "make a key with a signing request, or with a self-signed certificate",
        (Arg("domain", True),),
        (
            *APP,
            Flag("area", help="state or province of the owner", option=True),
            Flag("city", help="city of the owner", option=True),
            Flag("country", help="country of the owner, two letters", option=True),
            Flag("keysize", help="bits of the RSA key (2048)", option=True),
            Flag("now", help="do not ask for the owner"),
            Flag("owner", help="name of the owner", option=True),
            Flag("selfsigned", help="a self-signed certificate instead of a request"),
            Flag("subject", help="the whole subject", option=True),
        ),
    ),
    Command(
        "certs:info",
        "certs:info",
        "show a certificate",
        (),
        (*APP, *ENDPOINT, Flag("show-domains", help="with the domains that use it")),
    ),
    Command("certs:remove", "certs:remove", "remove a certificate", (), (*APP, CONFIRM, *ENDPOINT)),
    Command("certs:update", "certs:update", "replace a certificate (PEM files)", PEM, (*APP, CONFIRM, *ENDPOINT)),
    Command(
        "domains",
        "domains:show",
        "list the domains of an app",
        (),
        (*APP, JSON_J),
    ),
    Command(
        "domains:add",
        "domains:add",
        "add a domain",
        (Arg("hostname", True),),
        (
            *APP,
            Flag("cert", "c", "certificate to use for it", option=True),
            JSON_J,
            Flag("wait", help="wait until the domain is ready"),
        ),
    ),
    Command("domains:clear", "domains:clear", "remove all custom domains", (), APP),
    Command("domains:info", "domains:info", "show a domain", (Arg("hostname", True),), APP),
    Command("domains:remove", "domains:remove", "remove a domain", (Arg("hostname", True),), APP),
    Command(
        "domains:update",
        "domains:update",
        "use a certificate for a domain",
        (Arg("hostname", True),),
        (*APP, Flag("cert", help="the certificate's name", option=True, required=True)),
    ),
    Command("domains:wait", "domains:wait", "wait until domains are ready", (Arg("hostname"),), APP),
    Command("router", "router_settings:show", "show how the router treats an app's requests", (), (*APP, JSON)),
    Command(
        "router:metrics",
        "router:metrics",
        "show requests of the last day: rate, statuses, service times",
        (),
        (
            *APP,
            JSON,
            Flag("minutes", "m", "how far back, up to 1440 (60)", option=True, integer=True),
            Flag("step", help="minutes in one row", option=True, integer=True),
        ),
    ),
    Command("router:set", "router_settings:assign", "set name=value …, as idle_timeout=60", (), APP, strict=False),
    Command("router:unset", "router_settings:unset", "back to the default: basic_auth, …", (), APP, strict=False),
)
