-- name: add-subscription(namespace, name, id, body, secret, concurrency, breaker_failures, most, call)^
-- Null if the name is taken or the namespace is full.
insert into subscriptions (namespace, name, id, body, secret, concurrency, breaker_failures)
select :namespace::text, :name::text, :id::text, :body::bytea, :secret::text, :concurrency::int,
    :breaker_failures::int
where set_config('flowmesh.call', :call, true) is not null
    and (select count(*) from subscriptions where namespace = :namespace::text) < :most::int
on conflict (namespace, name) do nothing
returning *;

-- name: add-subscription-state(id, cursor, from_us, backfill_us)!
insert into subscription_states (id, cursor, from_us, backfill_us)
values (:id, :cursor, :from_us, :backfill_us);

-- name: change-subscription(namespace, name, body, secret, signed, concurrency, breaker_failures, call)^
-- The secret is kept if there is one and the sink still needs it.
update subscriptions
set body = :body, concurrency = :concurrency, breaker_failures = :breaker_failures,
    secret = case when not :signed::bool then '' else coalesce(nullif(secret, ''), :secret) end,
    previous_secret = case when :signed::bool then previous_secret else '' end
where namespace = :namespace and name = :name
    and set_config('flowmesh.call', :call, true) is not null
returning *;

-- name: delete-subscription(namespace, name, call)$
delete from subscriptions
where namespace = :namespace and name = :name
    and set_config('flowmesh.call', :call, true) is not null
returning true;

-- name: set-subscription-paused(namespace, name, paused, call)^
update subscriptions set paused = :paused
where namespace = :namespace and name = :name
    and set_config('flowmesh.call', :call, true) is not null
returning *;

-- name: rotate-secret(namespace, name, secret, until_us, call)^
update subscriptions
set previous_secret = secret, previous_until_us = :until_us, secret = :secret
where namespace = :namespace and name = :name and secret <> ''
    and set_config('flowmesh.call', :call, true) is not null
returning *;

-- name: plain-secrets(prefix)
-- Locks subscriptions with a secret without the prefix of sealed ones.
select namespace, name, secret, previous_secret from subscriptions
where (secret <> '' and not starts_with(secret, :prefix))
    or (previous_secret <> '' and not starts_with(previous_secret, :prefix))
order by namespace, name
for update;

-- name: replace-secrets(namespace, name, secret, previous, call)!
update subscriptions set secret = :secret, previous_secret = :previous
where namespace = :namespace and name = :name
    and set_config('flowmesh.call', :call, true) is not null;

-- name: close-breaker(id)!
-- Forgets the failures of a sink, and attempts its notifications now.
with closed as (
    update subscription_states
    set failures = 0, failing_since = null, open_until = 'epoch', disabled = ''
    where id = :id
)
update notifications set next_attempt_at = now()
where subscription = :id and status = 'pending' and attempts > 0;

-- name: subscription-states(namespace, name)
-- All of a namespace, or one, with their progress.
select s.*, t.cursor, t.failures, t.disabled, t.delivered, t.dead, t.dropped, t.last_error,
    coalesce((extract(epoch from t.failing_since) * 1000000)::bigint, 0) as failing_since_us,
    (extract(epoch from t.open_until) * 1000000)::bigint as open_until_us,
    t.open_until > now() as open,
    (
        select count(*) from notifications as n
        where n.subscription = s.id and n.status = 'pending'
    ) as pending
from subscriptions as s join subscription_states as t using (id)
where s.namespace = :namespace and (:name::text = '' or s.name = :name::text)
order by s.name;

-- name: subscriptions-of(namespace)
-- Those that published events may match.
select id, namespace, name, body from subscriptions where namespace = :namespace order by id;

-- name: claim-feeds(feeder, lease_ms)
-- Renews the leases of a process, and takes over expired ones.
with claimed as (
    update subscription_states
    set feeder = :feeder, feeder_until = now() + make_interval(secs => :lease_ms::float / 1000)
    where feeder = :feeder or feeder_until < now()
    returning id, cursor, from_us, backfill_us
)
select claimed.*, namespace, name, body, created_us
from claimed join subscriptions using (id)
order by id;

-- name: release-feeds(feeder)!
update subscription_states set feeder = '', feeder_until = '-infinity' where feeder = :feeder;

