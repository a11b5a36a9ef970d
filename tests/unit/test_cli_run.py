"""run and run:detached, in a pipe and on a terminal, against a real TLS server that speaks `pogo/1`."""

from __future__ import annotations

import datetime
import ipaddress
import os
import pty
import select
import socket
import ssl
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cli_double
import pytest
from cli_double import Cli
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pogo.cli import platforms
from pogo.cli.commands.run import command_line, environment
from pogo.cli.errors import CliError
from pogo.rules import rendezvous

cli = cli_double.cli
Script = Callable[["Dyno"], None]


def make_certificate(directory: Path) -> Path:
    """A certificate for localhost that is its own CA: one PEM file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "localhost.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return file


class Dyno:
    """The server's end of one attach: a script says what it does after the greeting."""

    def __init__(self, certificate: Path, script: Script) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._script = script
        self._decoder = rendezvous.Decoder(rendezvous.DATA + rendezvous.END + rendezvous.RESIZE)
        self.hello = b""
        self.failure: Exception | None = None
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"rendezvous://localhost:{self._listener.getsockname()[1]}/secret"

    def _serve(self) -> None:
        try:
            plain, _ = self._listener.accept()
            plain.settimeout(20)
            with self._context.wrap_socket(plain, server_side=True) as self.connection:
                while not self.hello.endswith(b"\n"):
                    self.hello += self.connection.recv(1)
                self.connection.sendall(rendezvous.GREETING)
                self._script(self)
        except Exception as failure:
            self.failure = failure

    def frames(self) -> Iterator[rendezvous.Frame]:
        while data := self.connection.recv(65536):
            yield from self._decoder.feed(data)

    def send(self, *frames: bytes) -> None:
        self.connection.sendall(b"".join(frames))

    def finish(self) -> None:
        self.thread.join(20)
        self._listener.close()
        if self.failure:
            raise self.failure


@pytest.fixture
def start(cli: Cli, tmp_path: Path) -> Iterator[Callable[[Script], Dyno]]:
    certificate = make_certificate(tmp_path)
    platforms.remember(platforms.find()._replace(ca=str(certificate)))
    dynos = []

    def begin(script: Script) -> Dyno:
        dyno = Dyno(certificate, script)
        dynos.append(dyno)
        cli.answer("POST /apps/myapp/dynos", {"name": "run.1234", "attach_url": dyno.url, "size": "Basic"}, 201)
        return dyno

    yield begin
    for dyno in dynos:
        dyno.finish()


def pogo(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "pogo.cli.main", *words], input=stdin, capture_output=True, timeout=30, check=False
    )


def echo(dyno: Dyno) -> None:
    """Everything back, then exit status 7."""
    for frame in dyno.frames():
        if frame.kind == rendezvous.END:
            break
        dyno.send(rendezvous.encode(rendezvous.DATA, frame.payload))
    dyno.send(rendezvous.encode_exit(7))


def test_a_pipe_goes_through_unchanged_and_the_status_comes_back(cli: Cli, start) -> None:
    dyno = start(echo)
    data = os.urandom(5_000_000)
    result = pogo("run", "-a", "myapp", "--", "cat", "-u", stdin=data)
    assert result.stderr.decode() == "Running cat -u on myapp... up, run.1234\n"
    assert result.stdout == data
    assert result.returncode == 7
    assert dyno.hello == b"secret pogo/1\r\n"
    body = cli.requests[0].body
    assert body["attach"] is True
    assert body["force_no_tty"] is True
    assert body["command"] == "cat -u"
    assert "COLUMNS" not in body["env"]


def test_flags_go_with_it(cli: Cli, start) -> None:
    start(echo)
    result = pogo("run", "ls -la; pwd", "-a", "myapp", "-e", "A=1;B=2", "-s", "basic", "--type", "worker", "-x")
    assert result.returncode == 7
    body = cli.requests[0].body
    assert body["command"] == "ls -la; pwd"
    assert (body["size"], body["type"]) == ("basic", "worker")
    assert body["env"].items() >= {"A": "1", "B": "2"}.items()


def test_a_lost_connection_is_said(cli: Cli, start) -> None:
    start(lambda dyno: dyno.send(rendezvous.encode(rendezvous.DATA, b"half")))
    result = pogo("run", "bash", "-a", "myapp")
    assert (result.returncode, result.stdout) == (1, b"half")
    assert " ▸    The connection to the dyno was lost before its command ended.\n" in result.stderr.decode()


def test_a_message_instead_of_a_status_is_the_reason(cli: Cli, start) -> None:
    start(lambda dyno: dyno.send(rendezvous.encode(rendezvous.MESSAGE, b"Idle for an hour.")))
    result = pogo("run", "bash", "-a", "myapp")
    assert result.returncode == 1
    assert result.stderr.decode().endswith("up, run.1234\n ▸    Idle for an hour.\n")


def test_a_dyno_that_does_not_come_up(cli: Cli, start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "GREETING", b"no slug\r\n")
    dyno = start(lambda dyno: None)
    result = pogo("run", "bash", "-a", "myapp")
    dyno.thread.join(10)
    assert result.returncode == 1
    assert "... !\n ▸    The dyno did not come up. It said: no slug\n" in result.stderr.decode()


