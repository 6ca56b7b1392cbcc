"""Names the extra that a missing module belongs to, in place of a traceback.

    with needed_by("`flowmesh lint`"):
        ...                             # ExtraMissing: … pip install 'flowmesh[offline]'

The base install is what clients and workers need; docs/install.md says what each extra is for.
"""

from collections.abc import Iterator
from contextlib import contextmanager

# What each extra brings, by the names that are imported.
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
    "server": (
        *("argon2", "cryptography", "jwt", "zxcvbn"),
        *("aiosql", "asyncpg", "grpc_health", "grpc_reflection", "httptools", "nats", "pydantic"),
        *("pydantic_settings", "redis", "swagger_ui", "uvicorn", "uvloop", "websockets"),
    ),
    "dev": ("psutil",),
}


class ExtraMissing(ImportError):
    """Something needs packages of an extra that is not installed; the message says which."""


def extra_of(module: str) -> str:
    """The extra that brings a module; empty for one that none of them brings."""
    top = module.partition(".")[0]
    return next((extra for extra, modules in MODULES.items() if top in modules), "")


@contextmanager
def needed_by(what: str, extra: str = "") -> Iterator[None]:
    """Inside the block, a missing module of an extra raises ExtraMissing.

    The message names `extra` where one is given: the one that brings all that `what` needs.
    """
    try:
        yield
    except ImportError as error:
        found = _extra_missing(error)
        if not found:
            raise
        text = f"{what} needs packages that are not installed"
        raise ExtraMissing(f"{text}: pip install 'flowmesh[{extra or found}]'") from None


def _extra_missing(error: BaseException | None) -> str:
    """The extra of the missing module that an error is about, or was raised from."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and (found := extra_of(error.name or "")):
            return found
        error = error.__cause__ or error.__context__
    return ""
