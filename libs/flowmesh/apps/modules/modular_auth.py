"""auth.modular: tokens by the keys of the modular framework."""

import secrets
from typing import Any

from flowmesh.apps.catalogue.descriptor import duration
from flowmesh.apps.catalogue.values import Unfit, convert
from flowmesh.apps.modules.auth import Tokens, auth_module, check_secret
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.modules.passwords import PasswordRules
from flowmesh.errors import Invalid

Json = Any

_TIME = duration("expiration", "Life of a token.")


def modular_auth(setting: Setting) -> Module:
    """Build auth.modular. Raises Invalid for parts that this version does not run."""
    jwt = setting.config.get("jwt") or {}
    if setting.config.get("oauth2") or setting.config.get("session"):
        text = f"{setting.name}: this version runs the part jwt; sessions and oauth2 are known only"
        raise Invalid("APP_UNSUPPORTED", text)
    secret = str(jwt.get("secret") or "")
    if secret:
        check_secret(setting, secret)
    else:
        setting.log("warn", "jwt.secret is missing; tokens end with this process")
    tokens = Tokens(
        secret=secret or secrets.token_hex(32),
        algorithm=str(jwt.get("algorithm") or "HS256"),
        issuer=str(jwt.get("issuer") or "workflow"),
        expiry_s=_seconds(setting, jwt.get("expiration", "24h")),
        refresh_s=_seconds(setting, jwt.get("refresh_expiration", "168h")),
    )
    rules = PasswordRules.read(setting.name, setting.config.get("password") or {})
    return auth_module(
        setting, tokens, form="standard", registration=True, seed_file="", rules=rules
    )


def _seconds(setting: Setting, value: Json) -> float:
    try:
        return float(convert(_TIME, value))
    except Unfit as error:
        raise Invalid("APP_CONFIG_INVALID", f"{setting.name}: jwt.expiration {error}") from None
