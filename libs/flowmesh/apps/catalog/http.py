"""Module types of HTTP: servers, routers, handlers, proxies, files."""

from flowmesh.apps.catalog.descriptor import (
    Descriptor,
    Need,
    address,
    anything,
    array,
    duration,
    file,
    flag,
    group,
    mapping,
    number,
    size,
    string,
)

_PRIVATE = "false allows public addresses only; by default those of the host are allowed."
_SERVER_LIMITS = (
    duration("readTimeout", "Time for a request to arrive.", default="30s", aliases=("read",)),
    duration("writeTimeout", "Time for an answer to leave.", default="30s"),
    duration("idleTimeout", "Time that an idle connection stays open.", default="120s"),
    duration("shutdownTimeout", "Time for running requests at a stop.", default="25s"),
    size("maxBodyBytes", "Largest body of a request.", default="1MiB"),
    number("maxConnections", "Connections at once.", default=10_000, least=1, most=100_000),
    mapping(
        "tls",
        "Certificate: {cert, key} or {cert_file, key_file}, and enabled.",
        rules={"cert": "read", "key": "read", "cert_file": "read", "key_file": "read"},
    ),
    array("middlewares", "Middlewares of all routes, in this order."),
)
_ROUTES = array("routes", "Routes: {path, method, handler, middlewares, pipeline}.", item="object")
_ON_SERVER = (Need(kind="Server", optional=True),)
_ON_ROUTER = (Need(kind="Router", optional=True),)
_PROXY = (
    mapping(
        "backend_services", "Addresses of the backends by their names.", rules={"*": "address"}
    ),
    mapping("routes", "The backend of each path pattern."),
    string("default_backend", "The backend of all other paths."),
    mapping(
        "composite_routes", "Patterns with {backends, strategy: select, merge, first-success}."
    ),
    mapping(
        "backend_configs",
        "Per backend: path_rewriting, header_rewriting, health_check, …",
        rules={"*.url": "address"},
    ),
    duration("request_timeout", "Time of one request.", default="30s", aliases=("timeout",)),
    flag("cache_enabled", "Keep answers of GET.", default=False),
    duration("cache_ttl", "Time that an answer is kept.", default="60s"),
    string("tenant_id_header", "Header that names the tenant."),
    array("forward_headers", "Headers that are passed on; all if empty."),
    flag("allow_private", _PRIVATE),
)

