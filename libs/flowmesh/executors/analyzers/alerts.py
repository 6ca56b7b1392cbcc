"""Classification of alerts: a class by its words, a severity by words and numbers."""

from flowmesh.contract.json_value import Json

_CLASSES = {
    "security": "unauthorized forbidden breach intrusion attack malware phishing brute-force login "
    "password leaked vulnerability exploit certificate suspicious privilege",
    "database": "postgres postgresql mysql database sql replication deadlock query transaction "
    "connection-pool vacuum wal replica index table",
    "network": "network timeout unreachable dns packet latency connection refused reset tls route "
    "firewall bandwidth vpn",
    "storage": "disk filesystem inode volume storage space quota backup raid s3 bucket",
    "compute": "cpu memory oom oomkilled load throttled pod node container restart crashloop "
    "crashloopbackoff kubernetes swap",
    "application": "exception error traceback 500 502 503 request endpoint queue job worker "
    "deployment release stack",
    "business": "payment order checkout refund invoice conversion revenue customer cart",
}
_SEVERITIES = {
    "critical": "critical fatal emergency down outage panic lost corruption breach unreachable "
    "exhausted oomkilled full",
    "high": "error failed failing failure exceeded refused crash crashloop crashloopbackoff high "
    "unauthorized deadlock",
    "medium": "warning warn degraded slow elevated retry retrying approaching delayed latency",
    "low": "info information notice resolved recovered ok completed started",
}
_WORDS = {name: frozenset(text.split()) for name, text in _CLASSES.items()}
_LEVELS = {name: frozenset(text.split()) for name, text in _SEVERITIES.items()}
_RESOLVED = frozenset({"resolved", "recovered"})
# A share in percent from which an alert about a resource is critical, or high.
CRITICAL_PERCENT, HIGH_PERCENT = 98.0, 90.0


def classify(message: str) -> dict[str, Json]:
    """Return class, severity, confidence from 0 to 1, and the words that decided."""
    words = [word.strip(".,;:!?\"'()[]{}<>=").lower() for word in message.split()]
    parts = set(words) | {part for word in words for part in word.replace("_", "-").split("-")}
    scores = {name: sorted(known & parts) for name, known in _WORDS.items()}
    best = max(scores, key=lambda name: len(scores[name]))
    total = sum(map(len, scores.values()))
    severity, why = _severity(words, parts)
    return {
        "class": best if total else "other",
        "severity": severity,
        "confidence": round(len(scores[best]) / total, 2) if total else 0.0,
        "evidence": [*scores[best], *why],
    }


def _severity(words: list[str], parts: set[str]) -> tuple[str, list[str]]:
    if found := sorted(_RESOLVED & parts):
        return "low", found
    percents = [each for word in words if (each := _percent(word)) is not None]
    if percents and max(percents) >= HIGH_PERCENT:
        level = "critical" if max(percents) >= CRITICAL_PERCENT else "high"
        return level, [f"{max(percents):g}%"]
    for level, known in _LEVELS.items():
        if found := sorted(known & parts):
            return level, found
    return "medium", []


def _percent(word: str) -> float | None:
    number = word.removesuffix("%")
    return float(number) if word.endswith("%") and number.replace(".", "", 1).isdecimal() else None
