"""Registration, sessions and the caller itself."""

from http import HTTPStatus

from flowmesh.access.cookies import ACCESS_COOKIE, REFRESH_COOKIE, REFRESH_PATH
from flowmesh.api.identity.v1 import auth_service_pb2 as pb
from flowmesh.api.identity.v1 import member_service_pb2
from flowmesh.errors import Unauthenticated
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import identity_answers as answers
from flowmesh.gateway.bodies import identity_requests as bodies
from flowmesh.gateway.http.cookies import clear_cookies, session_of, set_cookies
from flowmesh.gateway.http.errors import error_response
from flowmesh.gateway.http.limits import CREDENTIALS_BYTES_MAX
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import Headers, Request, Response
from flowmesh.gateway.routes.common import secret_response
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.views import instant


async def register(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.RegisterRequest, CREDENTIALS_BYTES_MAX)
    opened = await backends.auth.Register(
        pb.RegisterRequest(
            email=envelope.email,
            name=envelope.name,
            password=envelope.password,
            invitation=envelope.invitation,
        )
    )
    return opened_response(
        backends, opened.user, opened.tokens, HTTPStatus.CREATED, cookie=envelope.cookie
    )


async def bootstrap(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.BootstrapRequest, CREDENTIALS_BYTES_MAX)
    opened = await backends.auth.Bootstrap(
        pb.BootstrapRequest(
            token=envelope.token,
            email=envelope.email,
            name=envelope.name,
            password=envelope.password,
        )
    )
    return opened_response(
        backends, opened.user, opened.tokens, HTTPStatus.CREATED, cookie=envelope.cookie
    )


async def login(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.LoginRequest, CREDENTIALS_BYTES_MAX)
    opened = await backends.auth.Login(
        pb.LoginRequest(email=envelope.email, password=envelope.password, address=request.address)
    )
    return opened_response(
        backends, opened.user, opened.tokens, HTTPStatus.OK, cookie=envelope.cookie
    )


async def refresh(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.RefreshRequest, CREDENTIALS_BYTES_MAX)
    if not envelope.refresh_token:
        return await _refresh_by_cookie(backends, request)
    tokens = await _refreshed(backends, request, envelope.refresh_token)
    return secret_response(_tokens(tokens))


async def _refresh_by_cookie(backends: Backends, request: Request) -> Response:
    """Refresh the session of the access cookie, which no sibling domain can have set."""
    token, session = request.cookie(REFRESH_COOKIE), session_of(request.cookie(ACCESS_COOKIE))
    if not token or not session:
        text = "the request has no refresh token; send `refreshToken`, or log in with `cookie`"
        raise Unauthenticated("CREDENTIALS_REQUIRED", text)
    try:
        tokens = await _refreshed(backends, request, token)
    except Unauthenticated as error:
        return error_response(error, headers=clear_cookies())
    if session_of(tokens.access_token) != session:
        text = "the cookies are of two sessions; log in again"
        foreign = Unauthenticated("CREDENTIALS_INVALID", text)
        return error_response(foreign, headers=clear_cookies())
    return secret_response(_expiries(tokens), headers=cookies_of(backends, tokens))


async def _refreshed(backends: Backends, request: Request, token: str) -> pb.Tokens:
    message = pb.RefreshRequest(refresh_token=token, address=request.address)
    return (await backends.auth.Refresh(message)).tokens


async def logout(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.LogoutRequest)
    ended = await backends.auth.Logout(pb.LogoutRequest(all_sessions=envelope.all_sessions))
    if not ended.provider_logout_url:
        return Response(HTTPStatus.NO_CONTENT, headers=clear_cookies())
    page = answers.LogoutAnswer(provider_logout_url=ended.provider_logout_url)
    return secret_response(page, headers=clear_cookies())


async def change_password(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.PasswordRequest, CREDENTIALS_BYTES_MAX)
    await backends.auth.ChangePassword(
        pb.ChangePasswordRequest(
            current_password=envelope.current_password, new_password=envelope.new_password
        )
    )
    return Response(HTTPStatus.NO_CONTENT)


async def get_signing_keys(backends: Backends, _request: Request) -> Response:
    found = await backends.auth.ListSigningKeys(pb.ListSigningKeysRequest())
    return Response(HTTPStatus.OK, found.keys_json.encode(), "application/jwk-set+json")


def opened_response(
    backends: Backends, user: pb.User, tokens: pb.Tokens, status: int, *, cookie: bool
) -> Response:
    """Return the tokens of a new session in the body, or as cookies."""
    value = _expiries(tokens) if cookie else _tokens(tokens)
    headers = cookies_of(backends, tokens) if cookie else ()
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    answer = answers.SessionAnswer(**fields, user=answers.user_value(user))
    return secret_response(answer, status, headers)


