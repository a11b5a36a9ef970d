"""git's smart HTTP protocol: checks who asks, then hands the request to `git http-backend`, streaming both ways."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import signal
from collections.abc import Mapping

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from pogo.errors import Forbidden, NotFound, PogoError, Unauthorized
from pogo.git.pushes import Push, Pushes
from pogo.git.receive import Receiver
from pogo.git.repositories import Repositories
from pogo.model import App, User
from pogo.rules import operations
from pogo.services import access, apps, audit, people
from pogo.services.platform import Platform

log = structlog.get_logger()
CHUNK = 1 << 16
CHALLENGE = {"WWW-Authenticate": 'Basic realm="Pogo"'}
WRITING = {"global", "write", "write-protected"}
READING = WRITING | {"read", "read-protected"}
# Headers that git http-backend reads from its environment. Not the length: told it, git 2.39 copies the
# body, and spins for ever at one cut short; not told it, receive-pack reads the pipe to its end itself.
PASSED_ON = {
    "content-type": "CONTENT_TYPE",
    "content-encoding": "HTTP_CONTENT_ENCODING",
    "git-protocol": "HTTP_GIT_PROTOCOL",
}


def routes(platform: Platform) -> list[BaseRoute]:
    """`/<app>.git/…` for git clients and `/internal/pushes/…` for our hook, to be mounted at `/`.

    Prepares the repositories' directory: to be called once, by the daemon that owns the state directory.
    No middleware that reads bodies or buffers answers may stand before them.
    """
    repositories, pushes = Repositories.open(platform.settings), Pushes()
    receiver = Receiver(platform, repositories, pushes)
    receiver.sweep()
    bridge = Bridge(platform, repositories, pushes)
    paths = ("info/refs", "git-upload-pack", "git-receive-pack")
    return [*receiver.routes(), *(Route(f"/{{app}}.git/{path}", bridge) for path in paths)]


class Bridge:
    """An ASGI application. A client that goes away does not stop the push it has sent: the answer is
    read to its end all the same, and git updates the refs when the build has succeeded."""

    def __init__(self, platform: Platform, repositories: Repositories, pushes: Pushes) -> None:
        self.platform = platform
        self.repositories = repositories
        self.pushes = pushes
        self._background: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        action = request.url.path.rpartition(".git/")[2]
        service = request.query_params.get("service", "") if action == "info/refs" else action
        try:
            user, app = await self._authorize(request, service)
            await asyncio.to_thread(self.repositories.ensure, app.id)
            if service == "git-receive-pack":
                self.repositories.check_space()
        except PogoError as error:
            await _refusal(error)(scope, receive, send)
            return
        env = {**self.repositories.env, "GIT_PROJECT_ROOT": str(self.repositories.root), **_cgi(request, app, action)}
        if action == "git-receive-pack":
            await self._push(env, app, user, receive, send)
        else:
            await _serve(env, -1, receive, send)

    async def _authorize(self, request: Request, service: str) -> tuple[User, App]:
        """Raises Unauthorized, Forbidden or NotFound, with words that git shows its user."""
        if service not in ("git-upload-pack", "git-receive-pack"):
            raise Forbidden("This git is too old: it does not speak the smart HTTP protocol (git 1.6.6 of 2010).")
        token = _password(request.headers.get("authorization", ""))
        if token is None:
            raise Unauthorized("Log in first, by: pogo login")
        try:
            authorization = await self.platform.call(people.whose_token, token)
        except Unauthorized:
            raise Unauthorized(
                "The token is not valid, or has expired. Log in again by: pogo login\n"
                "As the password git needs an API token of this platform, with any user name."
            ) from None
        who = audit.actor()
        if who:
            who.user, who.authorization_id = authorization.user, authorization.id
        needed = WRITING if service == "git-receive-pack" else READING
        if not needed.intersection(authorization.scope):
            raise Forbidden(f"This token does not allow it: its scope is {', '.join(authorization.scope)}.")
        name = request.path_params["app"]
        try:
            needs = operations.PUSH if service == "git-receive-pack" else operations.PULL
            return authorization.user, await self.platform.call(access.find_app, authorization.user, name, needs)
        except NotFound:
            raise NotFound(
                "app",
                f"Couldn't find that app ({name}). List yours by: pogo apps\n"
                f"To make it: pogo create {name}\n"
                "If it was renamed, set the remote again: pogo git:remote -a <name>",
            ) from None
        except Forbidden as error:
            how = f"Its owner can add you by: pogo access:add {authorization.user.email}"
            raise Forbidden(f"{error.message}\n{how}") from None

    async def _push(self, env: dict[str, str], app: App, user: User, receive: Receive, send: Send) -> None:
        push = self.pushes.begin(app, user)
        push.actor = audit.actor()
        if push.actor:
            push.actor.action = lambda: "git push"
        env |= {
            "POGO_HOOK_SOCKET": str(self.platform.settings.daemon_socket),
            "POGO_HOOK_PUSH": push.id,
            "POGO_HOOK_SECRET": push.secret,
        }
        try:
            held = self.repositories.held_for_push(app.id)
            fd = await asyncio.to_thread(held.__enter__)
            try:
                await _serve(env, fd, receive, send)
            finally:
                held.__exit__(None, None, None)
        finally:
            self.pushes.end(push)
        task = asyncio.create_task(self._look_after(push))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _look_after(self, push: Push) -> None:
        """What may come after the answer: the default branch of clones, and the repository's size."""
        app_id = push.app.id
        try:
            if push.deploy and push.deploy.branch and push.build and push.build.status == "succeeded":
                await asyncio.to_thread(self.repositories.show_branch, app_id, push.deploy.branch)
            size = await asyncio.to_thread(self.repositories.size, app_id)
            await self.platform.call(apps.set_repo_size, app_id, size)
        except PogoError as error:
            log.warning("repository not looked after", app=app_id, error=error.message)


