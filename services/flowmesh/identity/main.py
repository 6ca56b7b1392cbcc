"""Composition root of the identity service."""

from contextlib import AsyncExitStack

from flowmesh.access.keys import OPEN_KEYS, InstallationKeys
from flowmesh.access.sealing import Sealer
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceStub
from flowmesh.api.identity.v1 import (
    access_service_pb2_grpc,
    audit_service_pb2_grpc,
    auth_service_pb2_grpc,
    file_service_pb2_grpc,
    key_service_pb2_grpc,
    member_service_pb2_grpc,
    quota_service_pb2_grpc,
    secret_service_pb2_grpc,
    tenant_service_pb2_grpc,
)
from flowmesh.identity.accounts import Accounts
from flowmesh.identity.api.access_server import AccessServer
from flowmesh.identity.api.audit_server import AuditServer
from flowmesh.identity.api.auth_server import AuthServer
from flowmesh.identity.api.file_server import FileServer
from flowmesh.identity.api.key_server import KeyServer
from flowmesh.identity.api.member_server import MemberServer
from flowmesh.identity.api.quota_server import QuotaServer
from flowmesh.identity.api.secret_server import SecretServer
from flowmesh.identity.api.tenant_server import TenantServer
from flowmesh.identity.api_keys import ApiKeys
from flowmesh.identity.app_keys import AppKeys
from flowmesh.identity.attempts import Attempts
from flowmesh.identity.auditing.appending import AuditAppender, AuditLoop
from flowmesh.identity.auditing.log import AuditLog
from flowmesh.identity.credentials.access_tokens import AccessTokens
from flowmesh.identity.credentials.passwords import Passwords
from flowmesh.identity.loops import ExpiryLoop, SigningKeyLoop
from flowmesh.identity.members import Members
from flowmesh.identity.permissions import Permissions
from flowmesh.identity.principals import Principals
from flowmesh.identity.revocations import HeartbeatLoop, Revocations
from flowmesh.identity.secrets import Secrets
from flowmesh.identity.storage.audit import AuditStore
from flowmesh.identity.storage.database import MIGRATIONS, Database
from flowmesh.identity.storage.files import FileStore
from flowmesh.identity.storage.keys import KeyStore
from flowmesh.identity.storage.quotas import QuotaStore
from flowmesh.identity.storage.secrets import SecretStore
from flowmesh.identity.storage.sessions import SessionStore
from flowmesh.identity.storage.tenants import TenantStore
from flowmesh.identity.storage.users import UserStore
from flowmesh.identity.tenants import Tenants
from flowmesh.identity.workspace.files import Files
from flowmesh.identity.workspace.quotas import Announcements, Quotas, UsageLoop
from flowmesh.identity.workspace.use import ProjectUse
from flowmesh.runtime import Runtime


async def run(runtime: Runtime) -> None:
    """Serve tenants, users and credentials until the process drains."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(runtime.database("identity", MIGRATIONS))
        keys = runtime.keys or OPEN_KEYS
        chains = AuditStore(Database(pool))
        appender = AuditAppender(store=chains, key=keys.audit, clock=runtime.clock)
        audit_loop = AuditLoop(appender)
        parts = _Parts(runtime, Database(pool, call=audit_loop.call), keys)
        await parts.tokens.rotate()
        runtime.serve(parts.access(), access_service_pb2_grpc.add_AccessServiceServicer_to_server)
        runtime.serve(parts.auth(), auth_service_pb2_grpc.add_AuthServiceServicer_to_server)
        runtime.serve(
            parts.tenant_server(), tenant_service_pb2_grpc.add_TenantServiceServicer_to_server
        )
        runtime.serve(parts.member(), member_service_pb2_grpc.add_MemberServiceServicer_to_server)
        runtime.serve(parts.key(), key_service_pb2_grpc.add_KeyServiceServicer_to_server)
        runtime.serve(parts.file(), file_service_pb2_grpc.add_FileServiceServicer_to_server)
        runtime.serve(parts.quota(), quota_service_pb2_grpc.add_QuotaServiceServicer_to_server)
        runtime.add_loop(UsageLoop(store=parts.quotas, use=parts.use, clock=runtime.clock))
        runtime.serve(
            parts.secret_server(), secret_service_pb2_grpc.add_SecretServiceServicer_to_server
        )
        log = AuditLog(
            store=chains,
            appender=appender,
            permissions=parts.permissions,
            key=keys.audit,
            clock=runtime.clock,
        )
        runtime.serve(
            AuditServer(log, appender), audit_service_pb2_grpc.add_AuditServiceServicer_to_server
        )
        runtime.add_loop(audit_loop)
        runtime.add_loop(SigningKeyLoop(parts.tokens))
        runtime.add_loop(
            ExpiryLoop(
                sessions=parts.sessions,
                tenants=parts.tenants,
                files=parts.files,
                secrets=parts.secrets,
            )
        )
        runtime.add_loop(HeartbeatLoop(parts.revocations))
        await runtime.until_stopped()


class _Parts:
    """The stores and parts that several servers share."""

    def __init__(self, runtime: Runtime, database: Database, keys: InstallationKeys) -> None:
        self._runtime = runtime
        self._pepper = keys.pepper
        self.users = UserStore(database)
        self.tenants = TenantStore(database)
        self.sessions = SessionStore(database)
        self.keys = KeyStore(database)
        self.files = FileStore(database)
        self.quotas = QuotaStore(database)
        self.use = ProjectUse(
            searches=runtime.stub(SearchServiceStub, "orchestrator"),
            definitions=runtime.stub(DefinitionServiceStub, "definition"),
            files=self.files,
            keys=self.keys,
        )
        self.secrets = SecretStore(database)
        self._sealer = Sealer(keys.wrapping)
        self.tokens = AccessTokens(sessions=self.sessions, sealer=self._sealer)
        self.revocations = Revocations(runtime.bus, runtime.settings.bus_prefix)
        self.permissions = Permissions(tenants=self.tenants, users=self.users)
        self.accounts = Accounts(
            users=self.users,
            sessions=self.sessions,
            tokens=self.tokens,
            passwords=Passwords(),
            attempts=Attempts(redis=runtime.cache, prefix=runtime.settings.bus_prefix),
            revocations=self.revocations,
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

    def tenant_server(self) -> TenantServer:
        tenants = Tenants(
            store=self.tenants,
            users=self.users,
            permissions=self.permissions,
            revocations=self.revocations,
            registration=self._runtime.settings.registration,
        )
        return TenantServer(tenants)

    def member(self) -> MemberServer:
        members = Members(
            users=self.users, permissions=self.permissions, revocations=self.revocations
        )
        return MemberServer(members=members, accounts=self.accounts)

    def secret_server(self) -> SecretServer:
        return SecretServer(Secrets(store=self.secrets, installation=self._sealer))

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
            announcements=Announcements(self._runtime.bus, self._runtime.settings.bus_prefix),
            clock=self._runtime.clock,
        )
        return QuotaServer(quotas)
