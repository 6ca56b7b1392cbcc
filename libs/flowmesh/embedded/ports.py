"""Free ports for servers whose port is chosen before they start."""

import random
import socket

# Below the ephemeral ports, so that no outgoing connection takes one before its server does.
PORT_FIRST = 20_000
PORT_LAST = 32_000
PORT_TRIES = 100


def free_port() -> int:
    """Return a free port. Raises OSError if none is found."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """Return the first of `count` consecutive free ports. Raises OSError if none are found."""
    draw = random.SystemRandom()
    for _ in range(PORT_TRIES):
        first = draw.randrange(PORT_FIRST, PORT_LAST - count)
        if all(map(is_free, range(first, first + count))):
            return first
    raise OSError(f"no {count} free ports in a row between {PORT_FIRST} and {PORT_LAST}")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