def _password(authorization: str) -> str | None:
    """The password of a Basic header; the user name may be anything."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return pair.partition(":")[2]


def _refusal(error: PogoError) -> Response:
    """git shows plain text of an error as `remote: …`; of a 401 only when it had sent a token."""
    headers = CHALLENGE if error.status == Unauthorized.status else None
    text = "".join(f"!     {line}\n" for line in error.message.splitlines())
    return PlainTextResponse(text, error.status, headers)


def _cgi(request: Request, app: App, action: str) -> dict[str, str]:
    given = {name: request.headers[header] for header, name in PASSED_ON.items() if header in request.headers}
    return given | {
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{app.id}.git/{action}",
        "QUERY_STRING": request.url.query,
        "REQUEST_METHOD": request.method,
        "REMOTE_ADDR": request.client.host if request.client else "",
    }


async def _serve(env: Mapping[str, str], held: int, receive: Receive, send: Send) -> None:
    """Run `git http-backend` for one request. held: a file descriptor it inherits, or -1."""
    process = await asyncio.create_subprocess_exec(
        "git",
        "http-backend",
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=CHUNK,
        pass_fds=[held] if held >= 0 else [],
        start_new_session=True,  # a Ctrl-C in the daemon's terminal is not for the pushes
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    feeding = asyncio.create_task(_feed(receive, process.stdin))
    complaining = asyncio.create_task(_last_words(process.stderr))
    try:
        status, headers = await _read_head(process.stdout)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        while chunk := await process.stdout.read(CHUNK):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        # An answer that was cut short must not end well: the client would wait for ever for its rest.
        if await process.wait() == 0:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    except BaseException:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)  # git removes its temporary files
        raise
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])
        if await process.wait() != 0:
            log.info("git http-backend failed", status=process.returncode, stderr=await complaining)
        complaining.cancel()


async def _feed(receive: Receive, stdin: asyncio.StreamWriter) -> None:
    """The request's body to git. A request cut short ends early for git too, which then changes nothing."""
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            stdin.write(message.get("body", b""))
            await stdin.drain()
            if not message.get("more_body", False):
                return
    except (BrokenPipeError, ConnectionResetError):
        return  # git has read enough; its answer says why
    finally:
        stdin.close()


async def _read_head(stdout: asyncio.StreamReader) -> tuple[int, list[tuple[bytes, bytes]]]:
    try:
        head = await stdout.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return 500, [(b"content-type", b"text/plain"), (b"content-length", b"0")]
    status, headers = 200, []
    for line in head.splitlines():
        name, _, value = line.partition(b":")
        if name.lower() == b"status":
            status = int(value.split()[0])
        elif name:
            headers.append((name.lower(), value.strip()))
    return status, headers


async def _last_words(stderr: asyncio.StreamReader) -> str:
    kept = b""
    while chunk := await stderr.read(CHUNK):
        kept = (kept + chunk)[-4000:]
    return kept.decode(errors="replace")
