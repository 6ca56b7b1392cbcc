-- name: load-positions()
-- Where each incarnation stands, those that moved last at the end.
select incarnation, position from positions order by updated_at;

-- name: load-place(stream)^
-- Where to go on reading the stream.
select made_us, sequence from stream_places where stream = :stream;

-- name: take-in(incarnations, reached, stream, made_us, sequence, ids, namespaces, execution_ids, workflow_ids, kinds, sequences, urls, hosts, secrets, events, happened)$
-- Positions, the place in the stream and what must be delivered, in one statement. A delivery
-- that is there already stays as it is; all who insert do so in the order in which it happened,
-- so that nobody waits in a circle. Answers how many are new.
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

-- name: forget-positions(days)!
-- Incarnations that have not moved for long are gone: their outbox and the stream are shorter.
delete from positions where updated_at < now() - make_interval(days => :days);
