"""bin/up from the Python environment on: every stage is atomic or may be repeated, so any run completes the last."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pogo.errors import CommandFailed, PogoError, Unavailable
from pogo.install import (
    backups,
    build_env,
    certificates,
    configuration,
    first_app,
    parts,
    places,
    ports,
    processes,
    stores,
    takeover,
    trust,
    upgrade,
)
from pogo.install import caller as callers
from pogo.install.caller import Caller
from pogo.install.doctor import report
from pogo.install.doctor.platform import own_processes
from pogo.install.progress import Say, line, step
from pogo.install.supervision import Service, Supervisor, up_to_date
from pogo.mirror import authority as mirror_authority
from pogo.process import run
from pogo.router import config as router_config
from pogo.services.postgres import is_postgres
from pogo.settings import Settings
from pogo.stack import image

HEALTH_SECONDS = 60
LONGEST_START = 900  # on a machine that is slow or busy, while every program runs without having to begin anew


@dataclass(frozen=True)
class Installation:
    """environment: the Python environment that runs this."""

    settings: Settings
    config: Path
    checkout: Path
    environment: Path
    caller: Caller
    supervisor: Supervisor

    @property
    def default(self) -> bool:
        return self.settings.state_dir == parts.DEFAULT_STATE

    @property
    def program(self) -> Path:
        return self.environment / "bin" / "pogo"


def find(checkout: Path) -> Installation:
    """The installation that the environment names. Raises BadSetting."""
    config = Path(os.environ["POGO_CONFIG"])
    settings = configuration.load(config, os.environ)
    supervisor = parts.supervisor(settings, checkout)
    return Installation(settings, config, checkout, Path(sys.prefix), callers.find(os.environ), supervisor)


def up(checkout: Path) -> None:
    here = find(checkout)
    settings = here.settings
    configuration.require_folders(settings)
    began = time.monotonic()
    names = settings.stack_names
    for name in names:
        image.find(name)
    with step("This machine"):
        there = upgrade.there(upgrade.installed(settings), _present_schema(settings))
        upgrade.refuse_downgrade(there)
        report.refuse(report.before_start(settings, own_processes(here.supervisor)))
    if there is not None and upgrade.needs_backup(there):
        with step("Backup before the upgrade") as say:
            upgrade.back_up(settings, here.config, there, say)
    with step("Users, keys, names"):
        _places(here)
    _stacks(here, [settings.default_stack])
    with step("Platform") as say:
        found = platform(here, say)
    pogo = callers.link(settings, default=here.default)
    if found["token"]:
        callers.log_in(here.caller, here.program, settings, found["token"], switch=here.default)
    failure = _first_app(here, pogo, found["apps"])
    _remove_old_environments(here)
    _welcome(here, pogo, found["password"], time.monotonic() - began)
    if failure:
        raise Unavailable(f"The first app could not be deployed; the next bin/up tries again.\n{failure.message}")
    _installed(settings).touch()
    if set(image.missing(settings.state_dir)) & set(names):
        line("The platform can be used now. Still to be made, for apps that choose it:")
        _stacks(here, names)


def _first_app(here: Installation, pogo: Path, apps: list[str]) -> PogoError | None:
    """Until it has worked once, and only where nobody has made other apps. What fails must not hide the login."""
    if _installed(here.settings).exists() or not set(apps) <= {first_app.NAME}:
        return None
    try:
        with step("First app") as say:
            first_app.deploy(here.settings, here.caller, pogo, here.checkout, apps, say)
    except PogoError as error:
        return error
    return None


def _places(here: Installation) -> None:
    settings = here.settings
    user = places.ensure_user(settings.user, settings.state_dir)
    places.ensure_directories(settings, user)
    stores.ensure(settings, os.environ, user)
    text = here.config.read_text() if here.config.exists() else (here.checkout / "deploy" / "pogo.conf").read_text()
    here.config.parent.mkdir(parents=True, exist_ok=True)
    places.write(here.config, configuration.recorded(text, _to_record(here)), mode=0o640, group=user.pw_gid)
    places.ensure_keys(settings, user)
    certificates.ensure(settings, user.pw_gid)
    if settings.mirror == "answer":
        certificates.ensure_mirror(settings, mirror_authority.hosts(settings), user.pw_gid)
    backups.ensure_recovery(settings, user)
    trust.ensure(settings)
    build_env.ensure(settings, os.environ)
    _switch(settings.state_dir / "env", here.environment)
    _switch(settings.state_dir / "buildpacks", here.environment / "buildpacks")


def _to_record(here: Installation) -> dict[str, str]:
    given = dict(os.environ)
    if here.default:
        given.pop("POGO_STATE_DIR", None)
    return given


def _switch(link: Path, target: Path) -> None:
    """Point a symbolic link elsewhere in one step."""
    if link.is_symlink() and link.readlink() == target:
        return
    new = target.parent / f".{link.name}.new"
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.rename(link)


def _stacks(here: Installation, wanted: list[str]) -> None:
    settings = here.settings
    for name in image.missing(settings.state_dir):
        if name in wanted:
            with step(f"Stack image {name}") as say:
                image.build(name, settings.cache_dir, settings.state_dir, say)


def platform(here: Installation, say: Say) -> dict[str, Any]:
    """Database, admin, router configuration, and the programs: what is right and runs is left alone."""
    settings, supervisor = here.settings, here.supervisor
    router_config.write(settings)
    services = parts.services(settings, here.environment, here.config)
    stale = [service for service in services if not up_to_date(supervisor, service)]
    new_router = all(service.name != "router" for service in stale) and takeover.needed(settings)
    if new_router or any(service.name == "router" for service in stale):
        run("/usr/sbin/haproxy", "-c", "-q", "-f", router_config.Files.of(settings).config)
    supervisor.install(services)
    supervisor.retire(services)
    if any(service.name == "pogod" for service in stale):
        supervisor.stop("pogod")  # the schema may change now
    if not stale and not new_router and _is_settled(here):
        say("runs, up to date")
        return {"token": None, "password": None, "apps": []}
    say("database")
    upgrade.record(settings)
    found = _database(here)
    for service in stale:
        say(f"starting {service.name}")
        supervisor.start(service.name)
    if new_router:  # after pogod, who has to know what the new one wants
        say("router: takeover")
        takeover.take_over(settings, supervisor)
    _until_healthy(here, services, say)
    say("started" if len(stale) == len(services) else f"restarted: {_names(stale)}" if stale else "runs, up to date")
    return found


def _is_settled(here: Installation) -> bool:
    """Whether an earlier run came to its end and the caller's token is good: the database need not be asked then."""
    settings = here.settings
    token = callers.token_of(here.caller, settings.https_url(settings.api_host))
    if not (token and _installed(settings).exists()) or _password(settings).exists():
        return False
    return first_app.status(settings, settings.api_host, "/account", token) == 200


