"""Commands on queues, exchanges, streams and subscriptions."""

from flowmesh.cli.commands.entries import Command, Entry, Group

_QUEUE: tuple[Entry, ...] = (
    Command("list", "messages.queues:list_queues", "List queues of messages with their depths."),
    Command("show", "messages.queues:show", "Show a queue, its content and its bindings."),
    Command("watch", "messages.queues:watch", "Follow the depths of queues."),
    Command("declare", "messages.queues:declare", "Declare a queue or a stream."),
    Command("delete", "messages.queues:delete", "Delete a queue with its messages."),
    Command("bind", "messages.queues:bind", "Bind a queue to an exchange."),
    Command("unbind", "messages.queues:unbind", "Remove a binding of a queue."),
    Command("publish", "messages.exchanges:publish_to_queue", "Publish a message to a queue."),
    Command("consume", "messages.exchanges:consume", "Receive and acknowledge messages."),
    Command("peek", "messages.queues:peek", "Show messages without locking them."),
    Command("redrive", "messages.queues:redrive", "Move dead letters back to their queues."),
    Command("discard", "messages.queues:discard", "Delete single messages."),
    Command("purge", "messages.queues:purge", "Delete all messages of a queue."),
    Command("seek", "messages.queues:seek", "Move a group of a stream to a position."),
    Command("diagnose", "messages.queues:diagnose", "Explain why messages are not processed."),
    Command("bridge", "messages.bridges:bridge", "Run bridges to other brokers and systems."),
)
_EXCHANGE: tuple[Entry, ...] = (
    Command("list", "messages.exchanges:list_exchanges", "List exchanges with their bindings."),
    Command("declare", "messages.exchanges:declare", "Declare an exchange."),
    Command("delete", "messages.exchanges:delete", "Delete an exchange with its bindings."),
    Command("publish", "messages.exchanges:publish", "Publish a message to an exchange."),
)
_EVENT_GROUP: tuple[Entry, ...] = (
    Command("list", "messages.projections:list_groups", "List groups of consumers of events."),
    Command("put", "messages.projections:put_group", "Create a group, or change its settings."),
    Command("delete", "messages.projections:delete_group", "Delete a group."),
    Command("parked", "messages.projections:parked", "List parked events with their errors."),
    Command("replay", "messages.projections:replay", "Deliver parked events again."),
)
_PROJECTION: tuple[Entry, ...] = (
    Command("list", "messages.projections:list_projections", "List projections with checkpoints."),
    Command("show", "messages.projections:show", "Show a projection and its rebuild."),
    Command("states", "messages.projections:states", "Print states of a projection by key."),
    Command("delete", "messages.projections:delete", "Delete a projection with its states."),
)
_STREAM: tuple[Entry, ...] = (
    Command("list", "messages.streams:list_streams", "List streams of events with their versions."),
    Command("show", "messages.streams:show", "Show a stream, its snapshot and its bounds."),
    Command("read", "messages.streams:read", "Print the events of a stream."),
    Command("append", "messages.streams:append", "Append an event to a stream."),
    Command("tail", "messages.streams:tail", "Print events as they are appended."),
    Command("delete", "messages.streams:delete", "Delete the events of a stream for good."),
    Command("retention", "messages.streams:retention", "Set the bounds of a stream."),
    Group("group", "Manage groups of consumers of events.", _EVENT_GROUP),
    Group("projection", "Show states that are computed from events.", _PROJECTION),
)
_SUBSCRIPTION: tuple[Entry, ...] = (
    Command("list", "messages.subscriptions:list_subscriptions", "List durable subscriptions."),
    Command("show", "messages.subscriptions:show", "Show a subscription and its state."),
    Command("create", "messages.subscriptions:create", "Create or change a subscription."),
    Command("delete", "messages.subscriptions:delete", "Delete a subscription."),
    Command("pause", "messages.subscriptions:pause", "Pause a subscription; events are stored."),
    Command("resume", "messages.subscriptions:resume", "Resume a subscription; close its breaker."),
    Command("rotate", "messages.subscriptions:rotate", "Replace the secret of a subscription."),
    Command("test", "messages.subscriptions:send_test", "Send a test event to a subscription."),
    Command("log", "messages.subscriptions:log", "List the notifications of a subscription."),
    Command("resend", "messages.subscriptions:resend", "Send notifications again."),
)
MESSAGES: tuple[Entry, ...] = (
    Group("queue", "Manage queues of messages, and dead letters.", _QUEUE),
    Group("exchange", "Manage exchanges, which lead messages to queues.", _EXCHANGE),
    Group("stream", "Manage streams of events, their consumers and projections.", _STREAM),
    Group(
        "subscription", "Manage durable subscriptions to events, and alert rules.", _SUBSCRIPTION
    ),
)
