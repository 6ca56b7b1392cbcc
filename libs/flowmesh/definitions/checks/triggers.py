"""Checks of triggers: schedules, filters, secrets, and templates of their inputs."""

import base64
import re
from typing import Final

from flowmesh.contract.json_value import Json
from flowmesh.definitions.builtins import RECEIVE
from flowmesh.definitions.checks.templates import note_invalid
from flowmesh.definitions.limits import ID_CHARACTERS_MAX
from flowmesh.definitions.model import Workflow, every_node
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.receivers import receiver_of
from flowmesh.definitions.schema_checks import check_schema
from flowmesh.definitions.triggers import (
    IDENTIFIER_BYTES_MAX,
    Changes,
    Cron,
    Events,
    Messages,
    Receiver,
    Trigger,
    Webhook,
)
from flowmesh.expressions import (
    ExpressionInvalid,
    RenderError,
    TemplateInvalid,
    compile_condition,
    compile_template,
)
from flowmesh.expressions.secrets import (
    REFERENCE_FORM,
    is_malformed_reference,
    is_secret_reference,
)
from flowmesh.triggers import (
    BATCH_ROOTS,
    CHANGE_ROOTS,
    CRON_ROOTS,
    EVENT_ROOTS,
    QUEUE_ROOTS,
    WEBHOOK_ROOTS,
    Schedule,
    ScheduleInvalid,
    check_zone,
)

_INVALID: Final = "TRIGGER_INVALID"
# Values that every schedule provides.
_SAMPLE: Final = {
    "trigger": {"id": "t", "workflow": "w", "scheduledAt": "2030-01-31T08:00:00.000000Z"}
}
_HEADER: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")


def check_triggers(workflow: Workflow, problems: Problems) -> None:
    """Check the triggers of a workflow and the nodes that wait for calls."""
    ids: set[str] = set()
    hooks: set[str] = set()
    for trigger in workflow.triggers:
        if trigger.id in ids:
            message = f"the id {trigger.id!r} is taken by another trigger"
            problems.add(_INVALID, message, trigger.path)
        ids.add(trigger.id)
        if isinstance(trigger.source, Webhook) and trigger.source.hook in hooks:
            message = f"the URL {trigger.source.hook!r} is taken by another trigger"
            problems.add(_INVALID, message, trigger.path)
        elif isinstance(trigger.source, Webhook):
            hooks.add(trigger.source.hook)
        _check(trigger, problems)
    for node in every_node(workflow.nodes):
        if node.task_ref == RECEIVE:
            path = (*node.path, "input")
            check_receiver(receiver_of(node, problems), path, problems)
        elif node.task is not None and "receiver" in node.task.config:
            check_receiver(Receiver(**node.task.config["receiver"]), node.path, problems)


def _check(trigger: Trigger, problems: Problems) -> None:
    match trigger.source:
        case Cron() as cron:
            _check_cron(cron, trigger, problems)
            roots = CRON_ROOTS
        case Events() as events:
            _check_filter(events.filter, "event", trigger.path, problems)
            roots = EVENT_ROOTS
        case Messages() as messages:
            _check_filter(messages.filter, "message", trigger.path, problems)
            roots = BATCH_ROOTS if messages.batch else QUEUE_ROOTS
        case Changes() as changes:
            _check_changes(changes, trigger.path, problems)
            roots = CHANGE_ROOTS
        case Webhook() as webhook:
            if len(webhook.hook) > ID_CHARACTERS_MAX:
                message = (
                    f"the URL {webhook.hook[:64]!r}… has {len(webhook.hook)} characters; "
                    f"at most {ID_CHARACTERS_MAX} are allowed; give it a shorter path"
                )
                problems.add(_INVALID, message, trigger.path)
            # The receiver of a node is checked with the node.
            if not webhook.signal:
                check_receiver(webhook.receiver, trigger.path, problems)
            roots = WEBHOOK_ROOTS
    if trigger.has_input:
        _check_input(trigger.input, roots, (*trigger.path, "input"), problems)


def _check_cron(cron: Cron, trigger: Trigger, problems: Problems) -> None:
    path, member = trigger.path, trigger.member
    if not cron.expression:
        return
    try:
        check_zone(cron.time_zone)
        schedule = Schedule(cron.expression, cron.time_zone)
    except ScheduleInvalid as error:
        wrong = "timezone" if "time zone" in str(error) else member
        problems.add(_INVALID, str(error), (*path, wrong))
        return
    if schedule.next_after(0) is None:
        message = f"{cron.expression!r} has no next time"
        problems.add(_INVALID, message, (*path, member))


def _check_changes(changes: Changes, path: Path, problems: Problems) -> None:
    _check_filter(changes.filter, "event", path, problems)
    parts = changes.table.split(".")
    if changes.table and (len(parts) > 2 or not all(map(_is_identifier, parts))):
        message = (
            f"{changes.table[:140]!r} is no table: write table or schema.table, each of at most"
            f" {IDENTIFIER_BYTES_MAX} bytes and spelled as in pg_tables"
        )
        problems.add(_INVALID, message, (*path, "table"))
    if changes.publication and not _is_identifier(changes.publication):
        message = (
            f"{changes.publication[:70]!r} is no name of a publication; it has at most"
            f" {IDENTIFIER_BYTES_MAX} bytes, all printable"
        )
        problems.add(_INVALID, message, (*path, "publication"))


def _is_identifier(name: str) -> bool:
    # Not printable are lone surrogates too, which have no bytes.
    return name.isprintable() and 0 < len(name.encode()) <= IDENTIFIER_BYTES_MAX


def _check_filter(text: str, root: str, path: Path, problems: Problems) -> None:
    if not text:
        return
    try:
        compile_condition(text, dialect="cel", roots=(root,))
    except ExpressionInvalid as error:
        problems.add(error.reason, error.message, (*path, "filter"))


def check_receiver(receiver: Receiver, path: Path, problems: Problems) -> None:
    check_schema(receiver.payload_schema, (*path, "payloadSchema"), problems)
    if is_malformed_reference(receiver.secret):
        problems.add(_INVALID, REFERENCE_FORM, (*path, "secret"))
    elif receiver.provider == "standard" and receiver.secret and not _signs(receiver.secret):
        message = "the secret of Standard Webhooks is base64 with the prefix whsec_"
        problems.add(_INVALID, message, (*path, "secret"))
    if receiver.signature_header and not _HEADER.match(receiver.signature_header):
        message = f"{receiver.signature_header[:64]!r} is no name of a header"
        problems.add(_INVALID, message, (*path, "signatureHeader"))


def _signs(secret: str) -> bool:
    if is_secret_reference(secret):
        return True
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return len(key) > 0


def _check_input(value: Json, roots: frozenset[str], path: Path, problems: Problems) -> None:
    try:
        template = compile_template(value, roots)
        if roots == CRON_ROOTS:
            template.render(_SAMPLE)
    except TemplateInvalid as error:
        note_invalid(error, path, problems)
    except RenderError as error:
        problems.add("TEMPLATE_UNKNOWN_REFERENCE", str(error), path)
