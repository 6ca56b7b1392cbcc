"""Conversion of XML responses to JSON values.

`<order id="7"><item>a</item><item>b</item></order>` becomes
`{"order": {"@id": "7", "item": ["a", "b"]}}`: attributes under `@name`, repeated children as a
list, an element with text only as that text (`#text` beside attributes or children), an empty
element as null. Namespaces are dropped from names.
"""

from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from flowmesh.contract.json_value import Json
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.limits import XML_BYTES_MAX, XML_DEPTH_MAX


class _Builder:
    """A parser target with one frame for each open element."""

    def __init__(self) -> None:
        self.root: dict[str, Json] = {}
        self._stack: list[tuple[str, dict[str, Json], list[str]]] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._stack) >= XML_DEPTH_MAX:
            raise _forbidden(f"the XML is nested more than {XML_DEPTH_MAX} levels deep")
        members = {f"@{_local(name)}": value for name, value in attributes.items()}
        self._stack.append((_local(tag), members, []))

    def data(self, text: str) -> None:
        if self._stack:
            self._stack[-1][2].append(text)

    def end(self, _tag: str) -> None:
        name, members, parts = self._stack.pop()
        text = "".join(parts).strip()
        value: Json = members
        if not members:
            value = text or None
        elif text:
            members["#text"] = text
        parent = self._stack[-1][1] if self._stack else self.root
        if name not in parent:
            parent[name] = value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]

    def close(self) -> None:
        """Do nothing; the parser requires the method, and the result is `root`."""


def xml_value(body: bytes) -> dict[str, Json]:
    """Parse a document. Raises a ValidationError for entities, doctypes and excessive sizes."""
    if len(body) > XML_BYTES_MAX:
        raise _forbidden(f"XML answers are limited to {XML_BYTES_MAX} bytes")
    builder = _Builder()
    parser = DefusedXMLParser(target=builder, forbid_dtd=True)
    try:
        parser.feed(body)
        parser.close()
    except DefusedXmlException:
        raise _forbidden("XML with a document type or entities is not accepted") from None
    except (ParseError, ValueError, LookupError):
        raise invalid("the response is declared as XML but cannot be parsed") from None
    return builder.root


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _forbidden(message: str) -> TaskFailure:
    return invalid(message, reason="XML_FORBIDDEN")
