"""ps:exec, ps:copy, ps:forward: into a dyno that runs."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
from pathlib import Path, PurePosixPath

from pogo.cli import output
from pogo.cli.client import Api, escape
from pogo.cli.commands.run import command_line, terminal_variables
from pogo.cli.context import Context
from pogo.cli.errors import CliError

FEATURE = "runtime-heroku-exec"
DEFAULT = "web.1"


def _dyno(context: Context) -> str:
    return context.args.get("dyno_name") or context.option("dyno") or DEFAULT


def _path(context: Context) -> str:
    return f"{context.app_path}/dynos/{escape(_dyno(context))}"


def _connecting(context: Context) -> output.Action:
    action = output.Action(f"Connecting to {output.paint(_dyno(context), 'cyan', sys.stderr)} on {context.shown_app}")
    action.done = "up"
    return action


def execute(context: Context) -> int | None:
    """Exit status of the command. It gets a terminal where both our ends are one."""
    if context.on("status"):
        _status(context)
        return None
    return _attach(context, command_line(context.rest) or "bash")


def run(context: Context) -> int:
    """As `execute`, with the dyno as the first word."""
    return _attach(context, command_line(context.rest[1:]))


def _attach(context: Context, command: str) -> int:
    from pogo.cli.attach import connect, join

    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    body = {"command": command, "attach": True, "env": terminal_variables()}
    with _connecting(context):
        url = context.api.post(_path(context), body | ({} if terminal else {"force_no_tty": True}))["attach_url"]
        connection, received = connect(context.platform, url)
    return join(connection, received, terminal)


def _status(context: Context) -> None:
    feature = context.api.get(f"{context.app_path}/features/{FEATURE}")
    dynos = context.api.get_all(f"{context.app_path}/dynos")
    output.header(f"Exec {output.app_name(context.app)}")
    if not feature["enabled"]:
        raise CliError(f"Exec is switched off. Switch it on with pogo features:enable {FEATURE}.")
    if not dynos:
        raise CliError("Exec is not running. Check dyno status with pogo ps.")
    columns = ("Dyno", "Dyno Status", "Proxy Status")
    output.table(columns, [(dyno["name"], dyno["state"], _proxy(dyno["state"])) for dyno in dynos])


def _proxy(state: str) -> str:
    return "running" if state == "up" else "not running"


def copy(context: Context) -> int:
    """What is written appears under its name when it is whole."""
    from pogo.cli.attach import connect, receive

    source = context.args["file"]
    assert source is not None
    target = Path(context.option("output") or PurePosixPath(source).name)
    if target.is_dir():
        target /= PurePosixPath(source).name
    output.line(f"Copying {output.paint(source, 'bold')} to {output.paint(str(target), 'bold')}")
    if target.exists():
        raise CliError(f"The local file {target} already exists.")
    with _connecting(context):
        url = context.api.post(f"{_path(context)}/actions/copy", {"path": source})["attach_url"]
        connection, received = connect(context.platform, url)
    try:
        file = tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False)  # noqa: SIM115
    except OSError as failure:
        raise CliError(f"{target} cannot be written: {failure.strerror}.") from failure
    part = Path(file.name)
    try:
        with file, connection:
            status = receive(connection, received, file.fileno())
        if status:
            why = part.read_bytes()[-500:].decode("utf-8", "replace").strip().removeprefix("cat: ")
            raise CliError(f"The file could not be copied. {why}")
        part.chmod(0o666 & ~_umask())
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return 0


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _ports(text: str, local: str | None) -> list[tuple[int, int]]:
    """(local, of the dyno) of `4000,9000:9001`. Raises CliError."""
    found = []
    for mapping in text.split(","):
        here, colon, there = mapping.partition(":")
        pair = (here, there) if colon else (local or here, here)
        if not all(port.isdecimal() and 0 < int(port) < 65536 for port in pair):
            raise CliError(f"{mapping} is no port. Give one as 8080, or as 9000:8080 for another local one.")
        found.append((int(pair[0]), int(pair[1])))
    return found


def forward(context: Context) -> None:
    """Until Ctrl-C. Each local connection becomes one to the dyno."""
    text = context.args["port"]
    assert text is not None
    listeners = []
    mappings = _ports(text, context.option("localPort"))
    context.api.get(_path(context))  # says at once that there is no such dyno
    for here, there in mappings:
        try:
            listeners.append((socket.create_server(("127.0.0.1", here)), there))
        except OSError as failure:
            raise CliError(f"Port {here} of this machine cannot be used: {failure.strerror}.") from failure
        name = f"{_dyno(context)}:{there}"
        output.line(f"Listening on {output.paint(str(here), 'bold')} and forwarding to {output.paint(name, 'bold')}")
    output.line(f"Use {output.paint('CTRL+C', 'magenta')} to stop port forwarding")
    sys.stdout.flush()
    for listener, there in listeners:
        threading.Thread(target=_accept, args=(context, listener, there), daemon=True).start()
    threading.Event().wait()


def _accept(context: Context, listener: socket.socket, port: int) -> None:
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=_serve, args=(context, peer, port), daemon=True).start()


def _serve(context: Context, peer: socket.socket, port: int) -> None:
    """One connection. What goes wrong with it is told, and ends it alone."""
    from pogo.cli.attach import connect, relay

    with peer:
        try:
            api = Api(context.platform)
            url = api.post(f"{_path(context)}/actions/forward", {"port": port})["attach_url"]
            connection, received = connect(context.platform, url)
            with connection:
                relay(connection, received, peer)
        except CliError as failure:
            output.error(str(failure))
        except OSError:
            return  # the local side has gone