def _tokens(tokens: pb.Tokens) -> answers.TokensValue:
    value = _expiries(tokens)
    value.access_token, value.refresh_token = tokens.access_token, tokens.refresh_token
    return value


def _expiries(tokens: pb.Tokens) -> answers.TokensValue:
    return answers.TokensValue(
        access_expires_at=instant(tokens.access_expires_at_us),
        refresh_expires_at=instant(tokens.refresh_expires_at_us),
    )


def cookies_of(backends: Backends, tokens: pb.Tokens) -> Headers:
    """Return the headers that set the tokens of a session."""
    kept_us = tokens.refresh_expires_at_us - backends.clock.now_us()
    return set_cookies(tokens.access_token, tokens.refresh_token, kept_us // 1_000_000)


_AUTH = "/api/v1/auth"
_OPENED = "The session; with `cookie` the tokens are cookies."
ROUTES = (
    Route(
        "POST",
        f"{_AUTH}/register",
        register,
        Operation(
            tag=ADMINISTER,
            summary="Register a user",
            description="Needs an invitation, unless `FLOWMESH_REGISTRATION` is `open`.",
            body=Body(bodies.RegisterRequest),
            answers=(Answer(201, _OPENED, answers.SessionAnswer),),
            errors=(409,),
        ),
        public=True,
    ),
    Route(
        "POST",
        f"{_AUTH}/bootstrap",
        bootstrap,
        Operation(
            tag=ADMINISTER,
            summary="Register the first owner of an installation",
            body=Body(bodies.BootstrapRequest),
            answers=(Answer(201, _OPENED, answers.SessionAnswer),),
            errors=(409,),
        ),
        public=True,
    ),
    Route(
        "POST",
        f"{_AUTH}/login",
        login,
        Operation(
            tag=ADMINISTER,
            summary="Open a session with a password",
            description="After five failures each further attempt waits; see `Retry-After`.",
            body=Body(bodies.LoginRequest),
            answers=(Answer(200, _OPENED, answers.SessionAnswer),),
        ),
        public=True,
    ),
    Route(
        "POST",
        REFRESH_PATH,
        refresh,
        Operation(
            tag=ADMINISTER,
            summary="Exchange a refresh token for new tokens",
            description="A token that is used a second time ends its session.",
            body=Body(bodies.RefreshRequest, required=False),
            answers=(Answer(200, "The new tokens.", answers.TokensValue),),
        ),
        public=True,
    ),
    Route(
        "POST",
        f"{_AUTH}/logout",
        logout,
        Operation(
            tag=ADMINISTER,
            summary="End the session of the caller, everywhere within a second",
            body=Body(bodies.LogoutRequest, required=False),
            answers=(
                Answer(204, "The session has ended; its cookies are cleared."),
                Answer(200, "So has that of an identity provider's user.", answers.LogoutAnswer),
            ),
        ),
    ),
    rpc_route(
        "GET",
        f"{_AUTH}/sessions",
        pb.ListSessionsRequest,
        tag=ADMINISTER,
        summary="List the open sessions of the caller, newest first",
        answers=(Answer(200, "The sessions.", answers.SessionList),),
    ),
    rpc_route(
        "DELETE",
        f"{_AUTH}/sessions/{{sessionId}}",
        pb.EndSessionRequest,
        tag=ADMINISTER,
        summary="End a session of the caller, everywhere within a second",
        answers=(Answer(204, "The session has ended."),),
        errors=(404,),
    ),
    Route(
        "POST",
        f"{_AUTH}/password",
        change_password,
        Operation(
            tag=ADMINISTER,
            summary="Change the password of the caller, and end its other sessions",
            body=Body(bodies.PasswordRequest),
            answers=(Answer(204, "The password is changed."),),
        ),
    ),
    rpc_route(
        "GET",
        f"{_AUTH}/me",
        pb.GetMeRequest,
        tag=ADMINISTER,
        summary="Get the caller with its roles and permissions",
        answers=(Answer(200, "The caller.", answers.MeAnswer),),
    ),
    Route(
        "GET",
        "/.well-known/jwks.json",
        get_signing_keys,
        Operation(
            tag=ADMINISTER,
            summary="List the public keys of access tokens",
            answers=(Answer(200, "A JWK Set.", answers.KeySetAnswer, "application/jwk-set+json"),),
        ),
        public=True,
    ),
    rpc_route(
        "GET",
        "/api/v1/roles",
        member_service_pb2.ListRolesRequest,
        tag=ADMINISTER,
        summary="List the roles and their permissions",
        answers=(Answer(200, "All roles.", answers.RoleList),),
    ),
)
