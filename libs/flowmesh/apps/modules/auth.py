"""auth.jwt: users, login, and JSON Web Tokens."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

from flowmesh.apps.http.messages import Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.databases import STORE
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.modules.outbound.oauth2 import OAuthLogin
from flowmesh.apps.modules.passwords import (
    BCRYPT,
    PASSWORD_CHARACTERS_MAX,
    LoginLimit,
    PasswordRules,
    Passwords,
)
from flowmesh.apps.modules.sessions import Cookies, Session, Sessions, Tokens
from flowmesh.apps.modules.users import (
    USERS,
    User,
    UserStore,
    checked_address,
    new_id,
    public,
    shown,
)
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid

Endpoint = Callable[[Request], Awaitable[Response]]

SECRET_BYTES_MIN = 16
SECRET_BYTES_GOOD = 32
# Claims of the token itself; all others are those of its user.
OWN_CLAIMS = ("sub", "iss", "iat", "exp", "family", "type")
_COOKIE = "cookie"


class JwtAuth:
    """The endpoints of users and tokens, by the ends of paths."""

    def __init__(
        self,
        *,
        tokens: Tokens,
        users: UserStore,
        sessions: Sessions,
        passwords: Passwords,
        form: str,
        registration: bool,
        setup_token: str,
        cookies: Cookies | None,
        oauth: OAuthLogin | None,
    ) -> None:
        """Sessions have a cookie with `cookies`, and begin at other providers with `oauth`."""
        self._tokens = tokens
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._form = form
        self._registration = registration
        self._setup_token = setup_token
        self._cookies = cookies
        self._oauth = oauth
        # One setup at a time, so that only one can find that there is no administrator.
        self._setting_up = asyncio.Lock()
        self._limit = LoginLimit()
        self._endpoints: dict[tuple[str, str], Endpoint] = {
            ("POST", "register"): self._register,
            ("POST", "login"): self._login,
            ("POST", "refresh"): self._refresh,
            ("POST", "logout"): self._logout,
            ("POST", "setup"): self._setup,
            ("GET", "setup-status"): self._setup_status,
            ("GET", "me"): self._me,
            ("GET", "profile"): self._me,
            ("PUT", "me"): self._change_me,
            ("PUT", "profile"): self._change_me,
            ("GET", "users"): self._list,
            ("POST", "users"): self._create,
        }

    def check_cookie(self, request: Request) -> dict[str, Json] | None:
        """Return the claims of the caller whose session a cookie names."""
        given = self._cookies.given(request) if self._cookies is not None else ""
        return self.check_token(given, _COOKIE) if given else None

    def check_token(self, token: str, kind: str = "access") -> dict[str, Json] | None:
        """Return the claims of a caller of an open session, with its user as stored now."""
        claims = self._tokens.check(token, kind)
        if claims is None or not self._sessions.is_open(str(claims.get("family"))):
            return None
        user = self._users.get(str(claims["sub"]))
        if user is None:
            return None
        return {**public(user), **{key: claims[key] for key in OWN_CLAIMS if key in claims}}

    async def check_password(
        self, name: str, password: str, client: str = ""
    ) -> dict[str, Json] | None:
        """Return the claims of a user by address and password. Raises HttpProblem with 429.

        `client` is the address that the request came from.
        """
        address = name.strip().lower()
        user = self._users.find(address)
        if not await self._fits(user, password, address, client):
            return None
        return {"sub": user["id"], **shown(user)} if user is not None else None

    async def _fits(self, user: User | None, password: str, address: str, source: str) -> bool:
        """Verify a password, an attempt that is counted first. Raises HttpProblem with 429."""
        hashed = str(user.get("passwordHash") or "") if user is not None else ""
        async with self._limit.turn(address, source):
            self._limit.begin(address, source)
            if len(password) > PASSWORD_CHARACTERS_MAX:
                return False
            fits = await self._passwords.matches(password, hashed)
            if fits:
                self._limit.passed(address, source)
            return fits

    async def handle(self, request: Request) -> Response:
        """Answer a request by the end of its path."""
        parts = request.path.rstrip("/").split("/")
        found = self._endpoints.get((request.method, parts[-1]))
        if found is not None:
            return await found(request)
        if self._oauth is not None and request.method == "GET" and "oauth2" in parts[-3:]:
            user = await self._oauth.handle(request, parts, self._users)
            if isinstance(user, Response):
                return user
            response = await self._answer(user, 200)
            response.headers.append(self._oauth.clearing())
            return response
        if request.method == "DELETE" and parts[-2:-1] == ["users"]:
            return await self._delete(request, parts[-1])
        if request.method == "PUT" and parts[-1] == "role" and parts[-3:-2] == ["users"]:
            return await self._set_role(request, parts[-2])
        text = f"{request.method} {request.path} is none of the endpoints of authentication"
        raise HttpProblem(404, "ROUTE_NOT_FOUND", text)

    async def _register(self, request: Request) -> Response:
        if not self._registration:
            raise HttpProblem(403, "REGISTRATION_CLOSED", "registration is closed")
        user = await self._made(_body(request), role="user")
        return await self._answer(user, 201)

    async def _setup(self, request: Request) -> Response:
        body = _body(request)
        if self._users.has_admin:
            raise HttpProblem(409, "SETUP_DONE", "there is an administrator already")
        if not secrets.compare_digest(
            str(body.get("setupToken") or "").encode(), self._setup_token.encode()
        ):
            text = "setupToken must be the one that the application has logged at its start"
            raise HttpProblem(403, "SETUP_TOKEN_INVALID", text)
        async with self._setting_up:
            if self._users.has_admin:
                raise HttpProblem(409, "SETUP_DONE", "there is an administrator already")
            user = await self._made(body, role="admin")
        return await self._answer(user, 201)

    async def _setup_status(self, _request: Request) -> Response:
        found = {"needsSetup": not self._users.has_admin, "userCount": len(self._users)}
        return json_response(found)

    async def _made(self, body: Mapping[str, Json], role: str) -> User:
        address = checked_address(body.get("email"))
        name = str(body.get("name") or "")
        if self._users.find(address) is not None:
            raise HttpProblem(409, "USER_EXISTS", "a user with this address already exists")
        user = {
            "id": new_id(),
            "email": address,
            "name": name,
            "role": role,
            "createdAt": int(time.time()),
            "passwordHash": await self._passwords.new(body.get("password"), address, name),
        }
        await self._users.add(user)
        return user

    async def _login(self, request: Request) -> Response:
        body = _body(request)
        address = str(body.get("email") or body.get("username") or "")
        password = str(body.get("password") or "")
        claims = await self.check_password(address, password, request.client)
        if claims is None:
            raise HttpProblem(401, "LOGIN_FAILED", "the address or the password is wrong")
        return await self._answer(self._existing(str(claims["sub"])), 200)

    async def _refresh(self, request: Request) -> Response:
        body = _body(request)
        token = body.get("refresh_token", body.get("refreshToken", body.get("token")))
        claims = self._tokens.check(token, "refresh") if isinstance(token, str) else None
        user = self._users.get(str(claims["sub"])) if claims else None
        session = None
        if claims is not None and user is not None:
            family, use = str(claims.get("family")), str(claims.get("jti"))
            session = await self._sessions.refresh(family, use)
        if session is None or user is None:
            raise HttpProblem(401, "UNAUTHENTICATED", "the refresh token is not valid")
        return await self._answer(user, 200, session)

    async def _logout(self, request: Request) -> Response:
        claims = self._caller(request)
        await self._sessions.end(str(claims.get("family")))
        headers = [self._cookies.clearing()] if self._cookies is not None else []
        return json_response({"status": "ok"}, 200, headers)

    async def _me(self, request: Request) -> Response:
        return json_response(shown(self._user(request)))

    async def _change_me(self, request: Request) -> Response:
        user, body = self._user(request), _body(request)
        if body.get("password") is not None:
            return await self._change_password(user, body, str(self._caller(request).get("family")))
        if body.get("name") is not None:
            user = {**user, "name": str(body["name"])}
            await self._users.put(user)
        return json_response(shown(user))

    async def _change_password(self, user: User, body: Mapping[str, Json], family: str) -> Response:
        """Set a new password and end all sessions; the answer has the tokens of a new one."""
        current = body.get("currentPassword", body.get("current_password"))
        if not isinstance(current, str) or not current:
            raise HttpProblem(422, "VALIDATION_FAILED", "currentPassword is missing")
        if not await self._fits(user, current, str(user["email"]).lower(), f"session {family}"):
            raise HttpProblem(403, "PASSWORD_WRONG", "currentPassword is wrong")
        name = str(body.get("name") if body.get("name") is not None else user.get("name") or "")
        hashed = await self._passwords.new(body["password"], str(user["email"]), name)
        changed = {**self._existing(user["id"]), "name": name, "passwordHash": hashed}
        await self._users.put(changed)
        await self._sessions.end_all(user["id"])
        return await self._answer(changed, 200)

    async def _list(self, request: Request) -> Response:
        self._admin(request)
        return json_response([shown(each) for each in self._users.all()])

    async def _create(self, request: Request) -> Response:
        self._admin(request)
        body = _body(request)
        user = await self._made(body, role=str(body.get("role") or "user"))
        return json_response(shown(user), 201)

    async def _delete(self, request: Request, id: str) -> Response:
        caller = self._admin(request)
        if caller["id"] == id:
            raise HttpProblem(409, "USER_SELF", "a user cannot delete itself")
        await self._users.delete(self._existing(id))
        await self._sessions.end_all(id)
        return Response(204, content_type=b"")

    async def _set_role(self, request: Request, id: str) -> Response:
        self._admin(request)
        role = _body(request).get("role")
        if not isinstance(role, str) or not role:
            raise HttpProblem(422, "VALIDATION_FAILED", "role is missing")
        user = {**self._existing(id), "role": role}
        await self._users.put(user)
        return json_response(shown(user))

    def _existing(self, id: str) -> User:
        user = self._users.get(id)
        if user is None:
            raise HttpProblem(404, "USER_NOT_FOUND", f"there is no user {id!r}")
        return user

    def _caller(self, request: Request) -> dict[str, Json]:
        claims = request.auth
        if claims is None:
            scheme, _, token = request.header(b"authorization").partition(" ")
            bearer = scheme.lower() == "bearer"
            claims = self.check_token(token.strip()) if bearer else self.check_cookie(request)
        if claims is None:
            headers = [(b"www-authenticate", b'Bearer realm="application"')]
            text = "the request needs valid credentials"
            raise HttpProblem(401, "UNAUTHENTICATED", text, headers=headers)
        return claims

    def _user(self, request: Request) -> User:
        return self._existing(str(self._caller(request)["sub"]))

    def _admin(self, request: Request) -> User:
        user = self._user(request)
        if user.get("role") != "admin":
            raise HttpProblem(403, "ROLE_REQUIRED", "this needs the role admin")
        return user

    async def _answer(self, user: User, status: int, session: Session | None = None) -> Response:
        """Answer with the tokens of a session, a new one by default."""
        session = session or await self._sessions.begin(user["id"])
        pair = self._tokens.pair(user, session)
        if self._form == "standard":
            body = {
                "token": pair["access"],
                "refreshToken": pair["refresh"],
                "user": shown(user),
            }
        else:
            body = {
                "access_token": pair["access"],
                "refresh_token": pair["refresh"],
                "token_type": "Bearer",
                "expires_in": self._tokens.expiry_s,
                "user": shown(user),
            }
        headers = [(b"cache-control", b"no-store")]
        if self._cookies is not None:
            life_s = self._cookies.max_age_s
            sealed = self._tokens.sealed(_COOKIE, life_s, sub=user["id"], family=session.family)
            headers.append(self._cookies.setting(sealed))
        return json_response(body, status, headers)


async def add_seed(users: UserStore, passwords: Passwords, records: list[Json]) -> None:
    """Add the users of a seed file that are not there; one without a password cannot log in."""
    for each in records:
        data = {**each, **(each.get("data") or {})}
        data.pop("data", None)
        if not data.get("email") or users.find(str(data["email"])) is not None:
            continue
        password = data.pop("password", None)
        imported = str(data.pop("passwordHash", None) or data.pop("password_hash", None) or "")
        if imported and not imported.startswith((*BCRYPT, "$argon2")):
            raise Invalid("SEED_INVALID", "a passwordHash is one of bcrypt or argon2")
        hashed = await passwords.hash(str(password)) if password else imported
        user = {**data, "id": str(data.get("id") or new_id()), "passwordHash": hashed}
        await users.add(user)


def _body(request: Request) -> Mapping[str, Json]:
    body = request.json()
    if not isinstance(body, dict):
        raise HttpProblem(400, "JSON_INVALID", "the body must be a JSON object")
    return body


def check_secret(setting: Setting, secret: str) -> None:
    """Refuse a short signing key, and warn of one that is not long. Raises Invalid."""
    size = len(secret.encode())
    if size < SECRET_BYTES_MIN:
        text = f"{setting.name}: secret has {size} bytes; it needs {SECRET_BYTES_MIN}, better 32"
        raise Invalid("SECRET_SHORT", text)
    if size < SECRET_BYTES_GOOD:
        setting.log("warn", f"secret has {size} bytes; {SECRET_BYTES_GOOD} are safe")


def jwt_auth(setting: Setting) -> Module:
    """Build auth.jwt. Raises Invalid for a short secret."""
    config = setting.config
    check_secret(setting, str(config["secret"]))
    tokens = Tokens(
        secret=str(config["secret"]),
        algorithm=str(config["algorithm"]),
        issuer=str(config["issuer"]),
        expiry_s=float(config["tokenExpiry"]),
        refresh_s=float(config["refreshExpiry"]),
    )
    return auth_module(
        setting,
        tokens,
        form=str(config["responseFormat"]),
        registration=bool(config["allowRegistration"]),
        seed_file=str(config.get("seedFile") or ""),
        rules=PasswordRules(),
    )


def auth_module(
    setting: Setting,
    tokens: Tokens,
    *,
    form: str,
    registration: bool,
    seed_file: str,
    rules: PasswordRules,
    cookies: Cookies | None = None,
    oauth: OAuthLogin | None = None,
) -> Module:
    """Return the module of tokens over the users of the application."""
    shared: UserStore | None = setting.partner(USERS)
    users = shared if shared is not None else UserStore(store=setting.partner(STORE))
    life_s = max(tokens.refresh_s, cookies.max_age_s if cookies is not None else 0)
    sessions = Sessions(store=users.store, life_s=life_s)
    given = str(setting.config.get("setupToken") or "")
    setup_token = given or secrets.token_urlsafe(24)
    passwords = Passwords(rules)
    auth = JwtAuth(
        tokens=tokens,
        users=users,
        sessions=sessions,
        passwords=passwords,
        form=form,
        registration=registration,
        setup_token=setup_token,
        cookies=cookies,
        oauth=oauth,
    )

    async def start() -> None:
        if shared is None:
            await users.start()
        await sessions.start()
        if seed_file:
            await add_seed(users, passwords, read_seed(setting, seed_file))
        if not given and not users.has_admin and _has_setup(setting):
            text = f"there is no administrator yet; set one up with setupToken {setup_token}"
            setting.context.log.tell(setting.name, text)

    async def stop() -> None:
        if oauth is not None:
            await oauth.stop()

    return Module(
        name=setting.name,
        services={"AuthProvider": auth, "Handler": auth.handle},
        start=start,
        stop=stop,
    )


def _has_setup(setting: Setting) -> bool:
    """Return whether a route leads to the endpoint `setup` of this module."""
    return any(
        each.handler == setting.name and each.path.rstrip("/").endswith("/setup")
        for each in setting.context.document.routes
    )


def read_seed(setting: Setting, name: str) -> list[Json]:
    """Read a JSON list of records. Raises Invalid."""
    path = setting.path(name)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        text = f"{setting.name}: {path} cannot be read as JSON: {error}"
        raise Invalid("SEED_INVALID", text) from None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Invalid("SEED_INVALID", f"{setting.name}: {path} must be a list of objects")
    return found
