"""Logins at identity providers: redirects of the browser, and calls of the providers.

A failed login leads to the login page, which shows the reason.
"""

from http import HTTPStatus
from urllib.parse import parse_qs, urlencode

from flowmesh.access.cookies import LOGIN_COOKIE
from flowmesh.api.identity.v1 import login_service_pb2 as pb
from flowmesh.errors import FlowmeshError, Invalid, UnsupportedMediaType
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.identity_answers import SessionAnswer
from flowmesh.gateway.http.cookies import set_login_cookie
from flowmesh.gateway.http.errors import error_response
from flowmesh.gateway.http.limits import CREDENTIALS_BYTES_MAX, SAML_FORM_BYTES_MAX
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import Query
from flowmesh.gateway.http.requests import Headers, Request, Response
from flowmesh.gateway.routes.common import json_response, secret_response
from flowmesh.gateway.routes.identity import provider_bodies as bodies
from flowmesh.gateway.routes.identity.auth import cookies_of, opened_response
from flowmesh.gateway.routes.links import FORM
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import reader

_NOT_STORED = (b"cache-control", b"no-store")
_QUIET = (b"referrer-policy", b"no-referrer")


async def list_login_providers(backends: Backends, request: Request) -> Response:
    wanted = pb.ListLoginProvidersRequest(company=request.text("company"))
    return json_response(_offered(await backends.logins.ListLoginProviders(wanted)))


async def complete_device_login(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.DeviceRequest, CREDENTIALS_BYTES_MAX)
    done = await backends.logins.CompleteDeviceLogin(
        pb.CompleteDeviceLoginRequest(device_code=envelope.device_code, address=request.address)
    )
    return opened_response(backends, done.user, done.tokens, HTTPStatus.OK, cookie=False)


async def start_device_login(backends: Backends, _request: Request) -> Response:
    started = await backends.logins.StartDeviceLogin(pb.StartDeviceLoginRequest())
    return secret_response(_device(started))


async def complete_loopback_login(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.LoopbackRequest, CREDENTIALS_BYTES_MAX)
    done = await backends.logins.CompleteLoopbackLogin(
        pb.CompleteLoopbackLoginRequest(
            client_id=envelope.client_id,
            redirect_uri=envelope.redirect_uri,
            code=envelope.code,
            code_verifier=envelope.code_verifier,
            address=request.address,
        )
    )
    return opened_response(backends, done.user, done.tokens, HTTPStatus.OK, cookie=False)


async def start_login(backends: Backends, request: Request) -> Response:
    wanted = pb.StartLoginRequest(
        provider_id=request.param("providerId"),
        next=request.text("next"),
        origin=request.origin,
    )
    try:
        started = await backends.logins.StartLogin(wanted)
    except FlowmeshError as error:
        return _refused(error)
    cookie = set_login_cookie(started.binding, cross_site=started.answered_by_post)
    return _redirect(started.location, cookie)


async def complete_login(backends: Backends, request: Request) -> Response:
    answer = pb.CompleteLoginRequest(
        state=request.text("state"),
        code=request.text("code"),
        issuer=request.text("iss"),
        error=request.text("error"),
    )
    return await _completed(backends, request, answer)


async def complete_saml_login(backends: Backends, request: Request) -> Response:
    form = await _form(request, SAML_FORM_BYTES_MAX)
    answer = pb.CompleteLoginRequest(
        state=form.get("RelayState", ""), saml_response=form.get("SAMLResponse", "")
    )
    return await _completed(backends, request, answer)


async def _completed(
    backends: Backends, request: Request, answer: pb.CompleteLoginRequest
) -> Response:
    answer.provider_id = request.param("providerId")
    answer.binding = request.cookie(LOGIN_COOKIE)
    answer.address = request.address
    try:
        done = await backends.logins.CompleteLogin(answer)
    except FlowmeshError as error:
        return _refused(error)
    return _redirect(done.next, (*set_login_cookie(""), *cookies_of(backends, done.tokens)))


