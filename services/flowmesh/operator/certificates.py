"""The certificate of the webhook in its Secret, in the webhook's TLS, and in the configuration."""

import asyncio
import base64
import ssl
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog
from lightkube import ApiError, AsyncClient
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.admissionregistration_v1 import ValidatingWebhookConfiguration
from lightkube.resources.core_v1 import Secret
from lightkube.types import PatchType

from flowmesh.operator import rotation
from flowmesh.operator.kinds import FIELD_MANAGER
from flowmesh.operator.limits import CERTIFICATE_AWAITED_MS, CERTIFICATE_CHECK_MS
from flowmesh.runtime.loop import Loop

SECRET = "flowmesh-webhook"  # noqa: S105 the name of the object
CONFIGURATION = "flowmesh"
WEBHOOK = "definitions.workflow.io"


class Certificates(Loop):
    """Keeps the certificate of the webhook valid, and known to the API servers."""

    interval_ms = CERTIFICATE_CHECK_MS

    def __init__(
        self,
        *,
        client: AsyncClient,
        namespace: str,
        hosts: Sequence[str],
        leading: asyncio.Event,
        days_left: Callable[[float], None],
    ) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.ready = asyncio.Event()
        self._client = client
        self._namespace = namespace
        self._hosts = hosts
        self._leading = leading
        self._days_left = days_left
        self._loaded = b""
        self._bundle = b""
        self._log = structlog.get_logger("flowmesh.operator")

    def pause_ms(self) -> float:
        """Look often until there is a certificate."""
        return self.interval_ms if self.ready.is_set() else CERTIFICATE_AWAITED_MS

    async def run_once(self) -> None:
        """Load the certificate of the Secret; the leader renews it and tells the API servers."""
        secret = await self._read()
        content = {
            name: base64.b64decode(text) for name, text in ((secret and secret.data) or {}).items()
        }
        now = datetime.now(UTC)
        if self._leading.is_set():
            following = rotation.renewed(content, self._hosts, now)
            if following is not None:
                await self._write(secret, following)
                content = dict(following)
        if not content.get(rotation.CERTIFICATE):
            return
        self._load(content)
        self._days_left(rotation.days_left(content, now))
        if self._leading.is_set():
            await self._publish(content[rotation.BUNDLE])

    async def _read(self) -> Secret | None:
        try:
            return await self._client.get(Secret, SECRET, namespace=self._namespace)
        except ApiError as error:
            # After a restart of the API server rights are missing for a moment: only 404 means
            # that there is no Secret.
            if error.status.code != 404:
                raise
        return None

    async def _write(self, secret: Secret | None, content: rotation.Content) -> None:
        data = {name: base64.b64encode(value).decode() for name, value in content.items()}
        if secret is None:
            metadata = ObjectMeta(name=SECRET, namespace=self._namespace)
            made = Secret(metadata=metadata, type="Opaque", data=data)
            await self._client.create(made)
        else:
            secret.data = data
            await self._client.replace(secret)
        self._log.info("certificate_renewed")

    def _load(self, content: rotation.Content) -> None:
        """Use a new certificate for new handshakes; open connections stay."""
        pair = content[rotation.CERTIFICATE] + content[rotation.KEY]
        if pair == self._loaded:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pair.pem")
            path.touch(0o600)
            path.write_bytes(pair)
            self.context.load_cert_chain(path)
        self._loaded = pair
        self.ready.set()

    async def _publish(self, bundle: bytes) -> None:
        """Write the bundle into the configuration of the webhook, and nothing else."""
        if bundle == self._bundle:
            return
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": CONFIGURATION},
            "webhooks": [
                {"name": WEBHOOK, "clientConfig": {"caBundle": base64.b64encode(bundle).decode()}}
            ],
        }
        await self._client.patch(
            ValidatingWebhookConfiguration,
            CONFIGURATION,
            body,
            patch_type=PatchType.APPLY,
            field_manager=FIELD_MANAGER,
            force=True,
        )
        self._bundle = bundle
