"""Changes of tenants, logins, identity providers and keys of encryption, for the audit log."""

import base64
import hashlib

from flowmesh.api.identity.v1 import provider_service_pb2 as pb
from tests.features.closed import Caller
from tests.features.security.audited import COMPANY, Audited, call


async def change_providers(audited: Audited, project: str) -> None:
    """Make, change and delete an identity provider, and what it provisions."""
    owner = audited.closed.owner
    settings = pb.ProviderSettings(
        name="Corp", kind="oidc", issuer="https://corp.example", client_id="c"
    )
    of_company = {"company_id": COMPANY, "settings": settings}
    made = await call(owner, "ProviderService.CreateProvider", **of_company)
    provider = made.provider.id
    settings.name = "Corporation"
    await call(owner, "ProviderService.UpdateProvider", provider_id=provider, settings=settings)
    key = await audited.closed.key(project, "viewer", permissions=[f"scim:{provider}"])
    await change_provisioned(key)
    await call(owner, "ProviderService.DeleteProvider", provider_id=provider)


async def change_provisioned(key: Caller) -> None:
    """Provision, change and delete a user and a group."""
    made = await call(key, "ProvisioningService.CreateScimUser", user_name="scim@corp.example")
    user = {"user_id": made.user.id}
    await call(key, "ProvisioningService.UpdateScimUser", name="Renamed", **user)
    made = await call(key, "ProvisioningService.CreateScimGroup", display_name="Staff")
    group = {"group_id": made.group.id}
    await call(key, "ProvisioningService.UpdateScimGroup", display_name="Crew", **group)
    await call(key, "ProvisioningService.DeleteScimGroup", **group)
    await call(key, "ProvisioningService.DeleteScimUser", **user)


async def change_encryption(owner: Caller, namespace: str) -> None:
    """Make, rotate and destroy the keys of a namespace."""
    for method in ("RequireEncryption", "RotateDataKey", "DestroyDataKeys"):
        await call(owner, f"EncryptionService.{method}", namespace=namespace)


async def change_secrets(owner: Caller, namespace: str) -> None:
    """Store a secret, replace it by itself, sealed as for another cell, and delete it."""
    of = {"namespace": namespace}
    await call(owner, "SecretService.PutSecret", name="token", value=b"canary", **of)
    opened = await call(owner, "SecretService.PrepareSecretImport", **of)
    of["import_id"] = opened.import_id
    page = await call(owner, "SecretService.ExportSecrets", public_key=opened.public_key, **of)
    await call(owner, "SecretService.ImportSecrets", sealed=page.sealed, **of)
    await call(owner, "SecretService.DeleteSecret", name="token", namespace=namespace)


async def change_tenants(audited: Audited) -> str:
    """Create, change and delete a company with all that it can have; return its id."""
    owner = audited.closed.owner
    made = await call(owner, "TenantService.CreateCompany", slug="whole")
    company: str = made.company.id
    await call(owner, "TenantService.UpdateCompany", company_id=company, name="Whole")
    made = await call(owner, "TenantService.CreateOrganization", company_id=company, slug="part")
    part = made.organization.id
    await call(owner, "TenantService.UpdateOrganization", organization_id=part, name="Part")
    made = await call(owner, "TenantService.CreateProject", organization_id=part, slug="small")
    small = made.project.id
    await call(owner, "TenantService.UpdateProject", project_id=small, name="Small")
    await call(owner, "TenantService.DeleteProject", project_id=small)
    await call(owner, "TenantService.DeleteOrganization", organization_id=part)
    # The chain of a company outlives it, once there is one.
    await audited.found(company_id=company)
    await call(owner, "TenantService.DeleteCompany", company_id=company)
    return company


async def log_in_by_loopback(session: Caller, stranger: Caller) -> None:
    """Let the command log in by a browser of its machine."""
    verifier = "v" * 43
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    where = {"client_id": "flowmesh-cli", "redirect_uri": "http://127.0.0.1:5000/callback"}
    code = (
        await call(session, "LoginService.ApproveLoopbackLogin", code_challenge=challenge, **where)
    ).code
    await call(
        stranger, "LoginService.CompleteLoopbackLogin", code=code, code_verifier=verifier, **where
    )
