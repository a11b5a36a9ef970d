"""certs, certs:add, certs:update, certs:remove, certs:info, certs:generate; certs:auto and what belongs to it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError

PAUSE = 2.0
AUTO = "Automatic Certificate Management"
SHOWN = {None: "Waiting", "verified": "In Progress", "cert issued": "Cert Issued"}


def show(context: Context) -> None:
    found = _list(context)
    if not found:
        output.line(f"{context.shown_app} has no SSL certificates.\nUse pogo certs:add CRT KEY to add one.")
        return
    heads = ["Name", "Common Name(s)", "Expires", "Trusted", "Type"]
    rows = [[one["name"], *_row(one)] for one in found]
    if any(not one["ssl_cert"]["acm"] for one in found):
        heads.append("Domains")
        rows = [
            [*row, "" if one["ssl_cert"]["acm"] else str(len(one["domains"]))]
            for row, one in zip(rows, found, strict=True)
        ]
    output.table(heads, rows)


def _row(endpoint: dict[str, Any]) -> list[str]:
    cert = endpoint["ssl_cert"]
    trusted = "True" if cert["ca_signed?"] else "False"
    return [", ".join(cert["cert_domains"]), _date(cert["expires_at"]), trusted, "ACM" if cert["acm"] else "SNI"]


def add(context: Context) -> None:
    body = _files(context)
    with output.Action(f"Adding SSL certificate to {context.shown_app}"):
        endpoint = context.api.post(f"{context.app_path}/sni-endpoints", body)
    _details(endpoint)
    hosts = {domain["id"]: domain["hostname"] for domain in context.api.get_all(f"{context.app_path}/domains")}
    used = [hosts[id] for id in endpoint["domains"] if id in hosts]
    if used:
        output.line(f"It is used for {', '.join(used)}.")
    else:
        output.line(f"No domain uses it yet: pogo domains:update HOSTNAME --cert {endpoint['name']}")


def update(context: Context) -> None:
    endpoint = _choose(context)
    _confirm(context, f"This changes the certificate of endpoint {endpoint['name']} of {context.app}.")
    body = _files(context)
    with output.Action(f"Updating SSL certificate {endpoint['name']} for {context.shown_app}"):
        endpoint = context.api.patch(_path(context, endpoint), body)
    _details(endpoint, "Updated certificate details:")


def remove(context: Context) -> None:
    endpoint = _choose(context)
    _confirm(context, f"This removes the endpoint {endpoint['name']} from {context.app}.")
    with output.Action(f"Removing SSL certificate {endpoint['name']} from {context.shown_app}"):
        context.api.delete(_path(context, endpoint))


def info(context: Context) -> None:
    endpoint = _choose(context)
    with output.Action(f"Fetching SSL certificate {endpoint['name']} info for {context.shown_app}"):
        endpoint = context.api.get(_path(context, endpoint))
    domains = []
    if context.on("show-domains"):
        domains = [context.api.get(f"{context.app_path}/domains/{id}")["hostname"] for id in endpoint["domains"]]
    _details(endpoint, domains=domains)


def auto(context: Context) -> None:
    app = context.api.get(context.app_path)
    if not app["acm"]:
        output.header(f"{AUTO} is disabled on {output.app_name(context.app)}")
        return
    output.header(f"{AUTO} is enabled on {output.app_name(context.app)}")
    if context.on("wait"):
        _wait(context)
    domains = _custom(context)
    if not domains:
        output.header("Add a custom domain to your app by running: pogo domains:add <yourdomain.com>")
        return
    reasons = any(domain["acm_status_reason"] for domain in domains)
    output.table(
        ["Domain", "Status", *(["Reason"] if reasons else [])],
        [[one["hostname"], _status(one), *([one["acm_status_reason"] or ""] if reasons else [])] for one in domains],
    )
    states = {domain["acm_status"] for domain in domains}
    if "failed" in states:
        output.header(
            "Some domains failed validation after multiple attempts, retry by running: pogo certs:auto:refresh"
        )
    elif "failing" in states:
        output.header("Some domains are failing validation, please verify that your DNS matches: pogo domains")


def auto_enable(context: Context) -> None:
    with output.Action(f"Enabling {AUTO}") as action:
        context.api.post(f"{context.app_path}/acm", {})
        action.done = "starting."
    if context.on("wait"):
        _wait(context)
    output.header("Your certificate will now be managed by Pogoapp. Check the status by running pogo certs:auto.")


def auto_disable(context: Context) -> None:
    _confirm(
        context,
        f"This removes the certificates that the platform got for {context.app}; its domains have none then. "
        "Add one of your own first: pogo certs:add CRT KEY.",
    )
    with output.Action(f"Disabling {AUTO}"):
        context.api.delete(f"{context.app_path}/acm")


def auto_refresh(context: Context) -> None:
    with output.Action(f"Refreshing {AUTO}"):
        context.api.patch(f"{context.app_path}/acm", {"acm_refresh": True})


def generate(context: Context) -> None:
    """A key with a request for a certificate, or with a certificate signed by itself; made here, by openssl."""
    import subprocess

    domain = context.args["domain"]
    given = [("C", "country"), ("ST", "area"), ("L", "city"), ("O", "owner")]
    parts = [f"/{short}={context.option(flag)}" for short, flag in given if context.option(flag)]
    if not parts and not context.on("now") and not context.option("subject"):
        parts = _ask_owner()
    subject = context.option("subject") or "".join([*parts, f"/CN={domain}"])
    known = [name for one in _list(context) for name in one["ssl_cert"]["cert_domains"]]
    key, made = f"{domain}.key", f"{domain}.{'crt' if context.on('selfsigned') else 'csr'}"
    for file in (key, made):
        if Path(file).exists():
            raise CliError(f"The file {file} is there already. Move it away first.")
    command = ["openssl", "req", "-new", "-newkey", f"rsa:{context.option('keysize') or 2048}", "-nodes"]
    command += ["-keyout", key, "-out", made, "-subj", subject, "-addext", f"subjectAltName=DNS:{domain}"]
    try:
        subprocess.run([*command, *(["-x509", "-days", "365"] if context.on("selfsigned") else [])], check=True)
    except FileNotFoundError:
        raise CliError("The program openssl is needed for this and is not installed.") from None
    except subprocess.CalledProcessError as error:
        raise CliError(f"openssl ended with status {error.returncode}.") from None
    verb = "update" if domain in known else "add"
    if context.on("selfsigned"):
        _say("Your key and self-signed certificate have been generated.\nNext, run:")
        _say(f"$ pogo certs:{verb} {made} {key}")
    else:
        _say("Your key and certificate signing request have been generated.")
        _say(f"Submit the CSR in '{made}' to your preferred certificate authority.")
        _say(f"When you've received your certificate, run:\n$ pogo certs:{verb} CERTFILE {key}")


def _ask_owner() -> list[str]:
    if not sys.stdin.isatty():
        raise CliError("Say whose certificate it is (--owner, --country, --area, --city, --subject), or --now.")
    asked = [("O", "Owner of this certificate"), ("C", "Country of owner (two-letter ISO code)")]
    asked += [("ST", "State/province/etc. of owner"), ("L", "City of owner")]
    answers = [(short, input(f"{question}: ").strip()) for short, question in asked]
    return [f"/{short}={answer}" for short, answer in answers if answer]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _list(context: Context) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = context.api.get_all(f"{context.app_path}/sni-endpoints")
    return sorted(found, key=lambda one: str(one["name"]))


def _custom(context: Context) -> list[dict[str, Any]]:
    return [one for one in context.api.get_all(f"{context.app_path}/domains") if one["kind"] == "custom"]


def _path(context: Context, endpoint: dict[str, Any]) -> str:
    return f"{context.app_path}/sni-endpoints/{escape(endpoint['name'])}"


def _choose(context: Context) -> dict[str, Any]:
    """The endpoint that --name names, or that serves the host of --endpoint, or the only one."""
    name, host = context.option("name"), context.option("endpoint")
    if name and host:
        raise CliError("Specified both --name and --endpoint, please use just one")
    found = _list(context)
    if not found:
        raise CliError(f"{context.app} has no SSL certificates")
    if host:
        users = [
            one["sni_endpoint"]["name"] for one in _custom(context) if one["hostname"] == host and one["sni_endpoint"]
        ]
        found = [one for one in found if one["name"] in users]
    if name:
        found = [one for one in found if one["name"] == name]
    if len(found) > 1:
        raise CliError("Must pass --name when more than one endpoint")
    if not found:
        raise CliError("Record not found.")
    return found[0]


def _files(context: Context) -> dict[str, str]:
    texts = []
    for name in ("CRT", "KEY"):
        file = Path(context.args[name])
        try:
            texts.append(file.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise CliError(f"Cannot read {file}: {getattr(error, 'strerror', None) or 'it is not PEM text'}.") from None
    return {"certificate_chain": texts[0], "private_key": texts[1]}


def _confirm(context: Context, warning: str) -> None:
    """As the official client: the app's name has to be given, or typed."""
    given = context.option("confirm")
    if given is None and sys.stdin.isatty():
        output.warn(f"{warning}\nTo proceed, type {context.app} or re-run this command with --confirm {context.app}")
        given = input("> ").strip()
    if given != context.app:
        raise CliError(f"{warning} Add --confirm {context.app} to proceed.")