-- name: feed(id, feeder, cursor, ids, event_ids, types, events, statuses)$
-- Stores notifications and the position after their events in one statement. False if another
-- process has taken over. An existing notification is unchanged.
-- seals events of namespaces at notification of {id}
with moved as (
    update subscription_states set cursor = :cursor
    where id = :id and feeder = :feeder
    returning 1
), added as (
    insert into notifications (id, subscription, event_id, type, event, status)
    select new.id, :id, new.event_id, new.type, new.event, new.status
    from unnest(
        :ids::text[], :event_ids::text[], :types::text[], :events::bytea[], :statuses::text[]
    ) as new (id, event_id, type, event, status)
    where exists (select 1 from moved)
    on conflict do nothing
)
select exists (select 1 from moved);

-- name: end-backfill(id, backfill_us)!
update subscription_states set backfill_us = :backfill_us where id = :id;

-- name: note-problem(id, last_error)!
update subscription_states set last_error = :last_error
where id = :id and last_error <> :last_error;

-- name: is-full(id, most)$
select count(*) >= :most from (
    select 1 from notifications where subscription = :id and status = 'pending' limit :most
) as pending;

-- name: add-notifications(subscriptions, ids, event_ids, types, events, statuses, most)!
-- Those of published events; a subscription with `most` pending notifications drops and counts
-- them.
-- seals events of namespaces at notification of {subscriptions}
with new as (
    select * from unnest(
        :subscriptions::text[], :ids::text[], :event_ids::text[], :types::text[],
        :events::bytea[], :statuses::text[]
    ) as new (subscription, id, event_id, type, event, status)
), full_ones as (
    select subscription from (select distinct subscription from new) as concerned
    where (
        select count(*) from (
            select 1 from notifications as n
            where n.subscription = concerned.subscription and n.status = 'pending'
            limit :most
        ) as pending
    ) >= :most
), dropped as (
    update subscription_states as t set dropped = t.dropped + 1
    from full_ones where t.id = full_ones.subscription
)
insert into notifications (subscription, id, event_id, type, event, status)
select new.* from new join subscriptions on subscriptions.id = new.subscription
where new.subscription not in (select subscription from full_ones)
order by new.id
on conflict do nothing;

