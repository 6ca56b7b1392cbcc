-- The one statement of a batch. Everything depends on `me`: the position of the incarnation is n
-- and becomes n + 1; each row depends on the fence of its partition. Returns whether it applied,
-- the partitions it applied to, and the executions it created. Further parts (`statements.py`)
-- write other rows; they refer to `fence` and `started` of this one.
--
--  $1 incarnation  $2 position n  $3 partitions  $4 epochs
--  $5 history: start_day[], $6 execution_id[], $7 seq[], $8 events[], $9 partition[],
--     $10 is_start[]
--  $11 after
with me as (
    update incarnations set position = position + 1
    where id = $1 and position = $2
    returning id
), fence as materialized (
    select p.id
    from partitions p
    where p.id = any ($3::int[])
      and p.incarnation = $1
      and p.epoch = ($4::bigint[])[array_position($3::int[], p.id)]
      and exists (select from me)
    order by p.id
    for share of p
),
started as (select '' as id where false), -- starts
appended as (
    insert into history (start_day, execution_id, seq, events)
    select h.start_day, h.execution_id, h.seq, h.events
    from unnest($5::int[], $6::text[], $7::bigint[], $8::bytea[], $9::int[], $10::bool[])
         as h (start_day, execution_id, seq, events, partition, is_start)
    join fence f on f.id = h.partition
    where not h.is_start or h.execution_id in (select id from started)
    returning execution_id, seq
), noted as (
    insert into outbox (incarnation, position, execution_ids, seqs, after, partitions)
    select $1, $2 + 1,
           coalesce(array_agg(a.execution_id order by a.execution_id)
                    filter (where a.seq is not null), '{}'),
           coalesce(array_agg(a.seq order by a.execution_id)
                    filter (where a.seq is not null), '{}'), $11::bytea,
           array(select id from fence)
    from me left join appended a on true
    group by me.id
) -- parts
select exists (select from me) as applied,
       array(select id from fence) as partitions,
       array(select id from started) as started,
       (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us
