"""Module types of middlewares, authentication and APIs."""

from flowmesh.apps.catalog.descriptor import (
    Descriptor,
    Need,
    anything,
    array,
    choice,
    duration,
    file,
    flag,
    group,
    mapping,
    number,
    string,
)

_REFERRER_POLICIES = (
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
)
_LEVELS = ("debug", "info", "warn", "error")
_DELEGATING = (
    string("delegate", "Handler of routes without a pipeline.", refers="Handler", soft=True),
    anything("routes", "Routes: {path, method, pipeline}."),
)

MIDDLEWARE = group(
    "middleware",
    Descriptor(
        type="http.middleware.auth",
        build="modules.middlewares:authentication",
        label="Authentication",
        text="Refuses requests without valid credentials.",
        fields=(
            choice("authType", "Scheme.", "Bearer", "Basic", "ApiKey", default="Bearer"),
            string("secretKey", "Accepted key of ApiKey, or Bearer token.", sensitive=True),
            string("provider", "Provider to ask; all if empty.", refers="AuthProvider", soft=True),
            array("roles", "Roles, one of which a caller must have."),
            flag("optional", "Let requests without credentials pass.", default=False),
            string("header", "Header of ApiKey.", default="X-API-Key"),
        ),
        offers=("Middleware",),
    ),
    Descriptor(
        type="http.middleware.cors",
        build="modules.middlewares:cors",
        label="CORS",
        text="Lets web pages of other origins read answers.",
        fields=(
            array("allowedOrigins", "Origins, or `*`.", default=["*"]),
            array(
                "allowedMethods", "Methods.", default=["GET", "POST", "PUT", "DELETE", "OPTIONS"]
            ),
            array("allowedHeaders", "Headers.", default=["Content-Type", "Authorization"]),
            flag("allowCredentials", "Allow cookies.", default=False),
            number("maxAge", "Seconds that a preflight is kept.", default=600, least=0),
        ),
        offers=("Middleware",),
    ),
    Descriptor(
        type="http.middleware.logging",
        build="modules.middlewares:request_log",
        label="Request log",
        text="Logs one line for each request.",
        fields=(choice("logLevel", "Level of the lines.", *_LEVELS, default="info"),),
        offers=("Middleware",),
    ),
    Descriptor(
        type="http.middleware.ratelimit",
        build="modules.middlewares:rate_limit",
        label="Rate limit",
        text="Refuses callers that send too many requests, with 429.",
        fields=(
            number("requestsPerMinute", "Rate of a caller.", default=60, least=0.001),
            number("burstSize", "Requests at once.", default=10, least=1),
            choice("strategy", "Identity of a caller.", "ip", "token", "header", default="ip"),
            string("header", "Header of the strategy `header`."),
            string("store", "Cache that several processes share.", refers="Cache", soft=True),
        ),
        offers=("Middleware",),
    ),
    Descriptor(
        type="http.middleware.requestid",
        build="modules.middlewares:request_id",
        label="Request id",
        text="Gives every request an id, in the answer and in logs.",
        fields=(string("header", "Header of the id.", default="X-Request-ID"),),
        offers=("Middleware",),
    ),
    Descriptor(
        type="http.middleware.securityheaders",
        build="modules.middlewares:security_headers",
        label="Security headers",
        text="Sets the security headers that a handler has not set.",
        fields=(
            string("contentSecurityPolicy", "Content-Security-Policy."),
            choice("frameOptions", "X-Frame-Options.", "DENY", "SAMEORIGIN", default="DENY"),
            string("contentTypeOptions", "X-Content-Type-Options.", default="nosniff"),
            number("hstsMaxAge", "Seconds of HSTS; 0 for none.", default=31_536_000, least=0),
            choice(
                "referrerPolicy",
                "Referrer-Policy.",
                *_REFERRER_POLICIES,
                default="strict-origin-when-cross-origin",
            ),
            string(
                "permissionsPolicy",
                "Permissions-Policy.",
                default="camera=(), microphone=(), geolocation=()",
            ),
        ),
        offers=("Middleware",),
    ),
)