def _installed(settings: Settings) -> Path:
    """Exists since bin/up has come to its end for the first time."""
    return settings.state_dir / ".installed"


def _password(settings: Settings) -> Path:
    """The admin's first password, from before it is set until it was shown."""
    return settings.state_dir / "keys" / "admin-password"


def _names(services: list[Service]) -> str:
    return ", ".join(service.name for service in services)


def _database(here: Installation) -> dict[str, Any]:
    """Migrate; see to the admin and the caller's token. A new password waits in a file until it was shown."""
    settings = here.settings
    secret = _password(settings)
    url = settings.https_url(settings.api_host)
    wishes = {
        "admin": settings.admin_email,
        "password": secret.read_text().strip() if secret.exists() else None,
        "token": callers.token_of(here.caller, url),
        "label": f"bin/up for {here.caller.name}",
    }
    found = _ask_database(here, wishes)
    if not found["admin"]:
        wishes["password"] = secrets.token_urlsafe(15)
        places.write(secret, f"{wishes['password']}\n", mode=0o600)
        found = _ask_database(here, wishes)
    return {**found, "password": wishes["password"] if found["password"] else None}


def _present_schema(settings: Settings) -> str | None:
    """Revision of the database, None where there is none yet. SQLite's files stay their owner's."""
    identity: tuple[str, ...] = ()
    if not is_postgres(settings.database):
        file = Path(settings.database.removeprefix("sqlite:///"))
        if not file.exists():
            return None
        owner = file.stat()
        identity = ("setpriv", "--reuid", str(owner.st_uid), "--regid", str(owner.st_gid), "--clear-groups", "--")
    python = (sys.executable, "-I", "-m", "pogo.install.database")
    wishes = json.dumps({"schema_of": settings.database}).encode()
    try:
        answer = run(
            *identity, *python, input=wishes, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, cwd=Path("/")
        )
    except CommandFailed as error:
        raise Unavailable(f"The database cannot be read. Nothing was changed.\n{error.stderr.strip()}") from error
    found: str | None = json.loads(answer)["schema"]
    return found


