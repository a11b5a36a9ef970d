"""Certificates through the API: brought by users, and those that the platform gets by itself."""

from __future__ import annotations

import pytest
from api_rig import Client, People, RecordedHints, said
from made_certificates import Made, make

from pogo.model import AcmeOrder, App, utcnow
from pogo.router.certificates import Served
from pogo.services import acme, certificates
from pogo.services.platform import Platform

PATH = "/apps/shop/sni-endpoints"


def body(made: Made) -> dict[str, str]:
    return {"certificate_chain": made.pem, "private_key": made.key}


def domain(client: Client, hostname: str, endpoint: str | None = None) -> dict[str, object]:
    made = client.post("/apps/shop/domains", {"hostname": hostname, "sni_endpoint": endpoint})
    assert made.status_code == 201, made.text
    return made.json()  # type: ignore[no-any-return]


def test_a_certificate_from_first_to_last(ann: Client, app: App, platform: Platform, hints: RecordedHints) -> None:
    www = domain(ann, "www.example.com")
    domain(ann, "other.org")
    first = make("www.example.com", "*.example.com")
    made = ann.post(PATH, body(first))
    assert made.status_code == 201
    assert hints.taken() >= {"certificates"}
    endpoint = made.json()
    assert endpoint["certificate_chain"] == first.pem
    assert endpoint["domains"] == [www["id"]]
    assert endpoint["ssl_cert"]["cert_domains"] == ["www.example.com", "*.example.com"]
    flags = {key: endpoint["ssl_cert"][key] for key in ("ca_signed?", "self_signed?", "acm")}
    assert flags == {"ca_signed?": False, "self_signed?": True, "acm": False}
    assert "PRIVATE" not in made.text
    assert said(platform, app)[-1].startswith(f"Add certificate {endpoint['name']} (www.example.com")

    assert ann.get(PATH).json() == [endpoint]
    for identity in (endpoint["name"], endpoint["id"]):
        assert ann.get(f"{PATH}/{identity}").json() == endpoint
    shown = ann.get("/apps/shop/domains/www.example.com").json()
    assert shown["sni_endpoint"] == {"id": endpoint["id"], "name": endpoint["name"]}
    assert (shown["acm_status"], shown["acm_status_reason"]) == (None, None)
    assert served(platform) == {endpoint["ssl_cert"]["id"]: ("www.example.com",)}

    later = make("www.example.com", "*.example.com")
    updated = ann.patch(f"{PATH}/{endpoint['name']}", body(later)).json()
    assert (updated["id"], updated["certificate_chain"]) == (endpoint["id"], later.pem)
    assert updated["ssl_cert"]["id"] != endpoint["ssl_cert"]["id"]
    assert certificates.pem(platform.db, updated["ssl_cert"]["id"]) == later.pem + later.key
    assert certificates.pem(platform.db, endpoint["ssl_cert"]["id"]) is None

    assert ann.delete(f"{PATH}/{endpoint['name']}").json() == updated
    assert ann.get(PATH).json() == []
    assert ann.get(f"{PATH}/{endpoint['name']}").status_code == 404
    assert ann.get("/apps/shop/domains/www.example.com").json()["sni_endpoint"] is None
    assert served(platform) == {}


def served(platform: Platform) -> dict[str, tuple[str, ...]]:
    found: list[Served] = certificates.served(platform.db, platform.settings)
    return {one.id: one.hosts for one in found}


def test_domains_choose_among_certificates(ann: Client, app: App) -> None:
    one = ann.post(PATH, body(make("*.example.com"))).json()["name"]
    two = ann.post(PATH, body(make("a.example.com", "b.example.com"))).json()["name"]
    assert domain(ann, "a.example.com", one)["sni_endpoint"]["name"] == one  # type: ignore[index]
    changed = ann.patch("/apps/shop/domains/a.example.com", {"sni_endpoint": two})
    assert changed.json()["sni_endpoint"]["name"] == two
    assert ann.patch("/apps/shop/domains/a.example.com", {"sni_endpoint": None}).json()["sni_endpoint"] is None
    assert domain(ann, "c.example.com")["sni_endpoint"]["name"] == one  # type: ignore[index]
    assert domain(ann, "b.example.com")["sni_endpoint"] is None  # two cover it
    for hostname, endpoint, status in (("c.example.com", two, 422), ("c.example.com", "none-1", 404)):
        answer = ann.patch(f"/apps/shop/domains/{hostname}", {"sni_endpoint": endpoint})
        assert answer.status_code == status, answer.text
    assert ann.patch("/apps/shop/domains/shop.localhost", {"sni_endpoint": one}).status_code == 422
    assert ann.post("/apps/shop/domains", {"hostname": "x.org", "sni_endpoint": one}).status_code == 422
    # A certificate cannot leave the domains behind that use it.
    refused = ann.patch(f"{PATH}/{one}", body(make("d.example.com")))
    assert refused.status_code == 422 and "c.example.com" in refused.json()["message"]


