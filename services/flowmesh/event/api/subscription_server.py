"""SubscriptionService over gRPC: messages to arguments and back."""

import uuid
from collections.abc import Callable
from typing import Any, Final

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.api.event.v1 import subscription_service_pb2_grpc as rpc
from flowmesh.errors import NotFound, WrongState
from flowmesh.event.notifications import limits
from flowmesh.event.notifications.checks import (
    check_instant,
    check_overlap,
    check_resent,
    checked_subscription,
)
from flowmesh.event.notifications.compiled import Row, cloud_event
from flowmesh.event.notifications.sealing import SigningSecrets
from flowmesh.event.notifications.sending import NotificationSender, new_secret
from flowmesh.event.notifications.starts import Starts
from flowmesh.event.notifications.store import Due, NotificationStore
from flowmesh.event.store import ORDINAL_MAX
from flowmesh.jsontext import dump_json
from flowmesh.rpc import (
    check_enum_values,
    last_of_token,
    list_key,
    namespace_of,
    page_token,
    valid_id,
)
from flowmesh.runtime import Clock
from flowmesh.standards.events import OWN_TYPES
from flowmesh.views import instant

TEST_TYPE: Final = f"{OWN_TYPES}subscription.test"
_STATUS: Final = {
    "pending": pb.NOTIFICATION_STATUS_PENDING,
    "delivered": pb.NOTIFICATION_STATUS_DELIVERED,
    "dead": pb.NOTIFICATION_STATUS_DEAD,
    "counted": pb.NOTIFICATION_STATUS_COUNTED,
}
_WORDS: Final = {status: word for word, status in _STATUS.items()}


class SubscriptionServer(rpc.SubscriptionServiceServicer):
    """Turns messages into changes and lists of subscriptions and notifications."""

    def __init__(
        self,
        *,
        store: NotificationStore,
        starts: Starts,
        sender: NotificationSender,
        signing: SigningSecrets,
        on_change: Callable[[], None],
        on_notifications: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._starts = starts
        self._sender = sender
        self._signing = signing
        self._on_change = on_change
        self._on_notifications = on_notifications
        self._clock = clock

    async def PutSubscription(
        self, request: pb.PutSubscriptionRequest, context: Any
    ) -> pb.PutSubscriptionResponse:
        namespace = namespace_of(request)
        config = checked_subscription(request.subscription)
        signed = config.HasField("webhook") and not config.webhook.secret_ref
        secret = new_secret() if signed else ""
        sealed = self._signing.sealed(namespace, config.subscription, secret)
        row, created = await self._store.put(
            namespace,
            config,
            new_id=f"sub_{uuid.uuid4().hex}",
            secret=sealed,
            signed=signed,
            start=await self._starts.of(request),
        )
        if row is None:
            text = f"the namespace has {limits.SUBSCRIPTIONS_MAX} subscriptions already"
            raise WrongState("SUBSCRIPTIONS_FULL", text)
        self._on_change()
        return pb.PutSubscriptionResponse(
            state=state_of(await self._row(request, config.subscription)),
            created=created,
            secret=secret if row["secret"] == sealed else "",
        )

    async def GetSubscription(
        self, request: pb.GetSubscriptionRequest, context: Any
    ) -> pb.GetSubscriptionResponse:
        row = await self._row(request, request.subscription)
        return pb.GetSubscriptionResponse(state=state_of(row))

    async def ListSubscriptions(
        self, request: pb.ListSubscriptionsRequest, context: Any
    ) -> pb.ListSubscriptionsResponse:
        rows = await self._store.states(namespace_of(request))
        return pb.ListSubscriptionsResponse(subscriptions=map(state_of, rows))

    async def DeleteSubscription(
        self, request: pb.DeleteSubscriptionRequest, context: Any
    ) -> pb.DeleteSubscriptionResponse:
        name = valid_id(request.subscription, "subscription")
        if not await self._store.delete(namespace_of(request), name):
            raise _missing(name)
        self._on_change()
        return pb.DeleteSubscriptionResponse()

    async def PauseSubscription(
        self, request: pb.PauseSubscriptionRequest, context: Any
    ) -> pb.PauseSubscriptionResponse:
        return pb.PauseSubscriptionResponse(state=await self._set_paused(request, paused=True))

    async def ResumeSubscription(
        self, request: pb.ResumeSubscriptionRequest, context: Any
    ) -> pb.ResumeSubscriptionResponse:
        row = await self._row(request, request.subscription)
        await self._store.close_breaker(row["id"])
        state = await self._set_paused(request, paused=False)
        self._on_notifications()
        return pb.ResumeSubscriptionResponse(state=state)

    async def RotateSubscriptionSecret(
        self, request: pb.RotateSubscriptionSecretRequest, context: Any
    ) -> pb.RotateSubscriptionSecretResponse:
        overlap_ms = request.overlap_ms or limits.OVERLAP_DEFAULT_MS
        check_overlap(overlap_ms)
        row = await self._row(request, request.subscription)
        secret = new_secret()
        rotated = await self._store.rotate(
            row["namespace"],
            row["name"],
            secret=self._signing.sealed(row["namespace"], row["name"], secret),
            until_us=self._clock.now_us() + overlap_ms * 1_000,
        )
        if rotated is None:
            text = f"the service holds no secret of subscription {row['name']!r}"
            raise WrongState("SUBSCRIPTION_UNSIGNED", text)
        return pb.RotateSubscriptionSecretResponse(
            secret=secret, previous_until_us=rotated["previous_until_us"]
        )

    async def TestSubscription(
        self, request: pb.TestSubscriptionRequest, context: Any
    ) -> pb.TestSubscriptionResponse:
        row = await self._row(request, request.subscription)
        began_ms = self._clock.monotonic_ms()
        outcome = await self._sender.attempt(self._test(row))
        return pb.TestSubscriptionResponse(
            delivered=outcome.status == "delivered",
            http_status=outcome.http_status,
            error=outcome.error,
            duration_ms=round(self._clock.monotonic_ms() - began_ms),
        )

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Any
    ) -> pb.ListNotificationsResponse:
        check_enum_values([request.status], pb.NotificationStatus, "status")
        size = min(request.page_size or limits.PAGE_DEFAULT, limits.PAGE_MAX)
        name = list_key(request)
        last = last_of_token(request.page_token, name)
        row = await self._row(request, request.subscription)
        rows = await self._store.notifications(
            row["id"],
            status=_WORDS.get(request.status, ""),
            before=int(last or ORDINAL_MAX),
            page_size=size + 1,
        )
        page = rows[:size]
        token = page_token(name, str(page[-1]["ordinal"])) if len(rows) > size else ""
        return pb.ListNotificationsResponse(
            notifications=map(notification_of, page), next_page_token=token
        )

    async def ResendNotifications(
        self, request: pb.ResendNotificationsRequest, context: Any
    ) -> pb.ResendNotificationsResponse:
        check_resent(request.notification_ids)
        check_instant("since_us", request.since_us)
        row = await self._row(request, request.subscription)
        count = await self._store.resend(
            row["id"], list(request.notification_ids), request.since_us
        )
        self._on_notifications()
        return pb.ResendNotificationsResponse(count=count)

    async def _row(self, request: Any, given: str) -> Row:
        name = valid_id(given, "subscription")
        rows = await self._store.states(namespace_of(request), name)
        if not rows:
            raise _missing(name)
        return rows[0]

    async def _set_paused(self, request: Any, *, paused: bool) -> pb.SubscriptionState:
        name = valid_id(request.subscription, "subscription")
        if await self._store.set_paused(namespace_of(request), name, paused=paused) is None:
            raise _missing(name)
        return state_of(await self._row(request, name))

    def _test(self, row: Row) -> Due:
        event = {
            "id": uuid.uuid4().hex,
            "source": f"/flowmesh/{row['namespace']}/subscriptions/{row['name']}",
            "type": TEST_TYPE,
            "subject": row["name"],
            "time": instant(self._clock.now_us()),
            "data": {"test": True},
        }
        return Due(
            ordinal=0,
            id=f"ntf_{event['id']}",
            subscription=row["id"],
            type=TEST_TYPE,
            event=dump_json(cloud_event(event)),
            attempts=0,
            namespace=row["namespace"],
            name=row["name"],
            body=row["body"],
            secret=row["secret"],
            previous_secret=row["previous_secret"],
            concurrency=1,
        )


