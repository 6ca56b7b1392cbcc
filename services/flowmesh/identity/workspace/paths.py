"""Rules of file paths: relative, normalized, and valid on every common file system."""

import hashlib
import unicodedata

from flowmesh.errors import Invalid, Violation
from flowmesh.identity.limits import FILE_NAME_BYTES_MAX, FILE_PATH_BYTES_MAX

# Above every path in the order of UTF-8 bytes, and in none.
_LAST = "\U0010ffff"
# Control, format (bidirectional and invisible), surrogate, private and unassigned characters, and
# the separators of lines and paragraphs.
_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_REPLACEMENT = "\ufffd"
_RESERVED = frozenset('\\:*?"<>|')
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"}
    | {f"{name}{digit}" for name in ("com", "lpt") for digit in "123456789"}
)


def check_path(path: str) -> None:
    """Raise FILE_PATH_INVALID for a path that breaks a rule."""
    problem = _problem(path)
    if problem:
        text = f"the path {path[:100]!r} {problem}"
        raise Invalid(
            "FILE_PATH_INVALID", text, violations=(Violation("path", text, "FILE_PATH_INVALID"),)
        )


def twin_of(path: str) -> bytes:
    """Return a digest that paths share if they differ only in case or compatibility forms."""
    alike = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
    return hashlib.sha256(alike.encode()).digest()


def end_of(prefix: str) -> str:
    """Return a text above every path with the prefix."""
    return prefix + _LAST


def _problem(path: str) -> str:
    size = len(path.encode(errors="surrogatepass"))
    if not 1 <= size <= FILE_PATH_BYTES_MAX:
        return f"has {size:,} bytes; expected 1 to {FILE_PATH_BYTES_MAX:,}"
    if path.startswith("/"):
        return "is absolute; expected one like reports/2026.csv"
    for character in path:
        if unicodedata.category(character) in _CATEGORIES or character == _REPLACEMENT:
            return f"holds the control, invisible or unassigned character U+{ord(character):04X}"
        if character in _RESERVED:
            return f"holds `{character}`; none of {' '.join(sorted(_RESERVED))} may occur"
    if unicodedata.normalize("NFC", path) != path:
        return "is not in Unicode normalization form C"
    return next((found for name in path.split("/") if (found := _name_problem(name))), "")


def _name_problem(name: str) -> str:
    if name in ("", ".", ".."):
        return "has an empty segment, `.` or `..`"
    if len(name.encode()) > FILE_NAME_BYTES_MAX:
        return f"has a segment of more than {FILE_NAME_BYTES_MAX} bytes"
    if name != name.strip() or name.endswith("."):
        return "has a segment that begins or ends with a space, or ends with a dot"
    if name.partition(".")[0].rstrip().casefold() in _DEVICES:
        return f"has the reserved name `{name}`"
    return ""
