"""Names of the services that every process addresses."""

from typing import Final

# The service that tells the addresses of the others.
REGISTRY: Final = "registry"
# The service that callers from outside reach.
GATEWAY: Final = "gateway"
# The service that resolves credentials.
IDENTITY: Final = "identity"
