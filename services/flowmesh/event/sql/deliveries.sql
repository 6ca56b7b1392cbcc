-- name: add-delivery(id, namespace, execution_id, workflow_id, kind, sequence, url, host, secret, event, happened_us)!
-- An existing delivery is unchanged.
-- seals event of namespace at delivery {id}
insert into deliveries (
    id, namespace, execution_id, workflow_id, kind, sequence, url, host, secret, event, happened_us
)
values (
    :id, :namespace, :execution_id, :workflow_id, :kind, :sequence, :url, :host, :secret, :event,
    :happened_us
)
on conflict do nothing;

-- name: claim(busy_hosts, free, per_host, lease_ms)
-- Due deliveries, oldest first, at most `per_host` of each host and none of the busy hosts. They
-- are due again after the lease.
-- opens event at delivery {id}
with due as (
    select ordinal, row_number() over (partition by host order by next_attempt_at) as nth
    from (
        select ordinal, host, next_attempt_at
        from deliveries
        where status = 'pending' and next_attempt_at <= now()
            and host <> all(:busy_hosts::text[])
        order by next_attempt_at
        limit 1000
    ) as oldest
), claimed as (
    select ordinal
    from deliveries
    where ordinal in (select ordinal from due where nth <= :per_host)
        and status = 'pending' and next_attempt_at <= now()
    order by next_attempt_at
    limit :free
    for update skip locked
)
update deliveries
set next_attempt_at = now() + make_interval(secs => :lease_ms::float / 1000)
from claimed
where deliveries.ordinal = claimed.ordinal
returning deliveries.ordinal, id, namespace, execution_id, workflow_id, kind, url, host, secret,
    event, attempts;

-- name: next-due(busy_hosts)$
-- Milliseconds until the next delivery is due; null if none is pending.
select ceil(extract(epoch from min(next_attempt_at) - now()) * 1000)::bigint
from deliveries
where status = 'pending' and host <> all(:busy_hosts::text[]);

-- name: end-delivery(ordinal, status, attempts, last_error)!
-- Delivered or dead: the secret is no longer needed.
update deliveries
set status = :status, attempts = :attempts, last_error = :last_error, secret = ''
where ordinal = :ordinal and status = 'pending';

-- name: postpone(ordinal, attempts, last_error, delay_ms)!
-- Another attempt follows after the delay.
update deliveries
set attempts = :attempts, last_error = :last_error,
    next_attempt_at = now() + make_interval(secs => :delay_ms::float / 1000)
where ordinal = :ordinal and status = 'pending';

-- name: list-deliveries(namespace, execution_id, before, page_size)
-- Newest first, before the ordinal.
select ordinal, id, execution_id, kind, url, status, attempts, last_error,
    (extract(epoch from next_attempt_at) * 1000000)::bigint as next_attempt_at_us
from deliveries
where namespace = :namespace and ordinal < :before
    and (:execution_id = '' or execution_id = :execution_id)
order by ordinal desc
limit :page_size;

-- name: delete-expired-deliveries(days)!
-- Ended deliveries whose events can no longer be redelivered.
delete from deliveries
where status <> 'pending' and created_at < now() - make_interval(days => :days);