def test_a_certificate_that_is_not_trusted(cli: Cli, start) -> None:
    dyno = start(echo)
    platforms.remember(platforms.find()._replace(ca=None))
    result = pogo("run", "bash", "-a", "myapp")
    dyno.thread.join(10)
    assert isinstance(dyno.failure, ssl.SSLError | OSError)
    dyno.failure = None
    assert result.returncode == 1
    assert "The certificate of localhost is not trusted" in result.stderr.decode()


def test_a_conflict_is_tried_again_twice(cli: Cli) -> None:
    cli.answer("POST /apps/myapp/dynos", {"id": "conflict", "message": "busy"}, 409)
    assert cli.run("run:detached", "ls", "-a", "myapp").status == 2
    assert cli.calls == ["POST /apps/myapp/dynos"] * 3


def test_detached_names_the_dyno(cli: Cli) -> None:
    cli.answer("POST /apps/myapp/dynos", {"name": "run.77", "size": "Basic"}, 201)
    result = cli.run("run:detached", "rake", "db:migrate", "-a", "myapp")
    assert result.err == "Running rake db:migrate on myapp... done, run.77\n"
    assert result.out == "Run pogo logs --app myapp --dyno run.77 to view the output.\n"
    assert cli.requests[0].body["attach"] is False
    assert cli.run("run:detached", "-a", "myapp").status == 1


class Terminal:
    """`pogo` in a pseudo-terminal."""

    def __init__(self, *words: str) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (30, 100))
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", sys.executable, "-m", "pogo.cli.main", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        self.slave = slave
        self.shown = b""

    def expect(self, text: bytes) -> None:
        end = time.monotonic() + 15
        while text not in self.shown:
            assert time.monotonic() < end, f"{text!r} is not in {self.shown!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.shown += os.read(self.master, 65536)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def finish(self) -> int:
        end = time.monotonic() + 15
        while self.process.poll() is None:
            assert time.monotonic() < end
            if select.select([self.master], [], [], 0.1)[0]:
                os.read(self.master, 65536)
        status = self.process.wait()
        assert termios.tcgetattr(self.slave) == self.before
        os.close(self.slave)
        os.close(self.master)
        return status


def test_a_terminal_feels_local(cli: Cli, start) -> None:
    sizes: list[tuple[int, int]] = []
    typed = bytearray()

    def shell(dyno: Dyno) -> None:
        for kind, payload in dyno.frames():
            if kind == rendezvous.RESIZE:
                sizes.append(rendezvous.decode_size(payload))
                dyno.send(rendezvous.encode(rendezvous.DATA, f"size {sizes[-1]}\r\n".encode()))
            elif kind == rendezvous.DATA:
                typed.extend(payload)
                if payload.endswith(b"q"):
                    break
                dyno.send(rendezvous.encode(rendezvous.DATA, b"got " + payload.hex().encode() + b"\r\n"))
        dyno.send(rendezvous.encode_exit(130))

    start(shell)
    terminal = Terminal("run", "bash", "-a", "myapp")
    terminal.expect(b"size (30, 100)")
    terminal.type(b"\x03")
    terminal.expect(b"got 03")
    termios.tcsetwinsize(terminal.master, (50, 120))
    terminal.expect(b"size (50, 120)")
    terminal.type(b"q")
    assert terminal.finish() == 130
    assert bytes(typed) == b"\x03q"
    body = cli.requests[0].body
    assert "force_no_tty" not in body
    assert body["env"].items() >= {"COLUMNS": "100", "LINES": "30"}.items()


def test_keys_pass_through_a_flood_of_output(cli: Cli, start) -> None:
    def flood(dyno: Dyno) -> None:
        next(dyno.frames())
        while not select.select([dyno.connection], [], [], 0)[0]:
            dyno.send(rendezvous.encode(rendezvous.DATA, b"y\r\n" * 5000))
        assert next(dyno.frames()).payload == b"\x03"
        dyno.send(rendezvous.encode_exit(0))

    start(flood)
    terminal = Terminal("run", "yes", "-a", "myapp")
    terminal.expect(b"y\r\ny\r\n")
    terminal.type(b"\x03")
    assert terminal.finish() == 0


def test_four_interrupts_leave_a_dyno_that_hangs(cli: Cli, start) -> None:
    def hang(dyno: Dyno) -> None:
        dyno.send(rendezvous.encode(rendezvous.DATA, b"hanging\r\n"))
        for _ in dyno.frames():
            pass

    start(hang)
    terminal = Terminal("run", "bash", "-a", "myapp")
    terminal.expect(b"hanging")
    terminal.type(b"\x03\x03\x03\x03")
    assert terminal.finish() == 130


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["ls -la | wc"], "ls -la | wc"),
        (["rake", "db:migrate", "--trace"], "rake db:migrate --trace"),
        (["echo", "$PORT", "a b"], 'echo $PORT "a b"'),
        (["python", "-c", 'print("x y")'], 'python -c "print(\\"x y\\")"'),
        (["printf", ""], 'printf ""'),
    ],
)
def test_command_lines(words: list[str], line: str) -> None:
    assert command_line(words) == line


def test_environment_pairs() -> None:
    assert environment("A=1;B=x=y;") == {"A": "1", "B": "x=y"}
    with pytest.raises(CliError, match="A is invalid"):
        environment("A")
