"""Server-sent events of a response that was read whole."""

EVENT_STREAM = "text/event-stream"
_DATA = "data:"


def data_of_events(body: bytes) -> list[str]:
    """Return the data of each event; an event without its blank line is cut, and left out.

    Raises UnicodeDecodeError.
    """
    text = body.decode().replace("\r\n", "\n").replace("\r", "\n")
    *events, _ = text.split("\n\n")
    return [data for each in events if (data := _data_of(each))]


def _data_of(event: str) -> str:
    lines = (line for line in event.split("\n") if line.startswith(_DATA))
    return "\n".join(line.removeprefix(_DATA).removeprefix(" ") for line in lines)
