"""auth.modular: tokens, cookie sessions and OAuth2 login by the keys of the modular framework."""

import secrets
from collections.abc import Mapping, Sequence

from flowmesh.apps.catalog.descriptor import duration
from flowmesh.apps.catalog.values import ValueMismatch, convert
from flowmesh.apps.modules.auth import auth_module, check_secret
from flowmesh.apps.modules.databases import STORE
from flowmesh.apps.modules.http_client import HttpClient
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.modules.outbound.oauth2 import OAuthLogin, OAuthProvider
from flowmesh.apps.modules.passwords import PasswordRules
from flowmesh.apps.modules.sessions import Cookies, Tokens
from flowmesh.apps.modules.users import USERS
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid

_TIME = duration("time", "")
_JWT = ("secret", "expiration", "refresh_expiration", "issuer", "algorithm")
_ALGORITHMS = ("HS256", "HS384", "HS512")
_SESSION = ("store", "cookie_name", "max_age", "secure", "http_only", "same_site")
_PROVIDER = (
    *("client_id", "client_secret", "redirect_url", "scopes", "auth_url", "token_url"),
    *("user_info_url", "trust_email"),
)


def modular_auth(setting: Setting) -> Module:
    """Build auth.modular. Raises Invalid for keys and values that do not fit."""
    jwt = _part(setting, "jwt", _JWT)
    secret = str(jwt.get("secret") or "")
    if secret:
        check_secret(setting, secret)
    else:
        setting.log("warn", "jwt.secret is missing; tokens end with this process")
    algorithm = str(jwt.get("algorithm") or _ALGORITHMS[0])
    if algorithm not in _ALGORITHMS:
        raise _wrong(setting, f"jwt.algorithm is one of {', '.join(_ALGORITHMS)}")
    tokens = Tokens(
        secret=secret or secrets.token_hex(32),
        algorithm=algorithm,
        issuer=str(jwt.get("issuer") or "workflow"),
        expiry_s=_seconds(setting, "jwt.expiration", jwt.get("expiration", "24h")),
        refresh_s=_seconds(
            setting, "jwt.refresh_expiration", jwt.get("refresh_expiration", "168h")
        ),
    )
    rules = PasswordRules.read(setting.name, setting.config.get("password") or {})
    return auth_module(
        setting,
        tokens,
        form="standard",
        registration=True,
        seed_file="",
        rules=rules,
        cookies=_cookies(setting),
        oauth=_oauth(setting, tokens),
    )


def _cookies(setting: Setting) -> Cookies | None:
    """Return the cookie of the part session; None without this part."""
    raw = _part(setting, "session", _SESSION)
    if not raw:
        return None
    store = raw.get("store", "memory")
    stored = setting.partner(STORE) is not None or setting.partner(USERS) is not None
    if store not in ("memory", "database") or (store == "database" and not stored):
        text = "session.store is memory, or database with a persistence.store or auth.user-store"
        raise _wrong(setting, text)
    same_site = str(raw.get("same_site", "lax")).capitalize()
    if same_site not in ("Lax", "Strict", "None"):
        raise _wrong(setting, "session.same_site is lax, strict or none")
    secure, http_only = raw.get("secure", True), raw.get("http_only", True)
    if not isinstance(secure, bool) or not isinstance(http_only, bool):
        raise _wrong(setting, "session.secure and session.http_only are true or false")
    if same_site == "None" and not secure:
        raise _wrong(setting, "session.same_site none needs secure: browsers drop it otherwise")
    name = str(raw.get("cookie_name") or "session")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise _wrong(setting, "session.cookie_name has letters, digits, - and _")
    age_s = _seconds(setting, "session.max_age", raw.get("max_age", "24h"))
    return Cookies(
        name=name,
        max_age_s=int(age_s),
        secure=secure,
        http_only=http_only,
        same_site=same_site,
    )


def _oauth(setting: Setting, tokens: Tokens) -> OAuthLogin | None:
    """Return the login at the providers of the part oauth2; None without this part."""
    raw = _part(setting, "oauth2", ("providers",)).get("providers")
    if not raw:
        return None
    if not isinstance(raw, dict):
        raise _wrong(setting, "oauth2.providers is an object by name")
    providers = {str(name): _provider(setting, str(name), each) for name, each in raw.items()}
    client = HttpClient(policy=setting.policy)
    return OAuthLogin(providers=providers, tokens=tokens, client=client, log=setting.log)


def _provider(setting: Setting, name: str, raw: Json) -> OAuthProvider:
    where = f"oauth2.providers.{name}"
    given = _known(setting, where, raw, _PROVIDER)
    for key in ("client_id", "client_secret", "auth_url", "token_url", "user_info_url"):
        if not given.get(key):
            raise _wrong(setting, f"{where} needs {key}")
    for key in ("auth_url", "token_url", "user_info_url", "redirect_url"):
        if given.get(key) and not str(given[key]).startswith(("http://", "https://")):
            raise _wrong(setting, f"{where}.{key} begins with https:// or http://")
    scopes = given.get("scopes", ["openid", "email", "profile"])
    if not isinstance(scopes, list):
        raise _wrong(setting, f"{where}.scopes is a list")
    return OAuthProvider(
        name=name,
        client_id=str(given["client_id"]),
        client_secret=str(given["client_secret"]),
        auth_url=str(given["auth_url"]),
        token_url=str(given["token_url"]),
        user_info_url=str(given["user_info_url"]),
        redirect_url=str(given.get("redirect_url") or ""),
        scopes=tuple(map(str, scopes)),
        trusts_email=given.get("trust_email") is True,
    )


def _part(setting: Setting, key: str, known: Sequence[str]) -> Mapping[str, Json]:
    return _known(setting, key, setting.config.get(key) or {}, known)


def _known(setting: Setting, where: str, raw: Json, known: Sequence[str]) -> Mapping[str, Json]:
    if not isinstance(raw, dict):
        raise _wrong(setting, f"{where} must be an object")
    for key in raw:
        if key not in known:
            raise _wrong(setting, f"{where} has {', '.join(known)}, not {key!r}")
    return raw


def _seconds(setting: Setting, key: str, value: Json) -> float:
    try:
        return float(convert(_TIME, value))
    except ValueMismatch as error:
        raise _wrong(setting, f"{key} {error}") from None


def _wrong(setting: Setting, text: str) -> Invalid:
    return Invalid("APP_CONFIG_INVALID", f"{setting.name}: {text}")
