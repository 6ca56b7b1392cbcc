"""The task `mail.send`."""

import smtplib
import ssl
from email.message import EmailMessage
from typing import Any

from flowmesh.plugins import configuration
from flowmesh.sdk import NonRetryable, TaskContext

TIMEOUT_S = 20.0
PERMANENT = 500


def send(input: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    """Send `subject` and `text`, with `html` beside it, to the addresses `to`.

    Attempts of one task have one Message-ID, so a server that looks for repeated ones finds them.
    """
    settings = configuration()
    message = message_of(input, settings["from"], f"<{context.idempotency_key}@flowmesh>")
    try:
        with connected(settings) as server:
            if settings["user"]:
                server.login(settings["user"], input["password"])
            refused = server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        raise NonRetryable(f"no recipient was accepted: {sorted(error.recipients)}") from None
    except smtplib.SMTPResponseException as error:
        text = f"{error.smtp_code} {error.smtp_error!r}"
        if error.smtp_code >= PERMANENT:
            raise NonRetryable(f"the server refused the message: {text}") from None
        raise RuntimeError(f"the server does not take the message now: {text}") from None
    return {"messageId": message["Message-ID"], "refused": sorted(refused)}


def message_of(input: dict[str, Any], sender: str, message_id: str) -> EmailMessage:
    """Return a message. Raises NonRetryable for a header that would be more than one."""
    found = EmailMessage()
    recipients = input["to"] if isinstance(input["to"], list) else [input["to"]]
    try:
        found["From"], found["To"] = sender, ", ".join(recipients)
        found["Subject"], found["Message-ID"] = input["subject"], message_id
    except ValueError as error:
        raise NonRetryable(f"a header of the message is wrong: {error}") from None
    found.set_content(input["text"])
    if input.get("html"):
        found.add_alternative(input["html"], subtype="html")
    return found


def connected(settings: dict[str, Any]) -> smtplib.SMTP:
    """Return a connection with the security of the configuration."""
    host, port, security = settings["host"], settings["port"], settings["security"]
    if security == "tls":
        tls = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=tls)
    server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    if security == "starttls":
        server.starttls(context=ssl.create_default_context())
    return server


def self_test() -> None:
    """Raise if the server does not answer."""
    with connected(configuration()) as server:
        server.noop()
