"""Errors that name the missing extra instead of a traceback.

    with needed_by("`flowmesh lint`"):
        ...          # ExtraMissing: … pip install '/path/flowmesh_suite-….whl[offline]'

The base installation is for clients and workers; docs/install.md describes the extras.
"""

from collections.abc import Iterator
from contextlib import contextmanager

# The public index has packages of others with similar names; this one is not there.
DISTRIBUTION = "flowmesh-suite"

# The imported names of the packages of each extra.
MODULES = {
    "offline": (
        *("_quickjs", "aiohttp", "cel", "cronsim", "defusedxml", "iregexp_check", "jmespath"),
        *(
            "jq",
            "jsonata",
            "jsonpath_rfc9535",
            "jsonschema",
            "jsonschema_rs",
            "prometheus_client",
            "re2",
        ),
        *("sqlglot", "standardwebhooks", "tree_sitter", "tree_sitter_typescript", "watchfiles"),
        "yarl",
    ),
    "otel": ("opentelemetry",),
    "keyring": ("keyring",),
    "brokers": ("aio_pika", "aiormq", "aiokafka", "paho"),
    "apps": ("bcrypt", "botocore", "gcloud", "hvac"),
    "saml": ("lxml", "onelogin", "xmlsec"),
    "k8s": ("httpx2", "lightkube"),
    "server": (
        *("argon2", "cryptography", "cyclonedx", "jwt", "packageurl", "zxcvbn"),
        *("aiosql", "asyncpg", "grpc_health", "grpc_reflection", "httptools", "nats", "pydantic"),
        *("pydantic_settings", "redis", "swagger_ui", "uvicorn", "uvloop", "websockets"),
    ),
    "dev": ("psutil",),
}


class ExtraMissing(ImportError):
    """An extra is not installed; the message names it."""


def extra_of(module: str) -> str:
    """Return the extra that contains a module; "" if there is none."""
    top = module.partition(".")[0]
    return next((extra for extra, modules in MODULES.items() if top in modules), "")


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this installation.

    It names the wheel that was installed, as PEP 610 records it; a checkout has all extras.
    """
    import importlib.metadata
    import json
    import urllib.parse
    import urllib.request

    try:
        source = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return "make setup"
    url = urllib.parse.urlsplit(json.loads(source)["url"] if source else "")
    if url.scheme == "file":
        return f"pip install '{urllib.request.url2pathname(url.path)}[{extra}]'"
    return f"pip install '{DISTRIBUTION}[{extra}]{' @ ' * bool(source)}{url.geturl()}'"


@contextmanager
def needed_by(what: str, extra: str = "") -> Iterator[None]:
    """Raise ExtraMissing for a missing module of an extra within the block.

    The message names `extra` if given, otherwise the extra of the module.
    """
    try:
        yield
    except ImportError as error:
        found = _extra_missing(error)
        if not found:
            raise
        text = f"{what} needs packages that are not installed"
        raise ExtraMissing(f"{text}: {install_command(extra or found)}") from None


def _extra_missing(error: BaseException | None) -> str:
    """Return the extra of the missing module in the chain of an error; "" if there is none."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and (found := extra_of(error.name or "")):
            return found
        error = error.__cause__ or error.__context__
    return ""
