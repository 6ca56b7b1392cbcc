"""Users of SCIM, as Okta and Entra ID provision them.

Attributes beyond those of the schema are ignored, as providers send whole profiles.
"""

import re
from http import HTTPStatus
from typing import Any

from msgspec import UNSET

from flowmesh.api.identity.v1 import provisioning_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Operation
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.scim import messages
from flowmesh.gateway.routes.scim.messages import (
    BASE,
    BODY,
    PAGE,
    SCIM,
    EmailValue,
    ScimNameValue,
    ScimUserList,
    ScimUserValue,
    scim_response,
    scim_route,
    wrong,
)

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
# Fields of a request: texts, and `active`, which is a boolean.
Attributes = dict[str, Any]
_TRUTH = {"true": True, "false": False}
# `emails[type eq "work"].value`, and the same by another attribute.
_EMAIL = re.compile(r"emails\[.{1,100}\]\.value", re.IGNORECASE)


async def list_scim_users(backends: Backends, request: Request) -> Response:
    wanted = messages.filtered(request, "userName", "externalId")
    start, count = messages.page(request)
    found = await backends.provisioning.ListScimUsers(
        pb.ListScimUsersRequest(**wanted, offset=start - 1, count=count)
    )
    users = [_value(request, each) for each in found.users]
    return scim_response(messages.listed(start, found.total, users))


async def get_scim_user(backends: Backends, request: Request) -> Response:
    wanted = pb.GetScimUserRequest(user_id=request.param("userId"))
    found = await backends.provisioning.GetScimUser(wanted)
    return scim_response(_value(request, found.user))


async def create_scim_user(backends: Backends, request: Request) -> Response:
    stated = {"active": True, **attributes(await messages.resource(request))}
    made = await backends.provisioning.CreateScimUser(pb.CreateScimUserRequest(**stated))
    shown = _value(request, made.user)
    location = ((b"location", shown.meta.location.encode()),)
    return scim_response(shown, HTTPStatus.CREATED, location)


async def replace_scim_user(backends: Backends, request: Request) -> Response:
    stated = attributes(await messages.resource(request))
    whole = {"user_name": "", "external_id": "", "name": "", "email": "", **stated}
    return await _updated(backends, request, whole)


async def patch_scim_user(backends: Backends, request: Request) -> Response:
    return await _updated(backends, request, changes(await messages.resource(request)))


async def delete_scim_user(backends: Backends, request: Request) -> Response:
    wanted = pb.DeleteScimUserRequest(user_id=request.param("userId"))
    await backends.provisioning.DeleteScimUser(wanted)
    return Response(HTTPStatus.NO_CONTENT)


async def _updated(backends: Backends, request: Request, stated: Attributes) -> Response:
    wanted = pb.UpdateScimUserRequest(user_id=request.param("userId"), **stated)
    changed = await backends.provisioning.UpdateScimUser(wanted)
    return scim_response(_value(request, changed.user))


def changes(body: dict[str, object]) -> Attributes:
    """Return the attributes that the operations of a PATCH change."""
    stated: dict[str, object] = {}
    for verb, path, value in messages.operations(body):
        name = path.lower().removeprefix(f"{USER.lower()}:")
        if verb == "remove":
            if name in ("username", "active"):
                raise wrong("path", f"{path} cannot be removed")
            stated[name] = [] if name == "emails" else ""
        elif not name:
            if not isinstance(value, dict):
                raise wrong("Operations", "an operation without a path has no object as its value")
            stated |= messages.lowered(value)
        elif _EMAIL.fullmatch(name):
            stated["emails"] = [{"value": value}]
        else:
            stated[name] = value
    return _fields(stated)


def attributes(body: dict[str, object]) -> Attributes:
    """Return the attributes of a user that a body states, by the names of their fields."""
    return _fields(messages.lowered(body))


