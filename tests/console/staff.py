"""A closed suite with users, roles and an identity provider, for the pages about access."""

import datetime
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from flowmesh.plugins.project import write_project
from flowmesh.testing.suite import Suite
from tests.features.closed import OWNER, PASSWORD, Closed, closed_suite
from tests.features.plugins.market import Market
from tests.features.security.openid_provider import CLIENT, SECRET, openid_provider

ADMIN, VIEWER = "bea@shop.example", "cyd@shop.example"


@asynccontextmanager
async def staffed_suite(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """Serve a suite with an owner, an admin of a project, a viewer, and a provider to add.

    Its catalogue has a plugin of logins, and one of transforms.
    """
    market = Market(folder)
    write_project(folder / "teams", "teams", "login")
    market.publish(folder / "teams")
    market.publish(Path("plugins/iban-check"))
    async with (
        closed_suite(folder, kind=Suite, **market.environment) as closed,
        openid_provider() as provider,
    ):
        project = await closed.project("cart")
        await _joined(closed, ADMIN, f"/api/v1/projects/{project.id}", "admin")
        await _joined(closed, VIEWER, "/api/v1/companies/co_default", "viewer")
        staff = {
            "url": closed.suite.http_url,
            "owner": OWNER,
            "admin": ADMIN,
            "viewer": VIEWER,
            "password": PASSWORD,
            "cart": project.namespace,
            "issuer": provider.issuer,
            "client": CLIENT,
            "secret": SECRET,
            "certificate": _certificate(),
        }
        yield {"STAFF": json.dumps(staff)}


async def _joined(closed: Closed, email: str, level: str, role: str) -> None:
    """Register a user by an invitation to a level."""
    invited: dict[str, Any] = {"email": email, "role": role}
    status, made = await closed.owner.rest("POST", f"{level}/invitations", invited)
    assert status == 201, made
    name = email.partition("@")[0].title()
    user = {"email": email, "name": name, "password": PASSWORD, "invitation": made["token"]}
    status, made = await closed.caller("").rest("POST", "/api/v1/auth/register", user)
    assert status == 201, made


def _certificate() -> str:
    """Return a certificate of a SAML provider in PEM."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()
