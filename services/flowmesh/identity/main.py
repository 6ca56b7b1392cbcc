"""Composition root of the identity service."""

from contextlib import AsyncExitStack
from pathlib import Path

from flowmesh.access.encryption import DataKeys
from flowmesh.access.keys import OPEN_KEYS, InstallationKeys
from flowmesh.access.sealing import Sealer
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.api.execution.v1.meter_service_pb2_grpc import MeterServiceStub
from flowmesh.api.execution.v1.retention_service_pb2_grpc import RetentionServiceStub
from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceStub
from flowmesh.api.fleet.v1.plugin_service_pb2_grpc import PluginServiceStub
from flowmesh.api.identity.v1 import (
    access_service_pb2_grpc,
    audit_service_pb2_grpc,
    auth_service_pb2_grpc,
    encryption_service_pb2_grpc,
    file_service_pb2_grpc,
    key_service_pb2_grpc,
    login_service_pb2_grpc,
    member_service_pb2_grpc,
    plan_service_pb2_grpc,
    provider_service_pb2_grpc,
    provisioning_service_pb2_grpc,
    quota_service_pb2_grpc,
    secret_service_pb2_grpc,
    tenant_service_pb2_grpc,
)
from flowmesh.api.identity.v1.encryption_service_pb2 import (
    ListDataKeysRequest,
    ListDataKeysResponse,
)
from flowmesh.egress import Egress, Policy
from flowmesh.identity.accounts import Accounts
from flowmesh.identity.api.access_server import AccessServer
from flowmesh.identity.api.audit_server import AuditServer
from flowmesh.identity.api.auth_server import AuthServer
from flowmesh.identity.api.encryption_server import EncryptionServer
from flowmesh.identity.api.file_server import FileServer
from flowmesh.identity.api.key_server import KeyServer
from flowmesh.identity.api.login_server import LoginServer
from flowmesh.identity.api.member_server import MemberServer
from flowmesh.identity.api.plan_server import PlanServer
from flowmesh.identity.api.provider_server import ProviderServer
from flowmesh.identity.api.provisioning_server import ProvisioningServer
from flowmesh.identity.api.quota_server import QuotaServer
from flowmesh.identity.api.secret_server import SecretServer
from flowmesh.identity.api.tenant_server import TenantServer
from flowmesh.identity.api_keys import ApiKeys
from flowmesh.identity.app_keys import AppKeys
from flowmesh.identity.attempts import Attempts
from flowmesh.identity.auditing.appending import AuditAppender, AuditLoop
from flowmesh.identity.auditing.log import AuditLog
from flowmesh.identity.billing.bills import BillingLoop
from flowmesh.identity.billing.plans import CompanyUse, PlanLoop, Plans
from flowmesh.identity.billing.stripe import Stripe
from flowmesh.identity.credentials.access_tokens import AccessTokens
from flowmesh.identity.credentials.passwords import Passwords
from flowmesh.identity.encryption import Encryption
from flowmesh.identity.evidence.bundle import Evidence
from flowmesh.identity.login.devices import Devices
from flowmesh.identity.login.logins import Logins
from flowmesh.identity.login.loopback import LoopbackLogins
from flowmesh.identity.login.providers import Providers
from flowmesh.identity.loops import ExpiryLoop, SigningKeyLoop
from flowmesh.identity.members import Members
from flowmesh.identity.openid.client import OpenIdConnect
from flowmesh.identity.openid.hooks import LoginHooks
from flowmesh.identity.openid.provider_sessions import ProviderSessions
from flowmesh.identity.permissions import Permissions
from flowmesh.identity.principals import Principals
from flowmesh.identity.provisioning.caller import ProvisioningCaller
from flowmesh.identity.provisioning.provisioning import Provisioning
from flowmesh.identity.revocations import HeartbeatLoop, Revocations
from flowmesh.identity.saml.client import Saml
from flowmesh.identity.secret_moves import SecretMoves
from flowmesh.identity.secrets import Secrets
from flowmesh.identity.storage.audit import AuditStore
from flowmesh.identity.storage.database import MIGRATIONS, Database
from flowmesh.identity.storage.evidence import EvidenceStore
from flowmesh.identity.storage.files import FileStore
from flowmesh.identity.storage.keys import KeyStore
from flowmesh.identity.storage.logins import LoginStore
from flowmesh.identity.storage.payload_keys import PayloadKeyStore
from flowmesh.identity.storage.plans import PlanStore
from flowmesh.identity.storage.quotas import QuotaStore
from flowmesh.identity.storage.secrets import SecretStore
from flowmesh.identity.storage.sessions import SessionStore
from flowmesh.identity.storage.tenants import TenantStore
from flowmesh.identity.storage.users import UserStore
from flowmesh.identity.storage.wrapped_keys import WrappedKeyStore
from flowmesh.identity.tenants import Tenants
from flowmesh.identity.workspace.files import Files
from flowmesh.identity.workspace.quotas import Announcements, Quotas, UsageLoop
from flowmesh.identity.workspace.use import ProjectUse
from flowmesh.identity.wrapping.loops import RewrapLoop
from flowmesh.identity.wrapping.settings import open_wrapping
from flowmesh.identity.wrapping.wrapping import Wrapping
from flowmesh.plugins.calling import PluginFunctions
from flowmesh.runtime import Runtime, StartError
from flowmesh.runtime.data_keys import encrypting
from flowmesh.runtime.loop import Loop
from flowmesh.sandbox import Sandbox


