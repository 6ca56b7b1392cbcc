"""static.fileserver: the files of a folder, and nothing above it."""

import hashlib
import mimetypes
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote_to_bytes

from flowmesh.apps.http.messages import Request, Response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.module import Module, Mounts, Setting
from flowmesh.jsontext.integers import is_whole

FILE_BYTES_MAX = 64 * 1024 * 1024
INDEX = "index.html"
_ENCODINGS = ((b"br", ".br"), (b"gzip", ".gz"))


class StaticFiles:
    """Serves GET and HEAD below one folder."""

    def __init__(self, *, root: Path, prefix: str, fallback: bool, max_age_s: int) -> None:
        self._root = root.resolve()
        self._prefix = prefix.rstrip("/")
        self._fallback = fallback
        self._cache = f"public, max-age={max_age_s}".encode()

    def handle(self, request: Request) -> Response:
        """Answer with a file. Raises HttpProblem with 404 for anything else."""
        if request.method not in ("GET", "HEAD"):
            headers = [(b"allow", b"GET, HEAD, OPTIONS")]
            raise HttpProblem(405, "METHOD_NOT_ALLOWED", "files are read only", headers=headers)
        found = self._find(request.path)
        if found is None and self._fallback and "." not in request.path.rpartition("/")[2]:
            found = self._inside(self._root / INDEX)
        if found is None:
            raise HttpProblem(404, "FILE_NOT_FOUND", "there is no such file")
        return self._answer(request, found)

    def _find(self, raw_path: str) -> Path | None:
        """Return the file of a path, if it is below the root and not hidden."""
        rest = raw_path[len(self._prefix) :].lstrip("/")
        text = unquote_to_bytes(rest).decode("utf-8", "surrogateescape")
        parts = [each for each in text.split("/") if each]
        for part in parts:
            if part.startswith(".") or "\0" in part or "\\" in part or ":" in part:
                raise HttpProblem(404, "FILE_NOT_FOUND", "there is no such file")
        path = self._root.joinpath(*parts)
        found = self._inside(path)
        return found if found is not None else self._inside(path / INDEX)

    def _inside(self, path: Path) -> Path | None:
        try:
            resolved = path.resolve(strict=True)
        except (OSError, ValueError, UnicodeError):
            return None
        if not resolved.is_relative_to(self._root) or not resolved.is_file():
            return None
        hidden = any(each.startswith(".") for each in resolved.relative_to(self._root).parts)
        return None if hidden else resolved

    def _answer(self, request: Request, path: Path) -> Response:
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        if kind.startswith("text/") or kind in ("application/javascript", "application/json"):
            kind += "; charset=utf-8"
        path, encoding = _precompressed(request, path)
        status = path.stat()
        tag = hashlib.blake2b(
            f"{path}{status.st_size}{status.st_mtime_ns}".encode(), digest_size=8
        ).hexdigest()
        etag = f'"{tag}"'.encode()
        headers = [
            (b"etag", etag),
            (b"last-modified", formatdate(status.st_mtime, usegmt=True).encode()),
            (b"cache-control", b"no-cache" if path.name.startswith(INDEX) else self._cache),
            (b"accept-ranges", b"bytes"),
            (b"vary", b"accept-encoding"),
        ]
        if encoding:
            headers.append((b"content-encoding", encoding))
        if etag.decode() in request.header(b"if-none-match"):
            return Response(304, headers=headers, content_type=b"")
        if status.st_size > FILE_BYTES_MAX:
            text = f"files have at most {FILE_BYTES_MAX // 1024**2} MiB"
            raise HttpProblem(413, "FILE_TOO_LARGE", text)
        return _ranged(request, path.read_bytes(), kind.encode(), headers)


def _precompressed(request: Request, path: Path) -> tuple[Path, bytes]:
    accepted = request.header(b"accept-encoding").lower().encode()
    for name, suffix in _ENCODINGS:
        other = path.with_name(path.name + suffix)
        if name in accepted and not other.is_symlink() and other.is_file():
            return other, name
    return path, b""


def _ranged(
    request: Request, body: bytes, kind: bytes, headers: list[tuple[bytes, bytes]]
) -> Response:
    """Answer with one range of bytes where one is asked for."""
    wanted = request.header(b"range")
    unit, _, spec = wanted.partition("=")
    if unit != "bytes" or "," in spec or "-" not in spec:
        return Response(200, body, kind, headers)
    first, _, last = spec.partition("-")
    size = len(body)
    if not (first or last) or not all(is_whole(each) for each in (first, last) if each):
        return Response(200, body, kind, headers)
    begin = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if begin > end or begin >= size:
        return Response(416, b"", kind, [*headers, (b"content-range", f"bytes */{size}".encode())])
    place = (b"content-range", f"bytes {begin}-{end}/{size}".encode())
    return Response(206, body[begin : end + 1], kind, [*headers, place])


def static_files(setting: Setting) -> Module:
    """Build static.fileserver."""
    config = setting.config
    prefix = str(config["prefix"])
    files = StaticFiles(
        root=setting.path(str(config["root"])),
        prefix=prefix,
        fallback=bool(config["spaFallback"]),
        max_age_s=int(config["cacheMaxAge"]),
    )

    def mount(mounts: Mounts) -> None:
        router = setting.partners.get("Router", "")
        app = mounts.of_router(router) if router else None
        servers = [app] if app is not None else mounts.servers(setting.partners.get("Server", ""))
        for each in servers[:1]:
            each.add_fallback(prefix, files.handle, mounts.middlewares(router, each.name))

    async def health() -> str:
        root = setting.path(str(config["root"]))
        return "" if root.is_dir() else f"the folder {root} is not there"

    return Module(name=setting.name, services={"Handler": files.handle}, mount=mount, health=health)
