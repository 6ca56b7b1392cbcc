"""The glossary explains the nouns of the contracts, and no word that they do not use."""

import re

from tests.tidy import sources

TERM = re.compile(r"^\| \*\*([a-z ]+)\*\* \| (.*) \| [^|]*\|$", re.MULTILINE)
NOUN = re.compile(r"^(?:message|service|enum) ([A-Z]\w+) ", re.MULTILINE)
WORD = re.compile(r"[A-Z][a-z]+")
PROTOS = [e for e in sources.tracked() if e.startswith("protos/") and e.endswith(".proto")]

# Parts of names that are plain English, not terms.
_ORDINARY = """
    Action Analysis Answer Api Appended Applied Ask Attach Attached Auth Backlog Batch Begun Broken
    Browsed Cache Call Cancel Canceled Catalog Compatibility Completed Conflict Consume Continued
    Control Copy Count Counters Cron Deadline Debounced Decided Delivered Depth Dialect Difference
    Dispatched Draft Ended Erased Escalated Exception Expiry Exported Extension Failed Finding
    Fired Flow
    Follow Grant Graph Grpc Health Held Hello Hour Http Import Input Joined Kept Keyed Kind Latency
    Lifecycle Login Lost Match Metered Misfit Mode Module Move Moved Need On Operation Origin
    Outcome Path Paused
    Pending Phase Progress Provider
    Public Publish Reached Received Record Recorded Records Ref Refused Report Requested
    Resource Resumed Retrying Reused Row Rule Scheduled Scope Service Settings Settle Skipped
    Started Stats Status Steered Suspended Tcp Terminated Turned Type Up Use Value Wait Waiting
    Watch Work Info New Rebuild Stored Remote Sample Summary Unit Exported Moved
"""
ORDINARY = set(_ORDINARY.split())


def terms() -> dict[str, str]:
    """Return the words of the glossary with their meanings."""
    return dict(TERM.findall(sources.text("docs/glossary.md")))


def test_every_noun_of_the_contracts_is_explained() -> None:
    """Words in the names of messages, services and enums are terms or ordinary words."""
    known = {word for term in terms() for word in term.split()} | {w.lower() for w in ORDINARY}
    names = {name for file in PROTOS for name in NOUN.findall(sources.text(file))}
    names = {name for name in names if not name.endswith(("Request", "Response"))}
    assert len(names) > 100
    strange = sorted(
        f"{name}: {word}"
        for name in names
        for word in map(str.lower, WORD.findall(name))
        if not {word, word.removesuffix("s"), re.sub("ies$", "y", word)} & known
    )
    assert not strange, sources.lines(strange)
    words = {word for name in names for word in WORD.findall(name)}
    assert not sorted(ORDINARY - words), "ordinary words that no name has"


def test_every_term_is_used_by_the_contracts() -> None:
    """A term stands in a name or a comment of `protos/`."""
    text = " ".join(sources.text(name) for name in PROTOS)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\s/]+", " ", text).lower()
    unused = [term for term in terms() if not re.search(rf"\b{term}", spaced)]
    assert not unused, sources.lines(unused)


def test_terms_are_in_order() -> None:
    """Readers find a word by its place."""
    assert list(terms()) == sorted(terms())