HTTP = group(
    "http",
    Descriptor(
        type="http.server",
        build="modules.servers:http_server",
        label="HTTP server",
        text="Listens on an address and serves its routers.",
        fields=(
            string(
                "address",
                "Host and port, `:8080` for loopback.",
                default=":8080",
                rules={"": "listen"},
            ),
            *_SERVER_LIMITS,
        ),
        offers=("Server",),
        example={"address": ":8080"},
    ),
    Descriptor(
        type="http.router",
        build="modules.servers:router",
        label="HTTP router",
        text="Leads requests to handlers by path and method.",
        fields=(
            string("prefix", "Path that all routes begin with."),
            _ROUTES,
            array("middlewares", "Middlewares of all routes, in this order."),
        ),
        offers=("Router",),
        needs=_ON_SERVER,
    ),
    Descriptor(
        type="http.handler",
        build="modules.servers:handler",
        label="HTTP handler",
        text="Answers with a fixed or templated body.",
        fields=(
            string("contentType", "Content type of the answer.", default="application/json"),
            number("status", "Status of the answer.", default=200, least=100, most=599),
            anything("body", "Body; a template may read .request and .params."),
            mapping("headers", "Headers of the answer."),
            string("path", "Path that the handler serves without a route."),
            string("method", "Method of this path."),
        ),
        offers=("Handler",),
        needs=_ON_ROUTER,
    ),
    Descriptor(
        type="http.proxy",
        build="modules.proxies:reverse_proxy",
        label="HTTP proxy",
        text="Forwards requests to backends.",
        fields=_PROXY,
        offers=("Handler",),
        needs=_ON_ROUTER,
    ),
    Descriptor(
        type="reverseproxy",
        build="modules.proxies:reverse_proxy",
        label="Reverse proxy",
        text="Forwards requests to backends; also configured by the section `reverseproxy`.",
        fields=_PROXY,
        offers=("Handler",),
        needs=_ON_ROUTER,
    ),
    Descriptor(
        type="http.simple_proxy",
        build="modules.proxies:simple_proxy",
        label="Simple proxy",
        text="Forwards by path prefix; the longest prefix wins.",
        fields=(
            mapping("targets", "Addresses by path prefix.", required=True, rules={"*": "address"}),
            duration("timeout", "Time of one request.", default="30s"),
            flag("allow_private", _PRIVATE),
        ),
        offers=("Handler",),
        needs=_ON_ROUTER,
        example={"targets": {"/api/users": "http://users:8080"}},
    ),
    Descriptor(
        type="httpserver.modular",
        build="modules.servers:modular_server",
        label="HTTP server (modular)",
        text="An HTTP server by the keys of the modular framework.",
        fields=(
            string("host", "Host to listen on.", default="127.0.0.1", rules={"": "listen"}),
            number("port", "Port to listen on.", default=8080, least=0, most=65_535),
            *_SERVER_LIMITS,
        ),
        offers=("Server",),
        example={"host": "127.0.0.1", "port": 8080},
    ),
    Descriptor(
        type="httpclient.modular",
        build="modules.http_client:http_client",
        label="HTTP client (modular)",
        text="The client of `step.http_call` with `client`.",
        fields=(
            duration("request_timeout", "Time of one request.", default="30s"),
            number(
                "max_idle_conns",
                "Connections, idle ones too; 0 for no limit, unless hosted.",
                default=100,
                least=0,
            ),
            number(
                "max_idle_conns_per_host",
                "Connections to a host, idle ones too; 0 for max_idle_conns.",
                default=10,
                least=0,
            ),
            duration("idle_conn_timeout", "Time of an idle connection.", default="90s"),
            duration("tls_timeout", "Time to connect, TLS included.", default="10s"),
            flag("disable_compression", "Ask for plain bodies.", default=False),
            flag("verbose", "Log requests.", default=False),
            mapping("verbose_options", "log_headers, log_body, max_body_log_size."),
            address("baseURL", "Beginning of relative addresses."),
            mapping("headers", "Headers of all requests."),
            mapping("retry", "Retries: attempts, backoff."),
            flag("allowPrivate", _PRIVATE),
        ),
        offers=("HttpClient",),
    ),
    Descriptor(
        type="chimux.router",
        build="modules.servers:router",
        label="Chi router",
        text="A router with patterns such as /users/{id:[0-9]+}.",
        fields=(
            string("basepath", "Path that all routes begin with.", aliases=("prefix",)),
            duration("timeout", "Time of one request.", default="60s"),
            array("allowed_origins", "Origins of pages that may read answers."),
            array("allowed_methods", "Methods that pages may use."),
            array("allowed_headers", "Headers that pages may send."),
            flag("allow_credentials", "Pages may send cookies.", default=False),
            number("max_age", "Seconds that a preflight is kept.", default=300, least=0),
            array("middlewares", "Middlewares of all routes, in this order."),
            _ROUTES,
        ),
        offers=("Router",),
        needs=_ON_SERVER,
    ),
    Descriptor(
        type="static.fileserver",
        build="modules.files:static_files",
        label="Static files",
        text="Serves the files of a folder.",
        fields=(
            file("root", "Folder of the files.", required=True),
            string("prefix", "Path of the folder.", default="/"),
            flag(
                "spaFallback",
                "Answer unknown paths with index.html.",
                default=True,
                aliases=("spa",),
            ),
            number("cacheMaxAge", "Seconds that browsers keep files.", default=3600, least=0),
            string("router", "Router below which the files are served.", refers="Router"),
        ),
        offers=("Handler",),
        needs=(
            Need(kind="Router", key="router", optional=True),
            Need(kind="Server", optional=True),
        ),
        example={"root": "./public"},
    ),
)
