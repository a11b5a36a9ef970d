"""Which certificates are taken, and what those who bring others are told."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from made_certificates import DAY, NOW, Made, authority, make

from pogo.errors import InvalidParams
from pogo.rules.certificates import LARGEST, Certificate, covers, read


def given(*chain: Made, key: str | None = None) -> Certificate:
    return read("".join(made.pem for made in chain), key or chain[0].key, NOW)


def test_a_chain_with_its_key() -> None:
    root = authority()
    between = authority("Between", root)
    leaf = make("www.Example.com", "*.example.com", common="www.example.com", issuer=between)
    found = given(leaf, between, root)
    assert found.names == ("www.example.com", "*.example.com")
    assert (found.subject, found.issuer) == ("/CN=www.example.com", "/CN=Between")
    assert (found.starts_at, found.expires_at) == (NOW - DAY, NOW + 89 * DAY)
    assert found.chain == leaf.pem + between.pem + root.pem
    assert "PRIVATE" not in repr(found)
    assert given(leaf).names == found.names


def test_texts_around_the_blocks_and_parameters_before_the_key_are_left_out() -> None:
    leaf = make("a.example.com")
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    found = read("Bag Attributes\r\n" + leaf.pem.replace("\n", "\r\n"), parameters + leaf.key, NOW)
    assert (found.chain, found.key) == (leaf.pem, leaf.key)


def test_the_common_name_counts_where_there_are_no_others() -> None:
    assert given(make(common="shop.example.com")).names == ("shop.example.com",)
    assert given(make("*.example.com", common="Example Ltd")).names == ("*.example.com",)


ROOT = authority()
GOOD = make("a.example.com", issuer=ROOT)
BETWEEN = authority("Between", ROOT)


@pytest.mark.parametrize(
    ("chain", "key", "why"),
    [
        ("", GOOD.key, "not PEM"),
        ("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", GOOD.key, "cannot be read"),
        (GOOD.pem + GOOD.key, GOOD.key, "holds a private key"),
        (GOOD.pem, GOOD.pem, "holds a certificate"),
        (GOOD.pem, "", "cannot be read"),
        (GOOD.pem, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be read"),
        (GOOD.pem, GOOD.locked_key(), "passphrase"),
        (GOOD.pem, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", "passphrase"),
        (GOOD.pem, ROOT.key, "does not belong to the certificate of /CN=a.example.com"),
        (ROOT.pem + GOOD.pem, GOOD.key, "number 2 and has to be the first"),
        (GOOD.pem + BETWEEN.pem, GOOD.key, "signed by /CN=Test Authority, but number 2 is /CN=Between"),
        (GOOD.pem + GOOD.pem, GOOD.key, "not in order"),
        ("x" * 9 * LARGEST, GOOD.key, "far too large"),
    ],
)
def test_what_is_refused(chain: str, key: str, why: str) -> None:
    with pytest.raises(InvalidParams, match=why) as told:
        read(chain, key, NOW)
    assert "BEGIN PRIVATE KEY-----\n" not in told.value.message


def test_weak_old_and_nameless_ones_are_refused() -> None:
    cases = {
        "has expired on": make("a.example.com", expires=NOW - DAY / 2),
        "not valid before": make("a.example.com", starts=NOW + DAY),
        "names no host": make(common="Example Ltd"),
        "RSA of 1024 bits": make("a.example.com", private=rsa.generate_private_key(65537, 1024)),
        "curve secp256k1": make("a.example.com", private=ec.generate_private_key(ec.SECP256K1())),
    }
    for why, made in cases.items():
        with pytest.raises(InvalidParams, match=why):
            given(made)
    edwards = make("a.example.com", issuer=ROOT, private=ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(InvalidParams, match="not supported by browsers"):
        given(edwards)


def test_a_chain_that_haproxy_could_not_take_is_refused() -> None:
    names = [f"{'x' * 60}{number}.example.com" for number in range(200)]
    with pytest.raises(InvalidParams, match="Leave out the root"):
        given(make(*names, common="many"))


def test_sha_1_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL may refuse to make one here, so the name of the hash is what is changed."""
    monkeypatch.setattr(hashes.SHA256, "name", "sha1")
    with pytest.raises(InvalidParams, match="signed with SHA1"):
        given(GOOD)


def test_wildcards_stand_for_one_label() -> None:
    names = ("www.example.com", "*.shop.example.com")
    for host in ("www.example.com", "a.shop.example.com", "*.shop.example.com"):
        assert covers(names, host), host
    for host in ("shop.example.com", "a.b.shop.example.com", "example.com", "*.example.com"):
        assert not covers(names, host), host