def _fields(stated: dict[str, object]) -> Attributes:
    """Return the fields of attributes, whose names are in lower case."""
    found: Attributes = {}
    for name, field in (("userName", "user_name"), ("externalId", "external_id")):
        if name.lower() in stated:
            found[field] = messages.text_of(name, stated[name.lower()])
    if "active" in stated:
        found["active"] = _truth(stated["active"])
    if "emails" in stated:
        found["email"] = _email(stated["emails"])
    whole = _name(stated)
    if whole is not None:
        found["name"] = whole
    return found


def _name(stated: dict[str, object]) -> str | None:
    """Return the whole name; given and family name count together only."""
    inner = stated.get("name")
    parts = messages.lowered(inner) if isinstance(inner, dict) else {}
    parts |= {name.removeprefix("name."): each for name, each in stated.items() if "name." in name}
    for value in (stated.get("displayname"), parts.get("formatted")):
        if isinstance(value, str):
            return value
    given, family = parts.get("givenname"), parts.get("familyname")
    if isinstance(given, str) and isinstance(family, str):
        return f"{given} {family}".strip()
    return None


def _email(value: object) -> str:
    """Return the primary address, otherwise the first one."""
    found = [messages.lowered(each) for each in _list(value) if isinstance(each, dict)]
    first = sorted(found, key=lambda each: each.get("primary") is not True)[:1]
    return messages.text_of("emails", first[0].get("value")) if first else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _truth(value: object) -> bool:
    """Return a boolean; Entra ID sends it as a text."""
    found = _TRUTH.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise wrong("active", "active is not true or false")
    return found


def _value(request: Request, user: pb.ScimUser) -> ScimUserValue:
    return ScimUserValue(
        schemas=[USER],
        id=user.id,
        external_id=user.external_id or UNSET,
        user_name=user.user_name,
        name=ScimNameValue(formatted=user.name),
        display_name=user.name,
        emails=[EmailValue(value=user.email)],
        active=user.active,
        meta=messages.meta(request, "User", user.id, user.created_at_us, user.changed_at_us),
    )


_SHOWN = Answer(200, "The user.", ScimUserValue, media_type=SCIM)
_CHANGED = (400, 404, 409, 413, 415)
_USER = f"{BASE}/Users/{{userId}}"


ROUTES = (
    scim_route(
        "GET",
        f"{BASE}/Users",
        list_scim_users,
        Operation(
            tag=ADMINISTER,
            summary="List the provisioned users of an identity provider",
            query=PAGE,
            answers=(Answer(200, "Users that match.", ScimUserList, media_type=SCIM),),
        ),
    ),
    scim_route(
        "POST",
        f"{BASE}/Users",
        create_scim_user,
        Operation(
            tag=ADMINISTER,
            summary="Provision a user",
            body=BODY,
            answers=(Answer(201, "The user is created.", ScimUserValue, media_type=SCIM),),
            errors=(400, 409, 413, 415),
        ),
    ),
    scim_route(
        "GET",
        _USER,
        get_scim_user,
        Operation(tag=ADMINISTER, summary="Return a provisioned user", answers=(_SHOWN,)),
    ),
    scim_route(
        "PUT",
        _USER,
        replace_scim_user,
        Operation(
            tag=ADMINISTER,
            summary="Replace the attributes of a provisioned user",
            body=BODY,
            answers=(_SHOWN,),
            errors=_CHANGED,
        ),
    ),
    scim_route(
        "PATCH",
        _USER,
        patch_scim_user,
        Operation(
            tag=ADMINISTER,
            summary="Change attributes of a provisioned user",
            body=BODY,
            answers=(_SHOWN,),
            errors=_CHANGED,
        ),
    ),
    scim_route(
        "DELETE",
        _USER,
        delete_scim_user,
        Operation(
            tag=ADMINISTER,
            summary="Delete a provisioned user",
            answers=(Answer(204, "The user is disabled and no longer shown."),),
        ),
    ),
)
