"""The nouns, as tables. Only `services` writes them."""

from pogo.model.apps import App, Collaborator, Domain, Formation
from pogo.model.audit import AuditEvent
from pogo.model.base import Base, utcnow
from pogo.model.certificates import AcmeAccount, AcmeOrder, SniEndpoint
from pogo.model.deploys import Build, Dyno, Lease, LogDrain, Release, Slug
from pogo.model.passkeys import Passkey, PasskeySecret
from pogo.model.people import (
    Authorization,
    BrowserLogin,
    Client,
    FailedLogins,
    Grant,
    Invitation,
    Key,
    User,
)
from pogo.model.pipelines import Pipeline, PipelineCoupling, Promotion, PromotionTarget, ReviewApp
from pogo.model.setups import AppSetup, BuildpackName, Mirror
from pogo.model.teams import Team, TeamInvitation, TeamMember
from pogo.model.transfers import AppTransfer
from pogo.model.usage import DynoDay, DynoInterval
from pogo.model.webhooks import Webhook, WebhookDelivery, WebhookEvent

__all__ = [
    "AcmeAccount",
    "AcmeOrder",
    "App",
    "AppSetup",
    "AppTransfer",
    "AuditEvent",
    "Authorization",
    "Base",
    "BrowserLogin",
    "Build",
    "BuildpackName",
    "Client",
    "Collaborator",
    "Domain",
    "Dyno",
    "DynoDay",
    "DynoInterval",
    "FailedLogins",
    "Formation",
    "Grant",
    "Invitation",
    "Key",
    "Lease",
    "LogDrain",
    "Mirror",
    "Passkey",
    "PasskeySecret",
    "Pipeline",
    "PipelineCoupling",
    "Promotion",
    "PromotionTarget",
    "Release",
    "ReviewApp",
    "Slug",
    "SniEndpoint",
    "Team",
    "TeamInvitation",
    "TeamMember",
    "User",
    "Webhook",
    "WebhookDelivery",
    "WebhookEvent",
    "utcnow",
]