async def get_login_metadata(backends: Backends, request: Request) -> Response:
    wanted = pb.GetLoginMetadataRequest(
        provider_id=request.param("providerId"), origin=request.origin
    )
    found = await backends.logins.GetLoginMetadata(wanted)
    return Response(
        HTTPStatus.OK,
        found.metadata.encode(),
        headers=((b"content-type", METADATA.encode()), _NOT_STORED),
    )


async def end_provider_sessions(backends: Backends, request: Request) -> Response:
    form = await _form(request, SAML_FORM_BYTES_MAX)
    wanted = pb.EndProviderSessionsRequest(
        provider_id=request.param("providerId"),
        logout_token=form.get("logout_token", ""),
        saml_request=form.get("SAMLRequest", ""),
        origin=request.origin,
    )
    if bool(wanted.logout_token) == bool(wanted.saml_request):
        raise Invalid("REQUEST_INVALID", "the form has not one `logout_token` or `SAMLRequest`")
    try:
        await backends.logins.EndProviderSessions(wanted)
    except FlowmeshError as error:
        # The provider reads the status only (OpenID Connect Back-Channel Logout, 2.8).
        return error_response(Invalid(error.reason, str(error)))
    return Response(HTTPStatus.NO_CONTENT, headers=(_NOT_STORED,))


async def end_saml_sessions(backends: Backends, request: Request) -> Response:
    if not request.text("SAMLRequest"):
        # The answer to a logout that began here: its session has ended already.
        return _redirect("/login", ())
    wanted = pb.EndProviderSessionsRequest(
        provider_id=request.param("providerId"),
        saml_request=request.raw_query,
        origin=request.origin,
    )
    try:
        done = await backends.logins.EndProviderSessions(wanted)
    except FlowmeshError as error:
        return _redirect(f"/login?{urlencode({'error': error.reason})}", ())
    return _redirect(done.location or "/login", ())


async def _form(request: Request, bytes_max: int) -> dict[str, str]:
    """Return the fields of a posted form; one that stands twice is left out."""
    if request.media_type != FORM:
        raise UnsupportedMediaType("CONTENT_TYPE_UNSUPPORTED", f"send {FORM}")
    fields = parse_qs((await request.body(bytes_max)).decode("latin-1"))
    return {name: values[0] for name, values in fields.items() if len(values) == 1}


def _redirect(location: str, cookies: Headers) -> Response:
    headers = ((b"location", location.encode()), _NOT_STORED, _QUIET, *cookies)
    return Response(HTTPStatus.SEE_OTHER, headers=headers)


def _refused(error: FlowmeshError) -> Response:
    return _redirect(f"/login?{urlencode({'error': error.reason})}", set_login_cookie(""))


_offered = reader(bodies.LoginProviderList, pb.ListLoginProvidersResponse)
_device = reader(bodies.DeviceLogin, pb.StartDeviceLoginResponse)
_LOGIN = "/login/{providerId}"
METADATA = "application/samlmetadata+xml"


def _fields(*names: str) -> Body:
    """Return the body of a form."""
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    return Body(None, media_types=(FORM,), schemas={FORM: schema})