def state_of(row: Row) -> pb.SubscriptionState:
    """Return a subscription with its progress, without its secrets."""
    status = pb.SUBSCRIPTION_STATUS_ACTIVE
    if row["disabled"]:
        status = pb.SUBSCRIPTION_STATUS_DISABLED
    elif row["paused"]:
        status = pb.SUBSCRIPTION_STATUS_PAUSED
    elif row["failures"] >= row["breaker_failures"]:
        status = pb.SUBSCRIPTION_STATUS_OPEN
    return pb.SubscriptionState(
        subscription=pb.Subscription.FromString(row["body"]),
        status=status,
        created_at_us=row["created_us"],
        pending=row["pending"],
        delivered=row["delivered"],
        dead=row["dead"],
        dropped=row["dropped"],
        failures=row["failures"],
        failing_since_us=row["failing_since_us"],
        open_until_us=row["open_until_us"] if row["open"] else 0,
        last_error=row["disabled"] or row["last_error"],
        previous_secret_until_us=row["previous_until_us"] if row["previous_secret"] else 0,
        cursor=row["cursor"],
    )


def notification_of(row: Row) -> pb.Notification:
    pending = row["status"] == "pending"
    return pb.Notification(
        notification_id=row["id"],
        event_id=row["event_id"],
        type=row["type"],
        status=_STATUS[row["status"]],
        attempts=row["attempts"],
        http_status=row["http_status"],
        last_error=row["last_error"],
        created_at_us=row["created_us"],
        last_attempt_at_us=row["last_attempt_us"],
        next_attempt_at_us=row["next_attempt_us"] if pending else 0,
    )


def _missing(name: str) -> NotFound:
    return NotFound("SUBSCRIPTION_NOT_FOUND", f"there is no subscription {name!r}")
