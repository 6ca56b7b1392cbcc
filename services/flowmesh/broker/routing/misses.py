"""Recent routing keys that led to no queue, for the diagnosis of this instance."""

from collections import OrderedDict

KEYS_MAX = 20
EXCHANGES_MAX = 1_000


class Misses:
    """The newest unroutable keys of each exchange."""

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, str], OrderedDict[str, None]] = OrderedDict()

    def add(self, namespace: str, exchange: str, key: str) -> None:
        keys = self._keys.setdefault((namespace, exchange), OrderedDict())
        self._keys.move_to_end((namespace, exchange))
        keys[key] = None
        keys.move_to_end(key)
        if len(keys) > KEYS_MAX:
            keys.popitem(last=False)
        if len(self._keys) > EXCHANGES_MAX:
            self._keys.popitem(last=False)

    def of(self, namespace: str, exchange: str) -> list[str]:
        """Return the keys, the newest first."""
        return list(reversed(self._keys.get((namespace, exchange), {})))
