"""secrets.vault and secrets.aws: secrets while the application runs."""

import asyncio

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.secrets.sources import SOURCES, SecretMissing, SecretSource
from flowmesh.contract.json_value import Json

HEALTH_S = 30.0


class Secrets:
    """Reads secrets in a thread; each is masked in the log."""

    def __init__(self, setting: Setting, source: SecretSource) -> None:
        self._setting = setting
        self._source = source

    async def get(self, reference: str) -> str:
        """Return the secret `path#key`. Raises HttpProblem if there is none."""
        try:
            value = await asyncio.to_thread(self._source.read, reference)
        except SecretMissing as error:
            raise HttpProblem(404, "SECRET_NOT_FOUND", str(error)) from None
        self._setting.context.log.mask([value])
        return value

    async def call(self, operation: str, value: Json) -> Json:
        """`step.delegate` on secrets: operation `get` of `{name}`."""
        name = value.get("name") if isinstance(value, dict) else None
        if operation not in ("", "get") or not isinstance(name, str):
            raise HttpProblem(422, "VALIDATION_FAILED", "secrets have get, of {name}")
        return {"value": await self.get(name)}

    async def health(self) -> str:
        return await asyncio.to_thread(self._source.check)


def secrets(setting: Setting) -> Module:
    """Build secrets.vault and secrets.aws. Raises Invalid for a wrong address."""
    config = setting.config
    if setting.spec.type == "secrets.vault":
        address = str(config["address"])
        if not address.startswith(("http://", "https://")):
            raise setting.invalid(f"address begins with http:// or https://, not {address[:40]!r}")
    _, make = SOURCES[setting.spec.type]
    made = Secrets(setting, make(setting.name, config))
    return Module(
        name=setting.name,
        services={"Secrets": made, "Component": made},
        health=made.health,
    )
