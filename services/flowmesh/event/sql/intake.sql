-- name: load-positions()
-- The position of each incarnation, in the order of their last advance.
select incarnation, position from positions order by updated_at;

-- name: load-place(stream)^
-- The position in the stream to resume from.
select made_us, sequence from stream_places where stream = :stream;

-- name: take-in(incarnations, reached, stream, made_us, sequence, ids, namespaces, execution_ids, workflow_ids, kinds, sequences, urls, hosts, secrets, events, happened, audit)$
-- Stores positions, the position in the stream and deliveries in one statement. An existing
-- delivery is unchanged. Rows are inserted in the order of their events, which prevents
-- deadlocks. Returns the number of new deliveries.
-- seals events of namespaces at delivery {ids}
with moved as (
    insert into positions (incarnation, position)
    select * from unnest(:incarnations::bigint[], :reached::bigint[])
    order by 1
    on conflict (incarnation) do update
    set position = greatest(positions.position, excluded.position), updated_at = now()
), placed as (
    insert into stream_places (stream, made_us, sequence)
    values (:stream, :made_us, :sequence)
    on conflict (stream) do update
    set made_us = excluded.made_us, sequence = excluded.sequence
    where excluded.made_us <> stream_places.made_us
        or excluded.sequence > stream_places.sequence
), noted as (
    insert into audit_outbox (entries) select :audit::json where :audit::text is not null
), added as (
    insert into deliveries (
        id, namespace, execution_id, workflow_id, kind, sequence, url, host, secret, event,
        happened_us
    )
    select * from unnest(
        :ids::text[], :namespaces::text[], :execution_ids::text[], :workflow_ids::text[],
        :kinds::text[], :sequences::bigint[], :urls::text[], :hosts::text[], :secrets::text[],
        :events::bytea[], :happened::bigint[]
    ) as new (
        id, namespace, execution_id, workflow_id, kind, sequence, url, host, secret, event,
        happened_us
    )
    order by happened_us, id
    on conflict do nothing
    returning 1
)
select count(*) from added;

-- name: delete-expired-positions(days)!
-- Incarnations without progress for longer than the retention of outboxes and the stream.
delete from positions where updated_at < now() - make_interval(days => :days);
