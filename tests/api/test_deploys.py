"""Config vars, releases, slugs, formation, dynos, buildpacks: what is deployed and how it runs."""

from __future__ import annotations

from api_rig import Client, People, RecordedHints, deploy, path_of, said

from pogo.model import App, Release
from pogo.services import dynos, releases
from pogo.services.platform import Platform
from pogo.settings import Settings

RELEASED = {"releases", "dynos", "router"}


def test_config_vars(ann: Client, app: App, hints: RecordedHints, platform: Platform) -> None:
    assert ann.get("/apps/shop/config-vars").json() == {}
    assert ann.patch("/apps/shop/config-vars", {"A": "1", "B": "x\ny"}).json() == {"A": "1", "B": "x\ny"}
    assert hints.taken() == RELEASED
    assert said(platform, app) == [
        "Set A, B config vars by user ann@example.com",
        "Release v2 created by user ann@example.com",
    ]
    assert ann.patch("/apps/shop/config-vars", {"A": "1", "C": None}).json() == {"A": "1", "B": "x\ny"}
    assert hints.taken() == set(), "nothing changed"
    assert ann.patch("/apps/shop/config-vars", {"A": None}).json() == {"B": "x\ny"}
    assert ann.get("/apps/shop/releases/v2/config-vars").json() == {"A": "1", "B": "x\ny"}
    assert ann.get("/apps/shop/releases/99/config-vars").status_code == 404


BAD_CONFIG: list[tuple[object, str]] = [
    ({"A": 1}, "`A` must be a string"),
    ({"A=B": "1"}, "not valid"),
    ({"": "1"}, "not valid"),
    ({"A": "\x00"}, "not valid"),
    (["A"], "must be an object"),
    (None, "the body is required"),
]


def test_bad_config_vars(ann: Client) -> None:
    for body, text in BAD_CONFIG:
        answer = ann.patch("/apps/shop/config-vars", body)
        assert (answer.status_code, answer.json()["id"]) == (422, "invalid_params")
        assert text in answer.json()["message"]
        assert ann.get("/apps/shop/config-vars").json() == {}


def test_half_a_surrogate_pair_is_no_text(ann: Client) -> None:
    assert ann.patch("/apps/shop/config-vars", {"A": "\ud800"}).status_code == 400
    assert ann.patch("/apps/shop/config-vars", {"A": "\U0001f600"}).json() == {"A": "\U0001f600"}


def test_releases(ann: Client, app: App, release: Release, everyone: People, platform: Platform) -> None:
    ann.patch("/apps/shop/config-vars", {"A": "1"})
    listed = ann.get("/apps/shop/releases").json()
    assert [(one["version"], one["current"], one["eligible_for_rollback"]) for one in listed] == [
        (1, False, False),
        (2, False, True),
        (3, True, True),
    ]
    assert listed[1]["description"] == "Deploy aaaaaaaa"
    assert listed[1]["artifacts"] == [{"type": "slug", "id": release.slug_id}]
    assert listed[1]["output_stream_url"] is None
    for name in ("2", "v2", release.id):
        assert ann.get(f"/apps/shop/releases/{name}").json() == listed[1]
    newest = ann.get("/apps/shop/releases?extended=true", Range="version ..; max=1, order=desc")
    assert (newest.status_code, [one["version"] for one in newest.json()]) == (206, [3])
    assert newest.json()[0]["extended"]["slug_id"] == release.slug_id
    for name in ("4", "v0", "none", "99999999999999999999"):
        assert ann.get(f"/apps/shop/releases/{name}").status_code == 404


def test_rollback(ann: Client, app: App, release: Release, hints: RecordedHints, platform: Platform) -> None:
    ann.patch("/apps/shop/config-vars", {"A": "1"})
    hints.taken()
    made = ann.post("/apps/shop/releases", {"release": release.id})
    assert (made.status_code, made.json()["version"], made.json()["current"]) == (201, 4, True)
    assert hints.taken() == RELEASED
    assert said(platform, app)[-2:] == [
        "Rollback to v2 by user ann@example.com",
        "Release v4 created by user ann@example.com",
    ]
    assert ann.get("/apps/shop/config-vars").json() == {}
    assert ann.post("/apps/shop/releases", {"release": "v1"}).status_code == 422, "nothing was deployed then"
    assert ann.post("/apps/shop/releases", {"release": "v9"}).status_code == 404
    assert ann.post("/apps/shop/releases", {}).status_code == 422
    assert ann.post("/apps/shop/releases", {"release": 2}).status_code == 422


