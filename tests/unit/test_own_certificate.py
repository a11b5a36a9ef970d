"""The operator's certificate in files, and who shows which."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from made_certificates import Made, make

from pogo.api.tls_stream import use_certificate
from pogo.loops.certificates import OwnCertificate, unique
from pogo.router.certificates import Served


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def put(files: tuple[Path, Path], made: Made) -> None:
    """As careful tools do: a new file in the place of the old one."""
    for path, text in zip(files, (made.pem, made.key), strict=True):
        new = path.with_suffix(".new")
        new.write_text(text)
        new.rename(path)


def test_files_are_read_when_they_change_and_the_last_good_ones_stay(files: tuple[Path, Path]) -> None:
    assert OwnCertificate("", "").look() is None
    own = OwnCertificate(str(files[0]), str(files[1]))
    assert own.look() is None
    first, second = make("*.example.com"), make("*.example.com")
    put(files, first)
    found = own.look()
    assert found and (found[1].chain, found[1].key) == (first.pem, first.key)
    assert own.look() is found
    files[1].write_text(second.key)  # the tool is between the two files
    assert own.look() is found
    put(files, second)
    later = own.look()
    assert later and later[1].chain == second.pem and later[0] != found[0]
    os.unlink(files[0])
    assert own.look() is later


def test_each_host_has_one_certificate_and_the_last_named_wins() -> None:
    wanted = [Served("acm", ("*.d", "api.d", "x.d")), Served("own", ("*.d", "api.d")), Served("none", ())]
    assert unique(wanted) == [Served("own", ("*.d", "api.d")), Served("acm", ("x.d",))]


def test_a_listening_context_shows_another_certificate_from_now_on(tmp_path: Path) -> None:
    """A context would keep one for each kind of key and show what the client likes better."""
    first, second = make("first.test"), make("second.test", private=rsa.generate_private_key(65537, 2048))
    (tmp_path / "both.pem").write_text(first.pem + first.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "both.pem")
    assert shown(context) == first.certificate
    use_certificate(context, second.pem, second.key)
    assert shown(context) == second.certificate
    use_certificate(context, first.pem, first.key)
    assert shown(context) == first.certificate


def shown(context: ssl.SSLContext) -> x509.Certificate:
    """What a client of this server sees."""
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with context.wrap_socket(theirs, server_side=True) as server:
            server.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(ours, server_hostname="any.test") as connection:
        der = connection.getpeercert(binary_form=True)
        connection.sendall(b"x")
    thread.join(10)
    assert der
    return x509.load_der_x509_certificate(der)
