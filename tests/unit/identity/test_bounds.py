"""Bounds of the input of the identity service."""

import asyncio
from dataclasses import fields, replace
from typing import Any

import pytest

from flowmesh.access import Role
from flowmesh.errors import FlowmeshError, Invalid, Overloaded
from flowmesh.identity import limits
from flowmesh.identity.accounts import valid_email
from flowmesh.identity.api_keys import check_key, check_overlap
from flowmesh.identity.credentials.passwords import Passwords, check_password
from flowmesh.identity.secrets import check_refs, check_room, check_secret
from flowmesh.identity.storage.records import ApiKey, Quota
from flowmesh.identity.tenants import check_names
from flowmesh.identity.workspace.files import check_number
from flowmesh.identity.workspace.quotas import check_quota

KEY = ApiKey("key_1", "prj_1", "ci", Role.EDITOR, (), (), (), (), "usr_1", 0, 0, 0)


def refused(reason: str, call: Any, *arguments: Any) -> FlowmeshError:
    with pytest.raises(Invalid) as caught:
        call(*arguments)
    assert caught.value.reason == reason
    return caught.value


def test_slugs_and_names_are_bounded() -> None:
    """The longest is accepted, one more is refused, as are other characters and reserved words."""
    check_names("a" * limits.SLUG_CHARS_MAX, "n" * limits.NAME_CHARS_MAX)
    refused("REQUEST_INVALID", check_names, "a", "n" * (limits.NAME_CHARS_MAX + 1))
    for slug in (
        "",
        "a" * (limits.SLUG_CHARS_MAX + 1),
        "A",
        "a_b",
        "-a",
        "a-",
        "ä",
        "аdmin",
        "api",
    ):
        refused("SLUG_INVALID", check_names, slug, "")


def test_numbers_of_versions_are_bounded() -> None:
    """The largest is accepted, one more is refused."""
    check_number(limits.FILE_NUMBER_MAX)
    refused("REQUEST_INVALID", check_number, limits.FILE_NUMBER_MAX + 1)


def test_email_addresses_are_bounded() -> None:
    """The longest is accepted; what is none is refused with what one looks like."""
    longest = "a" * (limits.EMAIL_CHARS_MAX - len("@example.com")) + "@example.com"
    assert valid_email(f" {longest.upper()} ") == longest
    for text in (f"a{longest}", "ada", "ada@", "@example.com", "a b@example.com", "a@b\n.c"):
        assert "name@example.com" in refused("REQUEST_INVALID", valid_email, text).message


async def test_logins_that_wait_are_bounded_by_network() -> None:
    """One more than may wait is put off; another network is served."""
    passwords, end = Passwords(), asyncio.Event()

    async def login(network: str) -> None:
        async with passwords.turn(network):
            await end.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(limits.HASHES_WAITING_MAX):
            group.create_task(login("10.1.0.0"))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await login("10.1.0.0")
        assert caught.value.reason == "LOGIN_DELAYED"
        async with passwords.turn("10.2.0.0"):
            end.set()


def test_passwords_are_judged() -> None:
    """Short, common, long and personal ones are refused."""
    check_password("correct horse battery staple")
    for password in ("short", "password1234", "x" * (limits.PASSWORD_BYTES_MAX + 1)):
        refused("PASSWORD_WEAK", check_password, password)


def test_lists_of_a_key_are_bounded() -> None:
    """A hundred entries each; a network that is none is named."""
    check_key(replace(KEY, queues=("q",) * limits.KEY_LIST_MAX), 0)
    for field in ("queues", "task_types", "networks", "permissions"):
        many: dict[str, Any] = {field: ("10.0.0.0/8",) * (limits.KEY_LIST_MAX + 1)}
        refused("REQUEST_INVALID", check_key, replace(KEY, **many), 0)
    error = refused("REQUEST_INVALID", check_key, replace(KEY, networks=("10.0.0.1/8",)), 0)
    assert "10.0.0.1/8" in error.message
    refused("REQUEST_INVALID", check_key, replace(KEY, expires_at_us=1), 2)


def test_the_overlap_of_secrets_is_bounded() -> None:
    """Thirty days at most."""
    assert check_overlap(limits.KEY_OVERLAP_S_MAX) == limits.KEY_OVERLAP_S_MAX
    assert check_overlap(0) == limits.KEY_OVERLAP_S
    refused("REQUEST_INVALID", check_overlap, limits.KEY_OVERLAP_S_MAX + 1)


def test_secrets_are_bounded() -> None:
    """In size and number; the values are text."""
    check_secret("n" * 128, b"x" * limits.SECRET_BYTES_MAX)
    for name, value in (
        ("a", b"x" * (limits.SECRET_BYTES_MAX + 1)),
        ("a", b""),
        ("a", b"\xff"),
        ("n" * 129, b"x"),
        ("a/b", b"x"),
    ):
        refused("SECRET_INVALID", check_secret, name, value)
    check_room(limits.SECRETS_MAX - 1)
    refused("SECRET_INVALID", check_room, limits.SECRETS_MAX)
    check_refs(limits.SECRET_REFS_MAX)
    refused("SECRET_INVALID", check_refs, limits.SECRET_REFS_MAX + 1)


def test_quotas_are_bounded() -> None:
    """Each bound of a quota has the same maximum."""
    unlimited = Quota(**dict.fromkeys((field.name for field in fields(Quota)), 0))
    for field in fields(Quota):
        check_quota(replace(unlimited, **{field.name: limits.QUOTA_MAX}))
        above = replace(unlimited, **{field.name: limits.QUOTA_MAX + 1})
        assert field.name in refused("REQUEST_INVALID", check_quota, above).message
