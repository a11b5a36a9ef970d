"""Many of everything, put into the database row by row: for what lists cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy.orm import Session

from pogo.model import (
    App,
    AppSetup,
    AppTransfer,
    AuditEvent,
    Authorization,
    Base,
    Build,
    BuildpackName,
    Client,
    Collaborator,
    Domain,
    Dyno,
    DynoDay,
    Invitation,
    Key,
    LogDrain,
    Mirror,
    Passkey,
    Pipeline,
    PipelineCoupling,
    PromotionTarget,
    Release,
    ReviewApp,
    Slug,
    SniEndpoint,
    Team,
    TeamInvitation,
    TeamMember,
    User,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    utcnow,
)
from pogo.model.base import new_id


@dataclass
class House:
    """Of `ann`, who owns the app, the pipeline and the team, and is admin of all teams; ids of one of each."""

    ann: str
    app: str
    release: str
    slug: str
    pipeline: str
    promotion: str
    team: str

    def prepare(self, session: Session) -> None:
        session.add(Pipeline(id="team-line", name="team-line", team_id=self.team))

    def fill(self, session: Session, numbers: range) -> None:
        """One more of everything for each of the numbers, each with a person and an app of its own."""
        for n in numbers:
            for row in self._rows(n):
                session.add(row)
                session.flush()

    def _rows(self, n: int) -> Iterator[Base]:
        later = utcnow() + timedelta(days=1)
        user = User(id=new_id(), email=f"u{n}@example.com")
        yield user
        yield from self._of_accounts(n, user)
        for kind, team in (("own", None), ("team", self.team)):
            app = _app(f"{kind}-{n}", 1000 + 10 * n + len(kind), self.ann, team)
            yield app
            yield from _deployed(app.id, user.id, n)
            yield Collaborator(app_id=app.id, user_id=user.id)
            yield Collaborator(app_id=app.id, user_id=self.ann)
            line = "team-line" if team else self.pipeline
            yield PipelineCoupling(pipeline_id=line, app_id=app.id, stage="production")
            yield DynoDay(
                day=date(2026, 1, 1),
                owner=team or self.ann,
                app_id=app.id,
                type="web",
                size="Basic",
                app_name=app.name,
                milliseconds=1,
            )
            yield PromotionTarget(promotion_id=self.promotion, app_id=app.id, release_id=f"r-{app.id}")
        review = _app(f"review-{n}", 5000 + n, self.ann, None)
        yield review
        build = Build(id=new_id(), app_id=review.id, user_id=user.id, source="", stack="pogo-13", status="succeeded")
        yield build
        setup = AppSetup(id=new_id(), app_id=review.id, user_id=user.id, build_id=build.id)
        yield setup
        yield ReviewApp(pipeline_id=self.pipeline, app_id=review.id, setup_id=setup.id, user_id=user.id, branch=f"b{n}")
        yield AppTransfer(app_id=review.id, owner_id=self.ann, recipient_id=user.id)
        yield Pipeline(name=f"line-{n}", user_id=self.ann)
        yield Team(id=f"t{n}", name=f"guild-{n}")
        yield TeamMember(team_id=f"t{n}", user_id=self.ann, role="admin")
        member = User(id=new_id(), email=f"m{n}@example.com")
        yield member
        yield TeamMember(team_id=self.team, user_id=member.id, role="member")
        yield TeamInvitation(
            team_id=self.team,
            email=f"i{n}@example.com",
            role="member",
            inviter_id=user.id,
            token_sha256=f"i{n}",
            expires_at=later,
        )
        yield Invitation(email=f"i{n}@example.com", token_sha256=f"i{n}", invited_by="x", expires_at=later)
        yield Mirror(prefix=f"https://{n}.example.com/", url="https://m.example.com/")
        yield BuildpackName(name=f"acme/pack-{n}", url="https://p.example.com/x.tgz", description="x")
        yield AuditEvent(user_id=user.id, ip="::1", agent="x", request_id="x", action="GET /", changes=[])
        yield from self._of_the_app(n, user.id)

    def _of_accounts(self, n: int, user: User) -> Iterator[Base]:
        yield Key(user_id=self.ann, public_key="ssh-ed25519 AAAA", comment="x", fingerprint=f"{n}")
        client = Client(id=new_id(), user_id=self.ann, name=f"c{n}", redirect_uri="https://x.example.com", secret="x")
        yield client
        for session in (True, False):
            yield Authorization(
                user_id=self.ann,
                description="x",
                scope=["global"],
                token_sha256=f"{n}{session}",
                session=session,
                client_id=client.id,
            )
        yield Passkey(
            user_id=self.ann, name="x", credential=f"{n}", public_key=b"x", sign_count=0, transports=[], backed_up=False
        )

    def _of_the_app(self, n: int, user: str) -> Iterator[Base]:
        yield Collaborator(app_id=self.app, user_id=user)
        endpoint = SniEndpoint(
            id=new_id(),
            app_id=self.app,
            name=f"endpoint-{n}",
            chain="x",
            key="x",
            names=[f"{n}.example.com"],
            issuer="x",
            subject="x",
            starts_at=utcnow(),
            expires_at=utcnow(),
            trusted=False,
        )
        yield endpoint
        yield Domain(app_id=self.app, hostname=f"{n}.example.com", sni_endpoint_id=endpoint.id)
        yield LogDrain(app_id=self.app, url=f"https://{n}.example.com/", token=f"d.{n}")
        yield Build(
            app_id=self.app,
            user_id=user,
            source="",
            stack="pogo-13",
            status="succeeded",
            slug_id=self.slug,
            release_id=self.release,
        )
        yield Release(
            app_id=self.app, version=10 + n, status="succeeded", description="x", user_id=user, slug_id=self.slug
        )
        yield _dyno(self.app, self.release, "worker", n)
        hook = Webhook(app_id=self.app, url="https://x.example.com", include=["api:app"], level="sync", secret="x")
        hook.id = new_id()
        yield hook
        told = WebhookEvent(
            id=new_id(), app_id=self.app, seq=n, include="api:app", action="update", data={}, previous={}
        )
        told.actor = {"id": user, "email": f"u{n}@example.com"}
        yield told
        yield WebhookDelivery(app_id=self.app, webhook_id=hook.id, event_id=told.id, seq=n)


def _app(name: str, slot: int, owner: str, team: str | None) -> App:
    return App(id=new_id(), name=name, slot=slot, owner_id=owner, team_id=team, stack="pogo-13", build_stack="pogo-13")


def _deployed(app: str, user: str, n: int) -> Iterator[Base]:
    slug = Slug(id=new_id(), app_id=app, blob="x", checksum="x", size=1, stack="pogo-13", process_types={"web": "x"})
    yield slug
    release = Release(
        id=f"r-{app}", app_id=app, version=1, status="succeeded", description="x", user_id=user, slug_id=slug.id
    )
    yield release
    yield Build(
        app_id=app,
        user_id=user,
        source="",
        stack="pogo-13",
        status="succeeded",
        slug_id=slug.id,
        release_id=release.id,
    )
    yield _dyno(app, release.id, "web", 1)


def _dyno(app: str, release: str, type: str, number: int) -> Dyno:
    row = Dyno(app_id=app, release_id=release, kind="formation", type=type, number=number, size="Basic", command="x")
    row.state, row.state_at = "up", utcnow()
    return row