def test_a_slug_is_released_again(ann: Client, release: Release, platform: Platform, settings: Settings) -> None:
    slug = ann.get(f"/apps/shop/slugs/{release.slug_id}").json()
    assert (slug["process_types"]["web"], slug["size"], slug["commit"]) == ("python app.py", 10, "a" * 40)
    again = ann.post("/apps/shop/releases", {"slug": slug["id"], "description": "Retry of v2: Deploy aaaaaaaa"})
    assert (again.status_code, again.json()["description"]) == (201, "Retry of v2: Deploy aaaaaaaa")
    assert ann.post("/apps/shop/releases", {"slug": slug["id"]}).json()["description"] == "Deploy aaaaaaaa"
    assert ann.post("/apps/shop/releases", {"slug": "none"}).status_code == 404
    assert ann.get("/apps/shop/slugs/none").status_code == 404

    platform.store.put("slugs/x", [b"the image"])
    image = ann.http.get(path_of(settings, slug["blob"]["url"]))
    assert (image.content, image.headers["content-length"]) == (b"the image", "9")
    assert ann.http.get(path_of(settings, slug["blob"]["url"])[:-1]).status_code == 403


def test_a_release_phase_has_output(ann: Client, app: App, everyone: People) -> None:
    made = deploy(ann.http.app.state.platform.db, app, everyone.users["ann"], {"web": "x", "release": "migrate"})  # type: ignore[attr-defined]
    shown = ann.get(f"/apps/shop/releases/{made.version}").json()
    assert (shown["status"], shown["current"]) == ("pending", False)
    assert f"/streams/releases/{made.id}?token=" in shown["output_stream_url"]


def test_formation(ann: Client, app: App, release: Release, hints: RecordedHints, platform: Platform) -> None:
    listed = ann.get("/apps/shop/formation").json()
    assert [(one["type"], one["quantity"], one["size"], one["command"]) for one in listed] == [
        ("web", 1, "Basic", "python app.py"),
        ("worker", 0, "Basic", "python work.py"),
    ]
    updates = [{"type": "web", "quantity": "+1"}, {"type": "worker", "quantity": 2, "size": "standard-2x"}]
    changed = ann.patch("/apps/shop/formation", {"updates": updates}).json()
    assert [(one["type"], one["quantity"], one["size"]) for one in changed] == [
        ("web", 2, "Basic"),
        ("worker", 2, "Standard-2X"),
    ]
    assert said(platform, app) == ["Scaled to web@2:Basic worker@2:Standard-2X by user ann@example.com"]
    assert hints.taken() == {"dynos", "router"}

    web = ann.get("/apps/shop/formation/web").json()
    assert ann.get(f"/apps/shop/formation/{web['id']}").json() == web
    size = ann.get("/dyno-sizes/performance-m").json()
    for asked in ("Performance-M", {"name": "performance-m"}, {"id": size["id"]}):
        shown = ann.patch("/apps/shop/formation/web", {"dyno_size": asked}).json()
        assert (shown["dyno_size"]["name"], shown["dyno_size"]["id"]) == ("Performance-M", size["id"])
    assert ann.patch("/apps/shop/formation/web", {"quantity": "-2"}).json()["quantity"] == 0
    assert ann.patch("/apps/shop/formation", {"updates": []}).json() == []


def test_the_release_phase_is_listed_and_not_scaled(
    ann: Client, app: App, release: Release, everyone: People, platform: Platform
) -> None:
    """As none of `release`, as soon as the newest release has one: by that the official CLI retries it."""
    assert "release" not in [one["type"] for one in ann.get("/apps/shop/formation").json()]
    made = deploy(platform.db, app, everyone.users["ann"], {"web": "x", "release": "migrate"})
    listed = [(one["type"], one["quantity"], one["command"]) for one in ann.get("/apps/shop/formation").json()]
    assert listed == [("web", 1, "python app.py"), ("release", 0, "migrate"), ("worker", 0, "python work.py")]
    shown = ann.get("/apps/shop/formation/release").json()
    assert ann.get(f"/apps/shop/formation/{shown['id']}").json() == shown
    for quantity in (1, "+1", "-1"):
        answer = ann.patch("/apps/shop/formation/release", {"quantity": quantity})
        assert answer.status_code == 422 and "cannot be scaled" in answer.json()["message"]
    everything = [{"type": one, "size": "standard-1x"} for one in ("web", "worker", "release")]
    ann.patch("/apps/shop/formation", {"updates": everything})
    assert ann.patch("/apps/shop/formation/release", {"quantity": 0}).json() == {
        **ann.get("/apps/shop/formation/release").json(),
        "id": shown["id"],
        "size": "Standard-1X",
    }
    dyno = dynos.start_release_phase(platform.db, made.id)
    assert dyno and dyno.size == "Standard-1X"
    assert releases.conclude(platform.db, made.id, succeeded=False)
    again = ann.post("/apps/shop/releases", {"slug": made.slug_id, "description": "Retry of v3"}).json()
    assert (again["version"], again["status"]) == (4, "pending") and again["output_stream_url"]
    deploy(platform.db, app, everyone.users["ann"])
    assert ann.get("/apps/shop/formation/release").status_code == 404


