"""Free ports for servers whose port is chosen before they start.

A drawn port is held until the process that drew it ends: a socket that is bound and never listens
lets a server bind with SO_REUSEADDR, as servers do, and makes every other draw pass the port by.
"""

import random
import socket
from contextlib import ExitStack

# Below the ephemeral ports, so that no outgoing connection takes one before its server does.
PORT_FIRST = 20_000
PORT_LAST = 32_000
PORT_TRIES = 100

_held: list[socket.socket] = []


def free_port() -> int:
    """Return a free port. Raises OSError if none is found."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """Return the first of `count` consecutive free ports. Raises OSError if none are found."""
    draw = random.SystemRandom()
    for _ in range(PORT_TRIES):
        first = draw.randrange(PORT_FIRST, PORT_LAST - count)
        with ExitStack() as stack:
            try:
                sockets = [stack.enter_context(_hold(port)) for port in range(first, first + count)]
            except OSError:
                continue
            stack.pop_all()
            _held.extend(sockets)
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


def _hold(port: int) -> socket.socket:
    holder = socket.socket()
    try:
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        raise
    # Only now: with it before, the bind would succeed beside another holder.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return holder