def test_what_is_refused(everyone: People, app: App) -> None:
    good = make("a.example.com")
    for wrong in (
        {**body(good), "private_key": make("x.org").key},
        {**body(good), "certificate_chain": "none"},
        {**body(good), "private_key": good.locked_key()},
        {"certificate_chain": good.pem},
        {"certificate_chain": 5, "private_key": None},
    ):
        answer = everyone.ann.post(PATH, wrong)
        assert answer.status_code == 422, answer.text
        assert good.key.splitlines()[1] not in answer.text
    assert everyone.eve.get(PATH).status_code in (403, 404)
    assert everyone.eve.post(PATH, body(good)).status_code in (403, 404)
    assert everyone.ann.get(PATH).json() == []


def test_the_key_is_encrypted_at_rest(ann: Client, app: App, platform: Platform) -> None:
    made = make("a.example.com")
    ann.post(PATH, body(made))
    secret = made.key.splitlines()[1].encode()
    files = [file for file in platform.settings.state_dir.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if secret in file.read_bytes()]


def test_acm_needs_an_authority(ann: Client, app: App) -> None:
    refused = ann.post("/apps/shop/acm", {})
    assert refused.status_code == 422
    assert "POGO_ACME_DIRECTORY" in refused.json()["message"]
    assert ann.get("/apps/shop").json()["acm"] is False


@pytest.fixture
def authority(platform: Platform) -> None:
    platform.settings.acme_directory = "https://ca.invalid/dir"


def status(client: Client, hostname: str) -> tuple[str | None, str | None]:
    found = client.get(f"/apps/shop/domains/{hostname}").json()
    return found["acm_status"], found["acm_status_reason"]


def order(platform: Platform, hostname: str) -> AcmeOrder:
    acme.sync(platform.db, platform.settings)
    return next(one for one in acme.due(platform.db, 100) if one.target == hostname)


def test_acm_tells_how_far_it_is(
    ann: Client, app: App, platform: Platform, hints: RecordedHints, authority: None
) -> None:
    domain(ann, "www.example.com")
    assert ann.post("/apps/shop/acm", {}).json()["acm"] is True
    assert hints.taken() >= {"acme", "certificates"}
    assert status(ann, "www.example.com") == ("pending", None)
    found = order(platform, "www.example.com")
    acme.failed(platform.db, found, "www.example.com: NXDOMAIN")
    assert status(ann, "www.example.com") == ("failing", "www.example.com: NXDOMAIN")
    assert acme.due(platform.db, 9) == []
    for _ in range(4):
        with platform.db.read() as session:
            acme.failed(platform.db, session.get_one(AcmeOrder, found.id), "NXDOMAIN")
    assert status(ann, "www.example.com") == ("failed", "NXDOMAIN")
    ann.patch("/apps/shop/acm", {"acm_refresh": True})
    assert status(ann, "www.example.com") == ("pending", None)
    found = order(platform, "www.example.com")
    key = acme.begin(platform.db, found.id)
    assert key
    acme.placed(platform.db, found.id, "https://ca.invalid/order/1", [])
    assert status(ann, "www.example.com") == ("verified", None)
    [placed] = acme.due(platform.db, 9)
    made = make("www.example.com", private=_private(key))
    assert acme.finish(platform.db, placed, made.pem) == app.id
    assert status(ann, "www.example.com") == ("cert issued", None)
    [endpoint] = ann.get(PATH).json()
    assert endpoint["ssl_cert"]["acm"] is True
    assert ann.delete(f"{PATH}/{endpoint['name']}").status_code == 422
    # What was seen of the order before is no reason to change it now.
    acme.failed(platform.db, placed, "late")
    assert status(ann, "www.example.com") == ("cert issued", None)
    with platform.db.read() as session:
        renewal = session.get_one(AcmeOrder, found.id).due_at
    assert 55 < (renewal - utcnow()).total_seconds() / 86400 < 60

    mine = ann.post(PATH, body(make("www.example.com"))).json()["name"]
    assert status(ann, "www.example.com")[0] == "cert issued"
    assert mine in (status(ann, "www.example.com")[1] or "")
    assert [one.target for one in acme.sync(platform.db, platform.settings)] == ["www.example.com"]
    assert [one["name"] for one in ann.get(PATH).json()] == [mine]
    platform.settings.acme_directory = ""
    ann.delete(f"{PATH}/{mine}")
    assert status(ann, "www.example.com")[0] == "disabled"
    assert ann.delete("/apps/shop/acm").json()["acm"] is False
    assert status(ann, "www.example.com") == (None, None)


def _private(key: str) -> object:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(key.encode(), None)