-- name: lock-alert(id)^
select alerted_until_us, raised, (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us
from subscription_states where id = :id
for update;

-- name: counted(id, window_ms)^
-- The matching events of the window: their number, and the newest ten.
-- opens events at notification of {id}
with hits as (
    select ordinal, event from notifications
    where subscription = :id and status = 'counted'
        and created_at > now() - make_interval(secs => :window_ms::float / 1000)
)
select (select count(*) from hits) as count, array(
    select event from hits order by ordinal desc limit 10
) as events;

-- name: set-alert(id, alerted_until_us, raised)!
update subscription_states set alerted_until_us = :alerted_until_us, raised = :raised
where id = :id;

-- name: claim-notifications(busy, free, lease_ms)
-- Due notifications of sinks that accept them: several of a healthy sink, one of a sink whose
-- breaker was open. They are due again after the lease.
-- opens event at notification of {subscription}
with due as (
    select n.ordinal, n.next_attempt_at,
        case when t.failures >= s.breaker_failures then 1 else s.concurrency end as most,
        row_number() over (
            partition by s.id order by n.next_attempt_at, n.ordinal
        ) as nth
    from subscriptions as s
    join subscription_states as t using (id)
    cross join lateral (
        select ordinal, next_attempt_at from notifications
        where subscription = s.id and status = 'pending' and next_attempt_at <= now()
        order by next_attempt_at, ordinal
        limit 32
    ) as n
    where not s.paused and t.disabled = '' and t.open_until <= now()
        and s.id <> all(:busy::text[])
), claimed as (
    select ordinal from notifications
    where ordinal in (select ordinal from due where nth <= most)
        and status = 'pending' and next_attempt_at <= now()
    order by next_attempt_at, ordinal
    limit :free
    for update skip locked
), taken as (
    update notifications
    set next_attempt_at = now() + make_interval(secs => :lease_ms::float / 1000)
    from claimed
    where notifications.ordinal = claimed.ordinal
    returning notifications.ordinal, notifications.id, subscription, type, event, attempts
), probing as (
    update subscription_states as t
    set open_until = now() + make_interval(secs => :lease_ms::float / 1000)
    from subscriptions as s
    where s.id = t.id and t.failures >= s.breaker_failures
        and t.id in (select subscription from taken)
)
select taken.*, s.namespace, s.name, s.body, s.secret, s.concurrency,
    case when s.previous_until_us > (extract(epoch from clock_timestamp()) * 1000000)::bigint
        then s.previous_secret else '' end as previous_secret
from taken join subscriptions as s on s.id = taken.subscription
order by taken.ordinal;

-- name: next-notification(busy)$
-- Milliseconds until the next attempt; null if none is pending.
select ceil(
    extract(epoch from min(greatest(n.next_attempt_at, t.open_until)) - now()) * 1000
)::bigint
from subscriptions as s
join subscription_states as t using (id)
cross join lateral (
    select next_attempt_at from notifications
    where subscription = s.id and status = 'pending'
    order by next_attempt_at, ordinal
    limit 1
) as n
where not s.paused and t.disabled = '' and s.id <> all(:busy::text[]);

-- name: end-notification(ordinal, subscription, status, http_status, last_error)!
-- Delivered or dead. A delivery closes the breaker.
with ended as (
    update notifications
    set status = :status, attempts = attempts + 1, http_status = :http_status,
        last_error = :last_error, last_attempt_at = now()
    where ordinal = :ordinal
)
update subscription_states
set delivered = delivered + (:status::text = 'delivered')::int,
    dead = dead + (:status::text = 'dead')::int,
    failures = case when :status::text = 'delivered' then 0 else failures end,
    failing_since = case when :status::text = 'delivered' then null else failing_since end,
    open_until = case when :status::text = 'delivered' then 'epoch' else open_until end
where id = :subscription;

-- name: postpone-notification(ordinal, attempts, http_status, last_error, delay_ms)!
update notifications
set attempts = :attempts, http_status = :http_status, last_error = :last_error,
    last_attempt_at = now(),
    next_attempt_at = now() + make_interval(secs => :delay_ms::float / 1000)
where ordinal = :ordinal and status = 'pending';

-- name: give-back-notification(ordinal)!
update notifications set next_attempt_at = now() where ordinal = :ordinal and status = 'pending';

-- name: note-failure(id, last_error, gone, breaker_failures, open_ms, open_max_ms, disable_ms)!
-- Counts a failed attempt; opens the breaker, and disables the sink after a long time of failures.
update subscription_states
set failures = failures + 1, failing_since = coalesce(failing_since, now()),
    last_error = :last_error,
    open_until = case
        when failures + 1 < :breaker_failures then open_until
        else now() + make_interval(secs => least(
            :open_ms::float * power(2, least(failures + 1 - :breaker_failures, 20)),
            greatest(:open_ms::float, :open_max_ms::float)
        ) / 1000)
    end,
    disabled = case
        when :gone::bool
            or failing_since < now() - make_interval(secs => :disable_ms::float / 1000)
        then :last_error else disabled
    end
where id = :id;

-- name: list-notifications(id, status, before, page_size)
-- Newest first, before the ordinal.
select ordinal, id, event_id, type, status, attempts, http_status, last_error,
    (extract(epoch from created_at) * 1000000)::bigint as created_us,
    coalesce((extract(epoch from last_attempt_at) * 1000000)::bigint, 0) as last_attempt_us,
    (extract(epoch from next_attempt_at) * 1000000)::bigint as next_attempt_us
from notifications
where subscription = :id and ordinal < :before and (:status::text = '' or status = :status::text)
order by ordinal desc
limit :page_size;

-- name: resend(id, ids, since_us, most, call)$
-- Named ones that ended, or all dead ones since an instant. Returns their number.
with again as (
    select ordinal from notifications
    where subscription = :id and status in ('delivered', 'dead')
        and case
            when cardinality(:ids::text[]) > 0 then id = any(:ids::text[])
            else status = 'dead'
                and created_at >= 'epoch'::timestamptz
                    + make_interval(secs => :since_us::float / 1000000)
        end
    order by ordinal
    limit :most
), pending as (
    update notifications
    set status = 'pending', attempts = 0, next_attempt_at = now()
    from again
    where notifications.ordinal = again.ordinal
    returning 1
), noted as (
    insert into audit_outbox (entries)
    select json_build_array(json_build_object(
        'at_us', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
        'actor', call ->> 'actor',
        'method', call ->> 'method',
        'namespace', (select namespace from subscriptions where id = :id),
        'target', :id::text,
        'after', json_build_object('resent', (select count(*) from pending)),
        'address', call ->> 'address'
    ))
    from (select nullif(:call, '')::jsonb as call) as stated
    where call is not null
)
select count(*) from pending;

-- name: delete-expired-notifications(days)!
delete from notifications
where status <> 'pending' and created_at < now() - make_interval(days => :days);
