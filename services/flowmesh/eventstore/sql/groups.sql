-- name: count-groups(namespace)$
select count(*) from groups where namespace = :namespace;

-- name: lock-group(namespace, event_group)^
select * from groups where namespace = :namespace and event_group = :event_group for update;

-- name: add-group(namespace, event_group, filter, checkpoint, lease_ms, max_attempts, retry_delay_ms)$
insert into groups (
    namespace, event_group, filter, checkpoint, lease_ms, max_attempts, retry_delay_ms
) values (
    :namespace, :event_group, :filter, :checkpoint, :lease_ms, :max_attempts, :retry_delay_ms
) on conflict do nothing returning true;

-- name: change-group(namespace, event_group, lease_ms, max_attempts, retry_delay_ms)!
update groups set
    lease_ms = :lease_ms, max_attempts = :max_attempts, retry_delay_ms = :retry_delay_ms
where namespace = :namespace and event_group = :event_group;

-- name: groups-of(namespace)
select g.*,
    (select count(*) from group_deliveries d where d.namespace = g.namespace
        and d.event_group = g.event_group and d.due_at is not null) as in_flight,
    (select count(*) from group_deliveries d where d.namespace = g.namespace
        and d.event_group = g.event_group and d.due_at is null) as parked
from groups g where g.namespace = :namespace order by g.event_group;

-- name: delete-group(namespace, event_group)$
with emptied as (
    delete from group_deliveries where namespace = :namespace and event_group = :event_group
)
delete from groups where namespace = :namespace and event_group = :event_group returning true;

-- name: due-deliveries(namespace, event_group, now, count)
select position, attempt from group_deliveries
where namespace = :namespace and event_group = :event_group and due_at <= :now
order by position limit :count;

-- name: next-due(namespace, event_group)$
select min(due_at) from group_deliveries
where namespace = :namespace and event_group = :event_group and due_at is not null;

-- name: put-deliveries(namespace, event_group, positions, attempts, due_at)!
insert into group_deliveries (namespace, event_group, position, attempt, due_at)
select :namespace, :event_group, each.position, each.attempt, :due_at
from unnest(:positions::bigint[], :attempts::int[]) as each (position, attempt)
on conflict (namespace, event_group, position) do update set
    attempt = excluded.attempt, due_at = excluded.due_at;

-- name: park-deliveries(namespace, event_group, positions)!
update group_deliveries set due_at = null
where namespace = :namespace and event_group = :event_group
    and position = any(:positions::bigint[]);

-- name: set-checkpoint(namespace, event_group, checkpoint)!
update groups set checkpoint = :checkpoint
where namespace = :namespace and event_group = :event_group;

-- name: acknowledge(namespace, event_group, positions, attempts)
delete from group_deliveries d
using unnest(:positions::bigint[], :attempts::int[]) as each (position, attempt)
where d.namespace = :namespace and d.event_group = :event_group and d.due_at is not null
    and d.position = each.position and d.attempt = each.attempt
returning d.position;

-- name: give-back(namespace, event_group, positions, attempts, due_at, errors)
-- A delivery without an instant is parked.
-- seals errors of namespace at error of {event_group}@{positions}
update group_deliveries d set due_at = each.due_at, error = each.error
from unnest(:positions::bigint[], :attempts::int[], :due_at::bigint[], :errors::text[])
    as each (position, attempt, due_at, error)
where d.namespace = :namespace and d.event_group = :event_group and d.due_at is not null
    and d.position = each.position and d.attempt = each.attempt
returning d.position;

-- name: drop-deliveries(namespace, event_group, positions)!
delete from group_deliveries
where namespace = :namespace and event_group = :event_group
    and position = any(:positions::bigint[]);

-- name: parked-of(namespace, event_group, after, count)
-- opens error at error of {event_group}@{position}
select position, attempt, error from group_deliveries
where namespace = :namespace and event_group = :event_group and due_at is null
    and position > :after
order by position limit :count;

-- name: replay-parked(namespace, event_group, positions, now)
update group_deliveries set due_at = :now, attempt = 0
where namespace = :namespace and event_group = :event_group and due_at is null
    and (cardinality(:positions::bigint[]) = 0 or position = any(:positions::bigint[]))
returning position;