def _details(endpoint: dict[str, Any], title: str = "Certificate details:", domains: list[str] | None = None) -> None:
    cert = endpoint["ssl_cert"]
    output.line(title)
    output.pairs(
        {
            "Common Name(s)": cert["cert_domains"],
            "Domain(s)": domains or [],
            "Expires At": _date(cert["expires_at"]),
            "Issuer": cert["issuer"],
            "Starts At": _date(cert["starts_at"]),
            "Subject": cert["subject"],
        }
    )
    if cert["ca_signed?"]:
        output.line("SSL certificate is verified by a root authority.")
    elif cert["self_signed?"]:
        output.line("SSL certificate is self signed.")
    else:
        output.line("SSL certificate is not trusted.")


def _date(stamp: str) -> str:
    return f"{stamp[:10]} {stamp[11:16]} UTC"


def _status(domain: dict[str, Any]) -> str:
    state = domain["acm_status"]
    return SHOWN.get(state) or str(state).capitalize()


def _wait(context: Context) -> None:
    with output.Action("Waiting until the certificate is issued to all domains"):
        while True:
            states = {domain["acm_status"] for domain in _custom(context)}
            if states <= {"cert issued", "failed", "disabled"}:
                break
            time.sleep(PAUSE)
        if states - {"cert issued"}:
            raise CliError("The certificate could not be issued to all domains. See status with pogo certs:auto.")