BAD_SCALING: list[tuple[object, int, str]] = [
    ({"quantity": 1}, 422, "`updates[0].type` is required"),
    ({"type": "web", "quantity": "many"}, 422, "Quantity 'many'"),
    ({"type": "web", "quantity": 1.5}, 422, "`updates[0].quantity` must be a number"),
    ({"type": "web", "quantity": True}, 422, "`updates[0].quantity` must be a number"),
    ({"type": "web", "quantity": 101}, 422, "0 to 100"),
    ({"type": "web", "size": "huge"}, 422, "No such size"),
    ({"type": "web", "size": 3}, 422, "`updates[0].size` must be a name"),
    ({"type": "clock", "quantity": 1}, 404, "clock"),
    ({"type": "web", "docker_image": "x"}, 422, "Docker"),
    ("web", 422, "`updates[0]` must be an object"),
]


def test_bad_scaling(ann: Client, release: Release) -> None:
    for update, status, text in BAD_SCALING:
        answer = ann.patch("/apps/shop/formation", {"updates": [update]})
        assert answer.status_code == status, answer.text
        assert text in answer.json()["message"]


def test_scaling_what_is_not_there(ann: Client) -> None:
    assert ann.patch("/apps/shop/formation/web", {"quantity": 1}).status_code == 404
    assert ann.get("/apps/shop/formation/web").status_code == 404
    assert ann.patch("/apps/shop/formation", {}).json()["message"] == "Invalid request: `updates` is required"


def test_an_attached_dyno(ann: Client, app: App, release: Release, hints: RecordedHints, platform: Platform) -> None:
    env = {"TERM": "xterm", "LINES": 50, "COLUMNS": "120"}
    made = ann.post("/apps/shop/dynos", {"attach": True, "command": "bash", "env": env, "size": "standard-1x"})
    assert made.status_code == 201
    shown = made.json()
    assert (shown["type"], shown["size"], shown["state"], shown["command"]) == (
        "run",
        "Standard-1X",
        "starting",
        "bash",
    )
    start, _, secret = shown["attach_url"].rpartition("/")
    assert start == "rendezvous://localhost:5055"
    assert hints.taken() == {"dynos"}
    assert said(platform, app) == ["Starting process with command `bash` by user ann@example.com"]
    row = dynos.claim_attach(platform.db, secret)
    assert (row.id, row.tty_rows, row.tty_columns) == (shown["id"], 50, 120)
    assert row.env == {"TERM": "xterm", "LINES": "50", "COLUMNS": "120"}

    listed = ann.get("/apps/shop/dynos").json()
    assert listed == [{**shown, "attach_url": None}]
    assert ann.get(f"/apps/shop/dynos/{shown['name']}").json() == listed[0]
    assert ann.get(f"/apps/shop/dynos/{shown['id']}").json() == listed[0]
    assert "extended" in ann.get("/apps/shop/dynos?extended=true").json()[0]


def test_terminals(ann: Client, release: Release, platform: Platform) -> None:
    def terminal(**body: object) -> tuple[int | None, int | None]:
        id = ann.post("/apps/shop/dynos", {"command": "bash", **body}).json()["id"]
        row = dynos.get_dyno(platform.db, id)
        assert row
        return row.tty_rows, row.tty_columns

    assert terminal(attach=True) == (24, 80)
    assert terminal(attach=True, env={"LINES": "x", "COLUMNS": 0}) == (24, 80)
    assert terminal(attach=True, force_no_tty=True) == (None, None)
    assert terminal(attach=False, env={"LINES": 1}) == (None, None)
    assert terminal(attach=None, force_no_tty=None, env=None, time_to_live=60) == (None, None)


BAD_DYNOS: list[tuple[object, str]] = [
    ({}, "`command` is required"),
    ({"command": " "}, "needs a command"),
    ({"command": "a\x00b"}, "`command`"),
    ({"command": 5}, "`command` must be a string"),
    ({"command": "x", "env": []}, "`env` must be an object"),
    ({"command": "x", "env": {"A": []}}, "`env.A` must be a string"),
    ({"command": "x", "env": {"A B": "1"}}, "not valid"),
    ({"command": "x", "type": "a b"}, "`type`"),
    ({"command": "x", "size": "huge"}, "No such size"),
    ({"command": "x", "attach": "yes"}, "`attach` must be a boolean"),
    ({"command": "x", "time_to_live": "60"}, "`time_to_live` must be an integer"),
]