def _ask_database(here: Installation, wishes: dict[str, Any]) -> dict[str, Any]:
    account = pwd.getpwnam(here.settings.user)
    identity = ("setpriv", "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--init-groups", "--")
    python = (here.environment / "bin" / "python", "-I", "-m", "pogo.install.database")
    variables = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "POGO_CONFIG": str(here.config)}
    answer = run(*identity, *python, input=json.dumps(wishes).encode(), env=variables, cwd=Path("/"))
    found: dict[str, Any] = json.loads(answer)
    return found


def _until_healthy(here: Installation, services: list[Service], say: Say) -> None:
    """Until the API answers through the router. Raises Unavailable, naming what does not run."""
    settings = here.settings
    began = time.monotonic()
    first: dict[str, int | None] = {}
    while not (
        0 < first_app.status(settings, settings.api_host) < 500
        and (settings.mirror == "off" or ports.mirror_listens(settings))
    ):
        waited = time.monotonic() - began
        if waited > HEALTH_SECONDS:
            pids = {one.name: here.supervisor.pid(one.name) for one in services}
            if not first:
                say("every program runs; waiting for an answer")
                first = pids
            restless = [one for one in services if not pids[one.name] or pids[one.name] != first[one.name]]
            if restless or waited > LONGEST_START:
                logs = "\n".join(f"  {here.supervisor.log(one.name)}" for one in restless or services)
                why = (
                    f"These do not run, or end again and again: {_names(restless)}"
                    if restless
                    else "All its programs run"
                )
                raise Unavailable(f"The platform was started but does not answer. {why}. See\n{logs}")
            time.sleep(2)
        time.sleep(0.05)


def _remove_old_environments(here: Installation) -> None:
    """Those that no process runs from; the monitors of dynos that boot today may live for months."""
    used = {here.environment.name}
    homes = str(here.environment.parent) + "/"
    for pid in processes.pids():
        for argument in processes.command(pid)[:2]:
            if argument.startswith(homes):
                used.add(argument.removeprefix(homes).partition("/")[0])
    for old in here.environment.parent.iterdir():
        if old.is_dir() and not old.is_symlink() and old.name not in used:
            shutil.rmtree(old)


def _welcome(here: Installation, pogo: Path, password: str | None, seconds: float) -> None:
    settings = here.settings
    api = settings.https_url(settings.api_host)
    command = "pogo" if here.default else str(pogo)
    line()
    line(f"The platform runs ({seconds:.1f} s).")
    line()
    first = not _installed(settings).exists()
    line(f"  {'first app' if first else 'apps     '}   {settings.app_url(first_app.NAME if first else '<app>')}")
    line(f"  API         {api}")
    line(f"  git         {settings.https_url(settings.git_host)}/<app>.git")
    line(f"  CA          {settings.state_dir}/tls/ca.pem")
    line(f"  login       {settings.admin_email}" + (f"   password {password}   (shown only now)" if password else ""))
    line(f"              {here.caller.name} is logged in: try  {command} apps")
    line()
    line("In the directory of an app of yours, a git repository:")
    line(f"  {command} create my-app && git push pogo main")
    line("For the official Heroku CLI, in the shell where you use it:")
    line(f'  eval "$({command} env)"')
    line(f"Settings: {here.config}   Logs: {here.supervisor.log('pogod')}   Stop: bin/down")
    _password(settings).unlink(missing_ok=True)
