"""Delivery of the console: pages by `Accept`, files with digests in their names, headers."""

import gzip
import re

import pytest

from flowmesh.gateway.routes.console import PLAIN_PATHS
from tests.integration.gateway.conftest import Rest

# As browsers send it for a page.
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
TWICE = ("/", "/executions", "/executions/{executionId}", "/workflows", "/workflows/{workflowId}")


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "no-such", path)


@pytest.mark.parametrize("path", ["/console", "/console/executions/x?tab=graph", *PLAIN_PATHS])
async def test_browsers_get_the_page(rest: Rest, path: str) -> None:
    """Under `/console` and at plain paths, also for names that do not exist."""
    async with rest.http.get(rest.url + filled(path), headers=HTML) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert '<div id="root">' in await response.text()


@pytest.mark.parametrize("path", TWICE)
async def test_programs_get_what_they_got_before(rest: Rest, path: str) -> None:
    """Without `text/html`, JSON; both answers vary by `Accept`, for caches between."""
    for accept in ("*/*", "application/json"):
        async with rest.http.get(
            rest.url + filled(path), headers={"Accept": accept}, allow_redirects=False
        ) as response:
            assert response.status in (200, 302, 404)
            assert "html" not in response.headers["Content-Type"]
    async with rest.http.get(rest.url + "/executions") as response:
        assert "accept" in response.headers.getall("Vary")
    async with rest.http.get(rest.url + "/executions", headers=HTML) as response:
        assert "accept" in response.headers.getall("Vary")


async def test_the_page_is_confined(rest: Rest) -> None:
    """Nothing inline, nothing of other hosts, no frames; the page itself obeys."""
    async with rest.http.get(rest.url + "/console") as response:
        policy = response.headers["Content-Security-Policy"]
        page = await response.text()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-cache"
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert "<style" not in page
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses == [each for each in addresses if each.startswith("/console/assets/")]


async def test_files_are_kept_for_a_year_and_compressed(rest: Rest) -> None:
    """Names hold digests; an unchanged file is 304, an unknown one 404 with a reason."""
    async with rest.http.get(rest.url + "/console") as response:
        path = re.findall(r'src="(/console/assets/[^"]+\.js)"', await response.text())[0]
    async with rest.http.get(rest.url + path, headers={"Accept-Encoding": "identity"}) as response:
        plain = await response.read()
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        tag = response.headers["ETag"]
    url, zipped = rest.url + path, {"Accept-Encoding": "gzip"}
    async with rest.http.get(url, headers=zipped, auto_decompress=False) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await response.read()) == plain
    async with rest.http.get(url, headers={"If-None-Match": tag}) as response:
        assert response.status == 304
    status, answer = await rest.call("GET", "/console/assets/..%2Findex.html")
    assert (status, answer["error"]["reason"]) == (404, "ROUTE_NOT_FOUND")


async def test_writes_to_a_page_are_405(rest: Rest) -> None:
    """With the methods that the path has."""
    async with rest.http.post(rest.url + "/approvals", headers=HTML) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