def test_bad_dynos(ann: Client, release: Release) -> None:
    for body, text in BAD_DYNOS:
        answer = ann.post("/apps/shop/dynos", body)
        assert answer.status_code == 422
        assert text in answer.json()["message"]


def test_nothing_to_run(ann: Client) -> None:
    assert "git push" in ann.post("/apps/shop/dynos", {"command": "bash"}).json()["message"]


def test_restart_and_stop(ann: Client, app: App, release: Release, hints: RecordedHints, platform: Platform) -> None:
    dynos.create(
        platform.db,
        [
            {"app_id": app.id, "release_id": release.id, "type": type, "number": 1, "size": "Basic", "command": "x"}
            for type in ("web", "worker")
        ],
    )

    def retired() -> dict[str, str | None]:
        rows = {dyno.name: dyno.retired for dyno in dynos.list_dynos(platform.db, app)}
        for dyno in dynos.list_dynos(platform.db, app):
            dynos.change(platform.db, dyno.id, dyno.state, retired=None)
        return rows

    for method, path, changed in (
        ("DELETE", "/dynos", {"web.1": "replaced", "worker.1": "replaced"}),
        ("DELETE", "/dynos?type=web", {"web.1": "replaced", "worker.1": None}),
        ("DELETE", "/dynos/worker.1", {"web.1": None, "worker.1": "replaced"}),
        ("DELETE", "/formations/web", {"web.1": "replaced", "worker.1": None}),
        ("POST", "/dynos/web.1/actions/stop", {"web.1": "stopped", "worker.1": None}),
        ("POST", "/formations/worker/actions/stop", {"web.1": None, "worker.1": "stopped"}),
    ):
        hints.taken()
        answer = ann.call(method, f"/apps/shop{path}")
        assert (answer.status_code, answer.json()) == (202, {}), path
        assert retired() == changed
        assert hints.taken() == {"dynos", "router"}
    for path in ("/dynos", "/dynos", "/dynos/web.1"):
        assert ann.delete(f"/apps/shop{path}").status_code == 202, "restarting what restarts already is no error"
    for method, path in (
        ("DELETE", "/dynos/web.9"),
        ("DELETE", "/formations/none"),
        ("POST", "/dynos/none/actions/stop"),
        ("POST", "/formations/none/actions/stop"),
        ("GET", "/dynos/web.9"),
    ):
        assert ann.call(method, f"/apps/shop{path}").status_code == 404, path


def test_buildpacks(ann: Client) -> None:
    path = "/apps/shop/buildpack-installations"
    assert ann.get(path).json() == []
    wanted = [
        "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/python.tgz",
        "urn:buildpack:heroku/nodejs",
        "https://github.com/heroku/heroku-buildpack-go#main",
    ]
    answer = ann.put(path, {"updates": [{"buildpack": one} for one in wanted]})
    assert answer.status_code == 200
    assert [(one["ordinal"], one["buildpack"]["url"]) for one in answer.json()] == [
        (0, "heroku/python"),
        (1, "heroku/nodejs"),
        (2, "https://github.com/heroku/heroku-buildpack-go#main"),
    ]
    assert ann.get(path).json() == answer.json()
    assert ann.call("PUT", path, {"updates": []}, Range="").json() == []
    for body in (
        {"updates": [{"buildpack": "heroku/nothing"}]},
        {"updates": [{"buildpack": "x"}]},
        {"updates": [{}]},
        {},
    ):
        assert ann.put(path, body).status_code == 422
    assert ann.put(path, {"updates": [{"buildpack": "heroku/go"}] * 21}).status_code == 422


def test_the_buildpack_registry_needs_no_login(everyone: People) -> None:
    found = everyone.nobody.get("/buildpacks/heroku%2Fpython").json()
    assert found["blob_url"] == "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/python.tgz"
    assert everyone.nobody.get("/buildpacks/heroku%2Fnothing").status_code == 404
    assert len(everyone.nobody.get("/buildpacks").json()) > 10
    assert [one["name"] for one in everyone.nobody.get("/buildpacks?in[name][]=python").json()] == ["python"]
    assert everyone.nobody.get("/buildpacks?in[namespace][]=nobody").json() == []


def test_builds_are_listed(ann: Client, release: Release) -> None:
    (build,) = ann.get("/apps/shop/builds").json()
    assert (build["status"], build["release"]["id"], build["source_blob"]["version"]) == (
        "succeeded",
        release.id,
        "a" * 40,
    )
    assert ann.get(f"/apps/shop/builds/{build['id']}").json() == build
    assert ann.get("/apps/shop/builds/none").status_code == 404
    assert releases.get_release(ann.http.app.state.platform.db, release.id)  # type: ignore[attr-defined]
