-- Signals with a key that are kept until an execution waits for them.

-- name: lock_kept_signals(namespace)
-- Serializes the bounds of a namespace until the end of the transaction.
select pg_advisory_xact_lock(hashtextextended('flowmesh.kept_signals ' || :namespace, 0));

-- name: kept_signal(namespace, request_id)
select name, (extract(epoch from expires_at) * 1000000)::bigint as expires_at_us
from kept_signals where namespace = :namespace and request_id = :request_id;

-- name: make_room_for_kept(namespace)
delete from kept_signals where namespace = :namespace and expires_at <= now() returning seq;

-- name: kept_state(namespace, request_id, signal)
-- Returns whether a signal can be delivered now, or was, and the size of the kept ones.
select
    exists (select from keyed_signals
            where namespace = :namespace and request_id = :request_id)
    or (exists (select from waits where namespace = :namespace and name = :signal)
        and not exists (select from kept_signals
                        where namespace = :namespace and name = :signal and expires_at > now())
    ) as deliverable,
    count(*) as rows,
    coalesce(sum(bytes), 0)::bigint as bytes
from kept_signals where namespace = :namespace;

-- name: keep_signal(namespace, request_id, signal, payload, digest, bytes, actor, ttl_ms)
insert into kept_signals (namespace, request_id, name, payload, digest, bytes, actor, expires_at)
values (
    :namespace, coalesce(nullif(:request_id::text, ''), gen_random_uuid()::text), :signal,
    :payload, :digest::text,
    :bytes::bigint + coalesce((select size_bytes from payloads p
                               where p.namespace = :namespace and p.digest = :digest::text), 0),
    :actor, now() + :ttl_ms::bigint * interval '1 ms'
)
returning name, (extract(epoch from expires_at) * 1000000)::bigint as expires_at_us, bytes;

-- name: claim_kept_signals(rows_max)
-- Locks the first kept signal of each name that an execution waits for. One that another process
-- delivers hides the later ones of its name, so that their order stays.
select k.seq, k.namespace, k.name, k.request_id, k.payload, k.actor, w.execution_id
from kept_signals k
cross join lateral (
    select execution_id from waits
    where namespace = k.namespace and name = k.name
    order by execution_id limit 1
) w
where k.expires_at > now() and k.try_at <= now()
  and not exists (select from kept_signals e
                  where e.namespace = k.namespace and e.name = k.name
                    and e.seq < k.seq and e.expires_at > now())
order by k.seq
limit :rows_max
for update of k skip locked;

-- name: receiver_of_kept(namespace, request_id, signal, execution_id)$
-- Stores the receiver of a kept signal; returns the one stored first.
insert into keyed_signals (namespace, request_id, name, execution_ids)
values (:namespace, :request_id, :signal, array[:execution_id::text])
on conflict (namespace, request_id) do update set execution_ids = keyed_signals.execution_ids
returning execution_ids[1];

-- name: change_receiver_of_kept(namespace, request_id, execution_id)!
update keyed_signals set execution_ids = array[:execution_id::text], at = now()
where namespace = :namespace and request_id = :request_id;

-- name: settle_kept_signals(delivered, delayed, delay_ms)
-- Deletes delivered signals, and delays the next attempt of the others.
with later as (
    update kept_signals set try_at = now() + :delay_ms::bigint * interval '1 ms'
    where seq = any(:delayed::bigint[])
)
delete from kept_signals where seq = any(:delivered::bigint[]) returning seq;

-- name: any_kept_signal()$
select exists (select from kept_signals where expires_at > now());

-- name: delete_expired_kept_signals()$
with gone as (
    delete from kept_signals where expires_at <= now() returning 1
)
select count(*) from gone;
