"""Cookies of a session among the headers of a request."""

import pytest

from flowmesh.access.cookies import ACCESS_COOKIE, LOGIN_COOKIE, cookie_of
from flowmesh.errors import Unauthenticated


def headers(*cookies: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"a"), *((b"cookie", each.encode("latin-1")) for each in cookies)]


def test_a_cookie_is_found_by_its_name() -> None:
    """In any header of cookies, with all that follows its first sign of equality."""
    given = headers("theme=dark; " + ACCESS_COOKIE + "=a=b==", "other")
    assert cookie_of(given, ACCESS_COOKIE) == "a=b=="
    assert cookie_of(given, LOGIN_COOKIE) == ""
    assert cookie_of([(b"x-cookie", ACCESS_COOKIE.encode() + b"=a")], ACCESS_COOKIE) == ""


@pytest.mark.parametrize("between", ["; ", None])
def test_a_cookie_that_comes_twice_is_refused(between: str | None) -> None:
    """A page of a sibling domain may have added one, in the same header or in another."""
    both = [f"{ACCESS_COOKIE}=a", f"{ACCESS_COOKIE}=b"]
    given = headers(between.join(both)) if between else headers(*both)
    with pytest.raises(Unauthenticated, match="2 cookies") as refused:
        cookie_of(given, ACCESS_COOKIE)
    assert refused.value.reason == "CREDENTIALS_INVALID"