AUTH = group(
    "auth",
    Descriptor(
        type="auth.jwt",
        build="modules.auth:jwt_auth",
        label="JWT authentication",
        text="Users, login and JSON Web Tokens.",
        fields=(
            string("secret", "Signing key, at least 32 bytes.", required=True, sensitive=True),
            duration("tokenExpiry", "Life of a token.", default="24h"),
            string("issuer", "Issuer of tokens.", default="workflow"),
            file("seedFile", "JSON file of first users."),
            choice(
                "responseFormat", "Form of answers.", "standard", "v1", "oauth2", default="standard"
            ),
            choice("algorithm", "Signature.", "HS256", "HS384", "HS512", default="HS256"),
            duration("refreshExpiry", "Life of a refresh token.", default="168h"),
            flag("allowRegistration", "Let callers register.", default=True),
            string(
                "setupToken",
                "Token of `setup`; drawn and logged at the start if empty.",
                sensitive=True,
            ),
        ),
        offers=("AuthProvider", "Handler"),
        needs=(Need(kind="Users", optional=True), Need(kind="Store", optional=True)),
        example={"secret": "${JWT_SECRET}", "tokenExpiry": "24h"},
    ),
    Descriptor(
        type="auth.modular",
        build="modules.modular_auth:modular_auth",
        label="Authentication (modular)",
        text="Tokens, cookie sessions, OAuth2 login and password rules.",
        fields=(
            mapping("jwt", "secret, expiration, refresh_expiration, issuer, algorithm."),
            mapping("session", "store, cookie_name, max_age, secure, http_only, same_site."),
            mapping(
                "oauth2",
                "providers: by name client_id, client_secret, redirect_url, scopes, auth_url, "
                "token_url, user_info_url, trust_email.",
                rules={
                    "providers.*.token_url": "address",
                    "providers.*.user_info_url": "address",
                },
            ),
            mapping(
                "password",
                "algorithm, min_length, require_upper, require_lower, require_digit, "
                "require_special, bcrypt_cost.",
            ),
            string(
                "setupToken",
                "Token of `setup`; drawn and logged at the start if empty.",
                sensitive=True,
            ),
        ),
        offers=("AuthProvider", "Handler"),
        needs=(Need(kind="Users", optional=True), Need(kind="Store", optional=True)),
    ),
    Descriptor(
        type="auth.user-store",
        build="modules.users:user_store",
        label="User store",
        text="Users; with a database they outlive a restart.",
        fields=(string("database", "Database of the users.", refers="Database"),),
        offers=("Users",),
        needs=(Need(kind="Database", key="database", optional=True),),
    ),
)

API = group(
    "api",
    Descriptor(
        type="api.handler",
        build="modules.resources:resource",
        label="REST resource",
        text="A resource with list, get, create, update and delete.",
        fields=(
            string("resourceName", "Name of the resource.", default="resources"),
            string("workflowType", "State machine of the resource."),
            string("workflowEngine", "Engine of this machine.", refers="Machine", soft=True),
            string("initialTransition", "Transition of a new instance."),
            string("instanceIDPrefix", "Beginning of the ids of instances."),
            string("instanceIDField", "Field with the id.", default="id"),
            file("seedFile", "JSON file of first resources."),
            string("sourceResourceName", "Resource whose data this one shows."),
            string("stateFilter", "State that resources must be in; several with commas."),
            mapping("fieldMapping", "Names of the fields with the roles id and state."),
            mapping("transitionMap", "Transitions by the action in the path."),
            array("summaryFields", "Fields of the summary."),
            anything("schema", "JSON Schema of the data."),
            string("broker", "Broker of the events.", refers="Broker", soft=True),
        ),
        offers=("Handler",),
        needs=(Need(kind="Store", optional=True),),
        example={"resourceName": "products"},
    ),
    Descriptor(
        type="api.command",
        build="modules.data_services:delegating",
        label="Commands",
        text="Routes that change state, each with a pipeline.",
        fields=_DELEGATING,
        offers=("Handler",),
        needs=(Need(kind="Router", optional=True),),
    ),
    Descriptor(
        type="api.query",
        build="modules.data_services:delegating",
        label="Queries",
        text="Routes that read state, each with a pipeline.",
        fields=_DELEGATING,
        offers=("Handler",),
        needs=(Need(kind="Router", optional=True),),
    ),
)