async def run(runtime: Runtime) -> None:
    """Serve tenants, users and credentials until the process drains."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(runtime.database("identity", MIGRATIONS))
        keys = runtime.keys or OPEN_KEYS
        chains = AuditStore(Database(pool))
        appender = AuditAppender(store=chains, key=keys.audit, clock=runtime.clock)
        audit_loop = AuditLoop(appender)
        settings = runtime.settings
        policy = Policy.named(settings.egress, settings.egress_networks)
        egress = await stack.enter_async_context(Egress(policy))
        data_keys = DataKeys()
        database = Database(pool, call=audit_loop.call, keys=data_keys)
        sandbox = await stack.enter_async_context(Sandbox())
        wrapping = await open_wrapping(runtime, stack)
        parts = _Parts(runtime, database, keys, egress, sandbox, wrapping)
        await parts.tokens.rotate()
        runtime.serve(parts.access(), access_service_pb2_grpc.add_AccessServiceServicer_to_server)
        runtime.serve(parts.auth(), auth_service_pb2_grpc.add_AuthServiceServicer_to_server)
        runtime.serve(
            parts.tenant_server(), tenant_service_pb2_grpc.add_TenantServiceServicer_to_server
        )
        runtime.serve(parts.member(), member_service_pb2_grpc.add_MemberServiceServicer_to_server)
        runtime.serve(
            parts.provider(), provider_service_pb2_grpc.add_ProviderServiceServicer_to_server
        )
        parts.serve_provisioning()
        runtime.serve(parts.login(), login_service_pb2_grpc.add_LoginServiceServicer_to_server)
        runtime.serve(parts.key(), key_service_pb2_grpc.add_KeyServiceServicer_to_server)
        runtime.serve(parts.file(), file_service_pb2_grpc.add_FileServiceServicer_to_server)
        runtime.serve(parts.quota(), quota_service_pb2_grpc.add_QuotaServiceServicer_to_server)
        parts.serve_plans(egress)
        runtime.add_loop(UsageLoop(store=parts.quotas, use=parts.use, clock=runtime.clock))
        runtime.serve(
            parts.secret_server(), secret_service_pb2_grpc.add_SecretServiceServicer_to_server
        )
        encryption = parts.encryption_server()
        runtime.serve(
            encryption, encryption_service_pb2_grpc.add_EncryptionServiceServicer_to_server
        )

        async def own_keys(request: ListDataKeysRequest) -> ListDataKeysResponse:
            return await encryption.ListDataKeys(request, None)

        await encrypting(runtime, data_keys, list_keys=own_keys)
        log = AuditLog(
            store=chains,
            appender=appender,
            permissions=parts.permissions,
            key=keys.audit,
            clock=runtime.clock,
        )
        runtime.serve(
            AuditServer(log, appender, parts.evidence(log)),
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
        )
        runtime.add_loop(audit_loop)
        runtime.add_loop(SigningKeyLoop(parts.tokens))
        runtime.add_loop(
            ExpiryLoop(
                sessions=parts.sessions,
                tenants=parts.tenants,
                files=parts.files,
                secrets=parts.secrets,
                logins=parts.logins,
            )
        )
        runtime.add_loop(HeartbeatLoop(parts.revocations))
        await runtime.until_stopped()


class _Parts:
    """The stores and parts that several servers share."""

    def __init__(
        self,
        runtime: Runtime,
        database: Database,
        keys: InstallationKeys,
        egress: Egress,
        sandbox: Sandbox,
        wrapping: Wrapping,
    ) -> None:
        self._runtime, self._database = runtime, database
        self._wrapping = wrapping
        self._wrapped_keys = WrappedKeyStore(database)
        self._pepper = keys.pepper
        self.users = UserStore(database)
        self.tenants = TenantStore(database)
        self.sessions = SessionStore(database)
        self.keys = KeyStore(database)
        self.files = FileStore(database)
        self.quotas = QuotaStore(database)
        self._plans = PlanStore(database)
        self._announcements = Announcements(runtime.bus, runtime.settings.bus_prefix)
        self.use = ProjectUse(
            searches=runtime.stub(SearchServiceStub, "orchestrator"),
            definitions=runtime.stub(DefinitionServiceStub, "definition"),
            files=self.files,
            keys=self.keys,
        )
        self.secrets = SecretStore(database)
        self._payload_keys = PayloadKeyStore(database)
        self._evidence = EvidenceStore(database)
        self._sealer = Sealer(keys.wrapping)
        self.tokens = AccessTokens(sessions=self.sessions, sealer=self._sealer)
        self.revocations = Revocations(runtime.bus, runtime.settings.bus_prefix)
        self.permissions = Permissions(tenants=self.tenants, users=self.users)
        self.logins = LoginStore(database)
        self._oidc, self._saml = OpenIdConnect(egress), Saml(sandbox, runtime.clock)
        plugins = runtime.stub(PluginServiceStub, "fleet")
        self._hooks = LoginHooks(PluginFunctions("login", plugins, sandbox))
        self._provider_sessions = ProviderSessions(
            store=self.logins,
            sessions=self.sessions,
            oidc=self._oidc,
            saml=self._saml,
            hooks=self._hooks,
            revocations=self.revocations,
            sealer=self._sealer,
            public_url=runtime.settings.public_url,
        )
        self._attempts = Attempts(redis=runtime.cache, prefix=runtime.settings.bus_prefix)
        self.accounts = Accounts(
            users=self.users,
            sessions=self.sessions,
            tokens=self.tokens,
            passwords=Passwords(),
            attempts=self._attempts,
            revocations=self.revocations,
            provider_sessions=self._provider_sessions,
            keys=keys,
            registration=runtime.settings.registration,
            clock=runtime.clock,
        )

    def access(self) -> AccessServer:
        principals = Principals(
            users=self.users,
            sessions=self.sessions,
            keys=self.keys,
            tokens=self.tokens,
            pepper=self._pepper,
        )
        app_keys = AppKeys(
            store=self.keys,
            principals=principals,
            revocations=self.revocations,
            pepper=self._pepper,
            clock=self._runtime.clock,
        )
        return AccessServer(principals, app_keys)

    def auth(self) -> AuthServer:
        return AuthServer(accounts=self.accounts, tokens=self.tokens, users=self.users)

    def provider(self) -> ProviderServer:
        providers = Providers(
            store=self.logins,
            permissions=self.permissions,
            sessions=self._provider_sessions,
            oidc=self._oidc,
            hooks=self._hooks,
            sealer=self._sealer,
            revocations=self.revocations,
        )
        return ProviderServer(providers)

    def serve_provisioning(self) -> None:
        provisioning = Provisioning(
            database=self._database,
            caller=ProvisioningCaller(logins=self.logins, keys=self.keys, tenants=self.tenants),
            sessions=self._provider_sessions,
        )
        self._runtime.serve(
            ProvisioningServer(provisioning),
            provisioning_service_pb2_grpc.add_ProvisioningServiceServicer_to_server,
        )

    def login(self) -> LoginServer:
        logins = Logins(
            store=self.logins,
            oidc=self._oidc,
            saml=self._saml,
            hooks=self._hooks,
            sessions=self._provider_sessions,
            accounts=self.accounts,
            attempts=self._attempts,
            sealer=self._sealer,
            pepper=self._pepper,
            public_url=self._runtime.settings.public_url,
            clock=self._runtime.clock,
        )
        devices = Devices(
            store=self.logins,
            accounts=self.accounts,
            sealer=self._sealer,
            pepper=self._pepper,
            clock=self._runtime.clock,
        )
        loopback = LoopbackLogins(
            store=self.logins,
            accounts=self.accounts,
            sealer=self._sealer,
            clock=self._runtime.clock,
        )
        return LoginServer(logins, devices, loopback, self._runtime.settings.public_url)

    def tenant_server(self) -> TenantServer:
        tenants = Tenants(
            store=self.tenants,
            users=self.users,
            permissions=self.permissions,
            revocations=self.revocations,
            registration=self._runtime.settings.registration,
        )
        return TenantServer(tenants)

    def evidence(self, log: AuditLog) -> Evidence:
        return Evidence(
            log=log,
            store=self._evidence,
            retention=self._runtime.stub(RetentionServiceStub, "orchestrator"),
            searches=self._runtime.stub(SearchServiceStub, "orchestrator"),
            drill_report=self._runtime.settings.drill_report,
            clock=self._runtime.clock,
        )

    def member(self) -> MemberServer:
        members = Members(
            users=self.users, permissions=self.permissions, revocations=self.revocations
        )
        return MemberServer(members=members, accounts=self.accounts)

    def secret_server(self) -> SecretServer:
        secrets = Secrets(store=self.secrets, wrapping=self._wrapping)
        moves = SecretMoves(store=self.secrets, secrets=secrets, installation=self._sealer)
        return SecretServer(secrets, moves)

    def encryption_server(self) -> EncryptionServer:
        encryption = Encryption(
            store=self._payload_keys,
            wrapped=self._wrapped_keys,
            wrapping=self._wrapping,
            installation=self._sealer if self._runtime.keys is not None else None,
            bus=self._runtime.bus,
            prefix=self._runtime.settings.bus_prefix,
        )
        if self._runtime.keys is not None:
            loop = RewrapLoop(
                self._wrapping,
                self._wrapped_keys,
                announce=encryption.announce,
                metrics=self._runtime.metrics,
            )
            self._runtime.add_loop(loop)
        return EncryptionServer(encryption, self._wrapping)

    def key(self) -> KeyServer:
        keys = ApiKeys(
            store=self.keys,
            permissions=self.permissions,
            revocations=self.revocations,
            pepper=self._pepper,
            clock=self._runtime.clock,
        )
        return KeyServer(keys)

    def file(self) -> FileServer:
        files = Files(store=self.files, quotas=self.quotas, permissions=self.permissions)
        return FileServer(files)

    def quota(self) -> QuotaServer:
        quotas = Quotas(
            store=self.quotas,
            permissions=self.permissions,
            use=self.use,
            announcements=self._announcements,
            clock=self._runtime.clock,
        )
        return QuotaServer(quotas)

    def serve_plans(self, egress: Egress) -> None:
        """Serve plans of companies, compare them with the use, and bill it."""
        runtime, settings = self._runtime, self._runtime.settings
        use = CompanyUse(self._plans, runtime.stub(MeterServiceStub, "orchestrator"))
        loop = PlanLoop(
            store=self._plans, use=use, announcements=self._announcements, clock=runtime.clock
        )
        loops: list[Loop] = [loop]
        if settings.stripe_key_file:
            stripe = Stripe(egress, settings.stripe_url, _key(settings.stripe_key_file))
            loops.append(
                BillingLoop(
                    store=self._plans,
                    use=use,
                    stripe=stripe,
                    clock=runtime.clock,
                    log=runtime.log,
                )
            )

        def changed() -> None:
            for each in loops:
                each.wake()

        plans = Plans(
            store=self._plans,
            use=use,
            permissions=self.permissions,
            changed=changed,
            clock=runtime.clock,
        )
        runtime.serve(PlanServer(plans), plan_service_pb2_grpc.add_PlanServiceServicer_to_server)
        for each in loops:
            runtime.add_loop(each)


def _key(file: str) -> str:
    """Return the key in a file. Raises StartError."""
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise StartError(f"the key of Stripe cannot be read: {error}") from None