_REDIRECTED = Answer(
    303, "Redirect to the next page; to the login page if the login is refused.", None
)
ROUTES = (
    Route(
        "POST",
        "/api/v1/auth/device",
        start_device_login,
        Operation(
            tag=ADMINISTER,
            summary="Begin the login of a program without a browser",
            answers=(Answer(200, "The codes; valid for ten minutes.", bodies.DeviceLogin),),
        ),
        public=True,
    ),
    Route(
        "POST",
        "/api/v1/auth/device:complete",
        complete_device_login,
        Operation(
            tag=ADMINISTER,
            summary="Open the session of an approved device",
            description="`LOGIN_PENDING` until a user has approved its code.",
            body=Body(bodies.DeviceRequest),
            answers=(Answer(200, "The session.", SessionAnswer),),
            errors=(409,),
        ),
        public=True,
    ),
    rpc_route(
        "POST",
        "/api/v1/auth/device:approve",
        pb.ApproveDeviceLoginRequest,
        tag=ADMINISTER,
        summary="Let the device that shows a code log in as the caller",
        body=Body(bodies.DeviceApproval),
        answers=(Answer(204, "The device logs in."),),
    ),
    rpc_route(
        "POST",
        "/api/v1/auth/loopback:approve",
        pb.ApproveLoopbackLoginRequest,
        secret=True,
        tag=ADMINISTER,
        summary="Let the command on this machine log in as the caller",
        body=Body(bodies.LoopbackApproval),
        answers=(Answer(200, "The code for its address.", bodies.LoopbackCode),),
    ),
    Route(
        "POST",
        "/api/v1/auth/loopback:complete",
        complete_loopback_login,
        Operation(
            tag=ADMINISTER,
            summary="Open the session of the command from its code",
            body=Body(bodies.LoopbackRequest),
            answers=(Answer(200, "The session.", SessionAnswer),),
        ),
        public=True,
    ),
    Route(
        "GET",
        "/api/v1/auth/providers",
        list_login_providers,
        Operation(
            tag=ADMINISTER,
            summary="List the identity providers that a company offers",
            query=(Query("company", "The slug of the company (default: `default`)."),),
            answers=(Answer(200, "Sorted by name.", bodies.LoginProviderList),),
        ),
        public=True,
    ),
    Route(
        "GET",
        _LOGIN,
        start_login,
        Operation(
            tag=ADMINISTER,
            summary="Begin a login at an identity provider in a browser",
            query=(Query("next", "The path of the console to show afterwards."),),
            answers=(_REDIRECTED,),
        ),
        public=True,
    ),
    Route(
        "GET",
        f"{_LOGIN}/callback",
        complete_login,
        Operation(
            tag=ADMINISTER,
            summary="Complete a login: the provider sends the browser here",
            query=tuple(
                Query(name, f"`{name}` of the answer of the provider.")
                for name in ("state", "code", "iss", "error")
            ),
            answers=(_REDIRECTED,),
        ),
        public=True,
    ),
    Route(
        "POST",
        f"{_LOGIN}/logout",
        end_provider_sessions,
        Operation(
            tag=ADMINISTER,
            summary="End the sessions of a user who has logged out at the provider",
            description="OpenID Connect Back-Channel Logout, or SAML Single Logout; called by the"
            " provider.",
            body=_fields("logout_token", "SAMLRequest"),
            answers=(Answer(204, "The sessions have ended."),),
        ),
        public=True,
    ),
    Route(
        "GET",
        f"{_LOGIN}/logout",
        end_saml_sessions,
        Operation(
            tag=ADMINISTER,
            summary="End the sessions of a user by a redirect of a SAML provider",
            query=tuple(
                Query(name, f"`{name}` of SAML Single Logout.")
                for name in ("SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature")
            ),
            answers=(_REDIRECTED,),
        ),
        public=True,
    ),
    Route(
        "POST",
        f"{_LOGIN}/acs",
        complete_saml_login,
        Operation(
            tag=ADMINISTER,
            summary="Complete a login: the page of a SAML provider posts its answer here",
            body=_fields("SAMLResponse", "RelayState"),
            answers=(_REDIRECTED,),
        ),
        public=True,
    ),
    Route(
        "GET",
        f"{_LOGIN}/metadata",
        get_login_metadata,
        Operation(
            tag=ADMINISTER,
            summary="Get the description of Flowmesh that a SAML provider imports",
            answers=(Answer(200, "XML.", None, media_type=METADATA),),
            errors=(404,),
        ),
        public=True,
    ),
)
