"""Keycloak as the provider of tests, fetched once by Maven and kept outside of the clone."""

import asyncio
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import until

VERSION = "26.7.0"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
SHA256 = "e63bd0167199c0092b8a4d22cc137e6b7a70e0089070f6f7799b1be504b69a8a"
START_S = 240.0
REALM, CLIENT, SECRET = "corp", "flowmesh", "the secret of the client"
USER, PASSWORD, EMAIL = "ada", "a password of Ada", "ada@corp.example"
_ADMIN = "admin of a test"
_FORM = re.compile(r'<form[^>]*action="([^"]+)"')
_INPUT = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"', re.IGNORECASE)
_CERTIFICATE = re.compile(r"<ds:X509Certificate>([^<]+)<")
SAML_CLIENT = "flowmesh-saml"


def installed() -> Path:
    """Return the folder of Keycloak; download it if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "flowmesh" / "keycloak"
    home = folder / f"keycloak-{VERSION}"
    if (home / ".complete").exists():
        return home
    assert shutil.which("mvn"), "Keycloak comes through mvn"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            "mvn",
            "-q",
            "-B",
            "dependency:copy",
            f"-Dartifact={ARTIFACT}",
            f"-DoutputDirectory={folder}",
        ],
        check=True,
        timeout=300,
        capture_output=True,
    )
    archive = folder / f"keycloak-quarkus-dist-{VERSION}.zip"
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    (home / "bin" / "kc.sh").chmod(0o755)
    (home / ".complete").touch()
    archive.unlink()
    return home


def realm(backchannel: str) -> dict[str, Json]:
    """Return a realm with a user, its roles, and Flowmesh as a client."""
    roles: dict[str, Json] = {
        "name": "roles",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-usermodel-realm-role-mapper",
        "config": {
            "claim.name": "roles",
            "jsonType.label": "String",
            "multivalued": "true",
            "id.token.claim": "true",
        },
    }
    return {
        "realm": REALM,
        "enabled": True,
        "sslRequired": "none",
        "roles": {"realm": [{"name": "staff"}, {"name": "builders"}]},
        "users": [
            {
                "username": USER,
                "email": EMAIL,
                "emailVerified": True,
                "firstName": "Ada",
                "lastName": "Lovelace",
                "enabled": True,
                "credentials": [{"type": "password", "value": PASSWORD}],
                "realmRoles": ["staff", "builders"],
            }
        ],
        "clients": [
            {
                "clientId": CLIENT,
                "secret": SECRET,
                "redirectUris": ["*"],
                "attributes": {
                    "backchannel.logout.url": backchannel,
                    "backchannel.logout.session.required": "true",
                    "post.logout.redirect.uris": "*",
                },
                "protocolMappers": [roles],
            }
        ],
    }


def saml_client(login: str) -> dict[str, Json]:
    """Return Flowmesh as a client of SAML; roles, address and name are attributes."""
    roles: dict[str, Json] = {"attribute.name": "roles", "single": "true"}
    mappers: list[Json] = [
        {
            "name": "roles",
            "protocol": "saml",
            "protocolMapper": "saml-role-list-mapper",
            "config": roles,
        }
    ]
    for source, attribute in (("email", "email"), ("firstName", "name")):
        mappers.append(
            {
                "name": attribute,
                "protocol": "saml",
                "protocolMapper": "saml-user-property-mapper",
                "config": {"user.attribute": source, "attribute.name": attribute},
            }
        )
    return {
        "clientId": SAML_CLIENT,
        "protocol": "saml",
        "redirectUris": [f"{login}/*"],
        "frontchannelLogout": False,
        # Without the scope `role_list`: of two mappers of roles Keycloak takes either.
        "defaultClientScopes": [],
        "attributes": {
            "saml.assertion.signature": "true",
            "saml.server.signature": "true",
            "saml.client.signature": "false",
            "saml.authnstatement": "true",
            "saml.signature.algorithm": "RSA_SHA256",
            "saml_name_id_format": "persistent",
            "saml_assertion_consumer_url_post": f"{login}/acs",
            "saml_single_logout_service_url_post": f"{login}/logout",
            "saml_single_logout_service_url_redirect": f"{login}/logout",
        },
        "protocolMappers": mappers,
    }


@dataclass
class Keycloak:
    """A running Keycloak with one realm."""

    url: str
    token: str = ""

    @property
    def issuer(self) -> str:
        return f"{self.url}/realms/{REALM}"

    async def admin(self, method: str, path: str, body: Json = None) -> Any:
        """Call the admin API of the realm."""
        async with aiohttp.ClientSession() as http:
            form = {
                "grant_type": "password",
                "client_id": "admin-cli",
                "username": "admin",
                "password": _ADMIN,
            }
            address = f"{self.url}/realms/master/protocol/openid-connect/token"
            async with http.post(address, data=form) as response:
                token = (await response.json())["access_token"]
            address = f"{self.url}/admin/realms/{REALM}{path}"
            headers = {"authorization": f"Bearer {token}"}
            async with http.request(method, address, json=body, headers=headers) as response:
                text = await response.text()
                assert response.status < 300, text
                return json.loads(text) if text else None

    async def certificate(self) -> str:
        """Return the certificate that signs answers of SAML, in PEM."""
        address = f"{self.issuer}/protocol/saml/descriptor"
        async with aiohttp.ClientSession() as http, http.get(address) as response:
            found = _CERTIFICATE.search(await response.text())
        assert found
        return f"-----BEGIN CERTIFICATE-----\n{found[1]}\n-----END CERTIFICATE-----\n"

    async def add_saml_client(self, login: str) -> None:
        """Make Flowmesh a client of SAML, whose addresses are below that of its login."""
        await self.admin("POST", "/clients", saml_client(login))

    async def user(self) -> Any:
        return (await self.admin("GET", f"/users?username={USER}"))[0]

    async def submit(self, page: str) -> str:
        """Log in at the page to which the browser was sent; return the address after it."""
        return (await self._submitted(page))[0]

    async def fields(self, page: str) -> dict[str, str]:
        """Log in at a page of SAML; return the fields of the form that it posts then."""
        _, text = await self._submitted(page)
        return {name: html.unescape(value) for name, value in _INPUT.findall(text)}

    async def _submitted(self, page: str) -> tuple[str, str]:
        """Return the address to which Keycloak redirects after a login, and its page."""
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            async with http.get(page) as response:
                text = await response.text()
                found = _FORM.search(text)
                assert found, text[:2_000]
                cookies = _cookies(response)
            form = {"username": USER, "password": PASSWORD}
            async with http.post(
                html.unescape(found[1]),
                data=form,
                headers={"cookie": cookies},
                allow_redirects=False,
            ) as response:
                return response.headers.get("location", ""), await response.text()


def _cookies(response: aiohttp.ClientResponse) -> str:
    """Return the cookies of an answer, which a browser sends to this machine without TLS too."""
    found: dict[str, str] = {}
    for text in response.headers.getall("set-cookie", []):
        found |= {name: morsel.value for name, morsel in SimpleCookie(text).items()}
    return "; ".join(f"{name}={value}" for name, value in found.items())


@asynccontextmanager
async def keycloak(folder: Path, port: int, backchannel: str) -> AsyncIterator[Keycloak]:
    """Run Keycloak until the end of the block, with its data in a folder."""
    home = folder / "keycloak"
    shutil.copytree(installed(), home, symlinks=True)
    imported = home / "data" / "import"
    imported.mkdir(parents=True)
    (imported / "realm.json").write_text(json.dumps(realm(backchannel)))
    process = await asyncio.create_subprocess_exec(
        str(home / "bin" / "kc.sh"),
        "start-dev",
        "--import-realm",
        *("--http-host", "127.0.0.1", "--http-port", str(port)),
        env={
            **os.environ,
            "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
            "KC_BOOTSTRAP_ADMIN_PASSWORD": _ADMIN,
            "JAVA_OPTS_APPEND": "-Xmx512m",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    made = Keycloak(f"http://127.0.0.1:{port}")
    try:
        await until("Keycloak", lambda: _answers(made.issuer), within_s=START_S, poll_s=0.5)
        yield made
    finally:
        os.killpg(process.pid, 9)
        await process.wait()


class Stopwatch:
    """Passes requests on to Keycloak, and adds up the time until its answers are there."""

    def __init__(self, at: Keycloak) -> None:
        self._at = at
        self.url, self.seconds = "", 0.0

    async def pass_on(self, request: web.Request) -> web.Response:
        begun = time.perf_counter()
        async with (
            aiohttp.ClientSession(self._at.url, cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.request(
                request.method,
                request.rel_url,
                headers=request.headers,
                data=await request.read(),
                allow_redirects=False,
            ) as response,
        ):
            headers = response.headers.copy()
            for each in ("content-length", "transfer-encoding", "content-encoding"):
                headers.popall(each, None)
            answer = web.Response(
                status=response.status, headers=headers, body=await response.read()
            )
        self.seconds += time.perf_counter() - begun
        return answer


@asynccontextmanager
async def timed(at: Keycloak) -> AsyncIterator[Stopwatch]:
    """Serve Keycloak at a second address, which it then states as its own."""
    app, watch = web.Application(), Stopwatch(at)
    app.router.add_route("*", "/{path:.*}", watch.pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        watch.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield watch
    finally:
        await runner.cleanup()


async def _answers(issuer: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(issuer) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
