"""Speaks ACME (RFC 8555) with an authority; see router.authority. Importing it takes a third of a second.

It remembers nothing that matters: what an order needs is asked for again by its URL.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWK, JWKEC

from pogo.router.authority import AccountLost, Limited, Progress, Refused, Trouble
from pogo.rules.acme import WELL_KNOWN, Challenge, Kind

TIMEOUT = 30  # seconds for one request
_KINDS: dict[Kind, type[challenges.KeyAuthorizationChallenge]] = {
    "http-01": challenges.HTTP01,
    "dns-01": challenges.DNS01,
}


class AcmeAuthority:
    """ca: file with the certificates that its TLS is trusted by. eab: key id and HMAC key that it gave, or None."""

    def __init__(self, directory: str, ca: Path, email: str = "", eab: tuple[str, str] | None = None) -> None:
        self.directory = directory
        self._ca = ca
        self._email = email
        self._eab = eab

    def connect(self, key: str, url: str | None) -> tuple[AcmeSession, str]:
        """A session of the account with this key (PEM), which is registered if it has no URL yet; and its URL.

        Raises Trouble, Refused.
        """
        private = load_pem_private_key(key.encode(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        jwk = JWKEC(key=private)
        net = client.ClientNetwork(jwk, alg=ES256, user_agent="pogoapp", timeout=TIMEOUT)
        net.verify_ssl = str(self._ca)  # type: ignore[assignment]  # requests takes a file as well
        with _Explained():
            speaker = client.ClientV2(client.ClientV2.get_directory(self.directory, net), net)
            if url is None:
                url = self._register(speaker, jwk)
        net.account = messages.RegistrationResource(uri=url, body=messages.Registration())
        return AcmeSession(speaker, jwk), url

    def _register(self, speaker: client.ClientV2, jwk: JWK) -> str:
        binding: dict[str, Any] | None = None
        if self._eab:
            binding = messages.ExternalAccountBinding.from_data(jwk, *self._eab, directory=speaker.directory)
        elif speaker.external_account_required():
            raise Refused(
                "The authority wants an external account: give POGO_ACME_EAB_KID and POGO_ACME_EAB_HMAC, "
                "which it shows to its customers."
            )
        new = messages.NewRegistration.from_data(
            email=self._email or None, external_account_binding=binding, terms_of_service_agreed=True
        )
        try:
            return str(speaker.new_account(new).uri)
        except errors.ConflictError as known:
            return str(known.location)


class AcmeSession:
    """What one account does at its authority. All raise Trouble and Refused."""

    def __init__(self, speaker: client.ClientV2, jwk: JWK) -> None:
        self._client = speaker
        self._jwk = jwk

    def order(self, names: Sequence[str], kind: Kind) -> tuple[str, list[Challenge]]:
        """URL of a new order, and what has to be there before the authority is told to look."""
        wanted = messages.NewOrder(
            identifiers=[messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=name) for name in names]
        )
        with _Explained():
            response = self._post(self._client.directory["newOrder"], wanted)
            order = messages.Order.from_json(response.json())
            asked = []
            for url in order.authorizations or ():
                authorization = self._authorization(url)
                if authorization.status != messages.STATUS_VALID:
                    asked.append(self._challenge(authorization, kind))
            return str(response.headers["Location"]), asked

    def look(self, url: str) -> Progress:
        """How far an order is."""
        with _Explained():
            order = messages.Order.from_json(self._post(url, None).json())
            status = str(order.status.name)
            if status not in ("pending", "invalid"):
                return Progress(status, certificate=order.certificate)
            authorizations = [self._authorization(one) for one in order.authorizations or ()]
        unanswered = tuple(
            str(one.uri)
            for authorization in authorizations
            if authorization.status == messages.STATUS_PENDING
            for one in authorization.challenges
            if one.status == messages.STATUS_PENDING
        )
        reasons = [
            f"{authorization.identifier.value}: {one.error.detail or one.error.title or one.error.typ}"
            for authorization in authorizations
            for one in authorization.challenges
            if one.error is not None
        ]
        if order.error is not None and not reasons:
            reasons.append(str(order.error.detail or order.error.typ))
        return Progress(status, unanswered, "; ".join(dict.fromkeys(reasons)))

    def answer(self, challenge: Challenge) -> None:
        """Tell the authority that it may look."""
        with _Explained():
            self._post(challenge.url, _KINDS[challenge.kind].response_cls(key_authorization=challenge.what))

    def finalize(self, url: str, key: str, names: Sequence[str]) -> None:
        """Ask for the certificate of an order whose names are proven."""
        private = load_pem_private_key(key.encode(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([]))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .sign(private, hashes.SHA256())
        )
        with _Explained():
            order = messages.Order.from_json(self._post(url, None).json())
            self._post(order.finalize, messages.CertificateRequest(csr=request))

    def chain(self, url: str) -> str:
        """The certificate with its chain, PEM."""
        with _Explained():
            return str(self._post(url, None).text)

    def _challenge(self, authorization: messages.Authorization, kind: Kind) -> Challenge:
        name = str(authorization.identifier.value)
        for one in authorization.challenges:
            if isinstance(one.chall, _KINDS[kind]):
                if isinstance(one.chall, challenges.DNS01):
                    return Challenge(
                        kind, str(one.uri), one.chall.validation_domain_name(name), one.chall.validation(self._jwk)
                    )
                return Challenge(
                    kind, str(one.uri), WELL_KNOWN + one.chall.encode("token"), one.chall.key_authorization(self._jwk)
                )
        raise Refused(f"The authority does not offer {kind} to prove {name}.")

    def _authorization(self, url: str) -> messages.Authorization:
        found: messages.Authorization = messages.Authorization.from_json(self._post(url, None).json())
        return found

    def _post(self, url: str, content: Any) -> requests.Response:
        return self._client.net.post(url, content, new_nonce_url=self._client.directory["newNonce"])


class _Explained:
    """Turns the library's exceptions into ours, which say whether asking again can help."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, messages.Error):
            text = str(error.detail or error.title or error.typ)
            if error.subproblems:
                text = "; ".join(str(one.detail or one.typ) for one in error.subproblems)
            if error.code == "rateLimited":
                raise Limited(f"The authority asks us to wait: {text}") from error
            if error.code == "accountDoesNotExist":
                raise AccountLost from error
            if error.code in ("serverInternal", "badNonce"):
                raise Trouble(f"The authority has a fault: {text}") from error
            raise Refused(f"The authority refuses: {text}") from error
        answer = error.args[0] if isinstance(error, errors.ClientError) and error.args else None
        if isinstance(answer, requests.Response):
            what = f"status {answer.status_code} at {answer.url}"
            if answer.status_code < 500:
                raise Refused(f"The authority refuses: {what}") from error
            raise Trouble(f"The authority has a fault: {what}") from error
        if isinstance(error, requests.RequestException | errors.ClientError | errors.NonceError):
            cause = type(error).__name__ if isinstance(error, requests.RequestException) else str(error)
            raise Trouble(f"The authority does not answer ({cause}).") from error
        if isinstance(error, JoseError | ValueError | KeyError):
            raise Trouble(f"The authority gives answers that cannot be understood ({type(error).__name__}).") from error
