"""Sources of secrets: Vault and AWS Secrets Manager, each read once for a path."""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson

from flowmesh.apps.secrets.aws import aws_client, check_keys
from flowmesh.contract.json_value import Json
from flowmesh.egress.errors import EgressBlocked, is_blocked
from flowmesh.errors import Invalid, Unavailable
from flowmesh.extras import needed_by

RETRY_S = 30.0
PAUSE_S = 1.0
TIMEOUT_S = 5
_FORBIDDEN = 403


class SecretMissing(LookupError):
    """There is no such secret, or no such key in it."""


class SecretSource(Protocol):
    """Reads secrets; blocks, and remembers what it has read until `forget`."""

    def read(self, reference: str) -> str:
        """Return the secret `path#key`. Raises SecretMissing and Unavailable."""

    def forget(self) -> None: ...

    def check(self) -> str:
        """Return the problem of the source, or an empty string."""


class _Reading:
    """Reads whole secrets once each, and again for as long as the source is away."""

    def __init__(
        self,
        name: str,
        fetch: Callable[[str], Mapping[str, Json] | str],
        away: Callable[[Exception], bool],
        retry_s: float = RETRY_S,
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._away = away
        self._retry_s = retry_s
        self._read: dict[str, Mapping[str, Json] | str] = {}

    def value(self, reference: str) -> str:
        path, _, key = reference.partition("#")
        if path not in self._read:
            self._read[path] = self._fetched(path)
        found = self._read[path]
        if isinstance(found, str):
            if not key:
                return found
            found = _parsed(found)
        value = found.get(key) if key else (next(iter(found.values())) if len(found) == 1 else None)
        if value is None:
            known = ", ".join(found) or "none"
            what = f"has no key {key!r}" if key else "has several keys; write path#key"
            raise SecretMissing(f"the secret {path} {what}; its keys are {known}")
        return value if isinstance(value, str) else orjson.dumps(value).decode()

    def forget(self) -> None:
        self._read.clear()

    def _fetched(self, path: str) -> Mapping[str, Json] | str:
        until = time.monotonic() + self._retry_s
        while True:
            try:
                return self._fetch(path)
            except SecretMissing:
                raise
            except Exception as error:  # noqa: BLE001 - one that may pass is waited for
                if is_blocked(error):
                    raise EgressBlocked(f"{self._name}: {path} cannot be read") from None
                if not self._away(error) or time.monotonic() + PAUSE_S > until:
                    text = f"{self._name}: {path} cannot be read: {type(error).__name__}"
                    raise Unavailable("SECRETS_UNAVAILABLE", text) from None
                time.sleep(PAUSE_S)


def _parsed(text: str) -> Mapping[str, Json]:
    with contextlib.suppress(orjson.JSONDecodeError):
        found = orjson.loads(text)
        if isinstance(found, dict):
            return found
    return {}


class VaultSource:
    """HashiCorp Vault: KV version 1 or 2, by token or AppRole."""

    def __init__(self, name: str, config: Mapping[str, Json], retry_s: float = RETRY_S) -> None:
        with needed_by("secrets.vault", "apps"):
            import hvac
            from hvac import exceptions

        self._mount = str(config.get("mountPath") or "secret")
        self._version = int(config.get("kv") or 2)
        self._role = (str(config.get("roleId") or ""), str(config.get("secretId") or ""))
        token = str(config.get("token") or "")
        if not token and not all(self._role):
            text = "secrets.vault needs a token, or roleId and secretId; those of this machine"
            raise Invalid("APP_CONFIG_INVALID", f"{text} are not used")
        self._errors: Any = exceptions
        self._client: Any = hvac.Client(
            url=str(config["address"]),
            token=token,
            namespace=str(config.get("namespace") or "") or None,
            timeout=TIMEOUT_S,
            # None would be the certificate that the variables of this machine name.
            cert=(),
        )
        # Neither proxies nor passwords of this machine.
        self._client.adapter.session.trust_env = False
        self._reading = _Reading(name, self._fetch, self._away, retry_s)
        self._logged_in = False

    def read(self, reference: str) -> str:
        return self._reading.value(reference)

    def forget(self) -> None:
        self._reading.forget()

    def check(self) -> str:
        try:
            self._login()
            found = self._client.auth.token.lookup_self()
            if found["data"].get("renewable") and found["data"].get("ttl", 0) < 600:
                self._client.auth.token.renew_self()
        except Exception as error:  # noqa: BLE001 - the health check shows it
            return f"Vault: {type(error).__name__}"
        return ""

    def _login(self) -> None:
        role, secret = self._role
        if role and not self._logged_in:
            self._client.auth.approle.login(role_id=role, secret_id=secret)
            self._logged_in = True

    def _fetch(self, path: str) -> Mapping[str, Json]:
        self._login()
        try:
            if self._version == 1:
                found = self._client.secrets.kv.v1.read_secret(path, mount_point=self._mount)
                data: Mapping[str, Json] = found["data"]
                return data
            found = self._client.secrets.kv.v2.read_secret_version(
                path, mount_point=self._mount, raise_on_deleted_version=True
            )
            data = found["data"]["data"]
        except self._errors.InvalidPath:
            raise SecretMissing(f"Vault has no secret {path}") from None
        except self._errors.Forbidden:
            raise SecretMissing(f"Vault refuses to show {path} with this token") from None
        return data

    def _away(self, error: Exception) -> bool:
        away = (self._errors.VaultDown, self._errors.InternalServerError, OSError)
        return isinstance(error, away)


class AwsSource:
    """AWS Secrets Manager."""

    def __init__(self, name: str, config: Mapping[str, Json], retry_s: float = RETRY_S) -> None:
        check_keys("secrets.aws", config)
        self._client: Any = aws_client(
            "secrets.aws",
            "secretsmanager",
            config,
            connect_timeout=TIMEOUT_S,
            retries={"max_attempts": 1},
        )
        from botocore import exceptions

        self._errors: Any = exceptions
        self._reading = _Reading(name, self._fetch, self._away, retry_s)

    def read(self, reference: str) -> str:
        return self._reading.value(reference)

    def forget(self) -> None:
        self._reading.forget()

    def check(self) -> str:
        try:
            self._client.list_secrets(MaxResults=1)
        except Exception as error:  # noqa: BLE001 - the health check shows it
            return f"AWS Secrets Manager: {type(error).__name__}"
        return ""

    def _fetch(self, path: str) -> str:
        try:
            found = self._client.get_secret_value(SecretId=path)
        except self._errors.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("ResourceNotFoundException", "AccessDeniedException"):
                raise SecretMissing(f"AWS Secrets Manager: {path}: {code}") from None
            raise
        text: str = found.get("SecretString") or found["SecretBinary"].decode("utf-8", "replace")
        return text

    def _away(self, error: Exception) -> bool:
        return isinstance(error, self._errors.BotoCoreError | OSError)


SOURCES: dict[str, tuple[str, Callable[..., SecretSource]]] = {
    "secrets.vault": ("vault", VaultSource),
    "secrets.aws": ("aws-sm", AwsSource),
}
"""The form of references, and the source, by module type."""
