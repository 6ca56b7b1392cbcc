"""Bodies of requests as data: JSON, forms, and multipart fields."""

from urllib.parse import parse_qsl

from flowmesh.apps.http.messages import Request
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.contract.json_value import Json

FORM_FIELDS_MAX = 1_000
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


def body_of(request: Request) -> Json:
    """Return the body as data: JSON, a form, or multipart fields. Raises HttpProblem."""
    media = request.header(b"content-type").partition(";")[0].strip().lower()
    # `curl -d` sends JSON under the type of forms, and no form begins with a brace.
    if media == _FORM and request.body[:1] not in (b"{", b"["):
        try:
            text = request.body.decode("utf-8")
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX))
        except (UnicodeDecodeError, ValueError):
            raise HttpProblem(400, "FORM_INVALID", "the form cannot be read") from None
    if media == _MULTIPART:
        return _multipart(request)
    value = request.json()
    return {} if value is None else value


def _multipart(request: Request) -> Json:
    from email.parser import BytesParser
    from email.policy import HTTP

    head = b"content-type: " + request.header(b"content-type").encode("latin-1") + b"\r\n\r\n"
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    if not message.is_multipart():
        raise HttpProblem(400, "FORM_INVALID", "the multipart body has no parts")
    found: dict[str, Json] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        if name and part.get_filename():
            found[str(name)] = {
                "filename": part.get_filename(),
                "content_type": part.get_content_type(),
                "size": len(content),
                "text": content.decode("utf-8", "replace"),
            }
        elif name:
            found[str(name)] = content.decode("utf-8", "replace")
    return found
