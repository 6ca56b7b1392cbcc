-- The one statement of a batch. Everything depends on `me`: the incarnation's position is n, and
-- becomes n + 1; each row depends on its partition's fence. Answers whether it applied, which
-- partitions it committed for, and which executions it created. A batch that has more to write has
-- the parts for it besides (`statements.py`), where `fence` and `started` mean those of here.
--
--  $1 incarnation  $2 position n  $3 partitions  $4 epochs
--  $5 plans: digest[], $6 body[]
--  $7 starts: id[], $8 partition[], $9 namespace[], $10 workflow_id[], $11 workflow_name[],
--     $12 version[], $13 plan_digest[], $14 request_id[], $15 start_digest[]
--  $16 states, started and changed: id[], $17 partition[], $18 status[], $19 started_at[],
--      $20 ended_at[], $21 wake_at[], $22 ready_since[], $23 queue[], $24 priority[],
--      $25 is_start[]
--  $26 history: start_day[], $27 execution_id[], $28 seq[], $29 events[], $30 partition[],
--      $31 is_start[]
--  $32 after  $33 served incarnation[], $34 served position[]
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
), planned as (
    insert into plans (digest, body)
    select n.digest, n.body
    from unnest($5::text[], $6::bytea[]) as n (digest, body)
    where exists (select from fence)
    order by n.digest
    on conflict (digest) do nothing
), state as materialized (
    select u.*
    from unnest($16::text[], $17::int[], $18::smallint[], $19::bigint[], $20::bigint[],
                $21::bigint[], $22::bigint[], $23::text[], $24::smallint[], $25::bool[])
         as u (id, partition, status, started_at, ended_at, wake_at, ready_since, queue, priority,
               is_start)
    join fence f on f.id = u.partition
), started as (
    insert into executions (
        id, partition, namespace, workflow_id, workflow_name, workflow_version, plan_digest,
        request_id, start_digest, status, started_at, ended_at, wake_at, ready_since, queue,
        priority
    )
    select n.id, n.partition, n.namespace, n.workflow_id, n.workflow_name, n.version, n.plan_digest,
           nullif(n.request_id, ''), n.start_digest, s.status, s.started_at, s.ended_at, s.wake_at,
           s.ready_since, s.queue, s.priority
    from unnest($7::text[], $8::int[], $9::text[], $10::text[], $11::text[], $12::int[],
                $13::text[], $14::text[], $15::bytea[])
         as n (id, partition, namespace, workflow_id, workflow_name, version, plan_digest,
               request_id, start_digest)
    join state s on s.id = n.id
    order by n.namespace, n.request_id
    on conflict (namespace, request_id) where request_id is not null do nothing
    returning id
), changed as (
    update executions e
    set status = s.status, ended_at = s.ended_at, wake_at = s.wake_at,
        ready_since = s.ready_since, queue = s.queue, priority = s.priority
    from (select * from state where not is_start order by id) s
    where e.id = s.id
), appended as (
    insert into history (start_day, execution_id, seq, events)
    select h.start_day, h.execution_id, h.seq, h.events
    from unnest($26::int[], $27::text[], $28::bigint[], $29::bytea[], $30::int[], $31::bool[])
         as h (start_day, execution_id, seq, events, partition, is_start)
    join fence f on f.id = h.partition
    where not h.is_start or h.execution_id in (select id from started)
    returning execution_id, seq
), noted as (
    insert into outbox (incarnation, position, execution_ids, seqs, after)
    select $1, $2 + 1,
           coalesce(array_agg(a.execution_id order by a.execution_id)
                    filter (where a.seq is not null), '{}'),
           coalesce(array_agg(a.seq order by a.execution_id)
                    filter (where a.seq is not null), '{}'), $32::bytea
    from me left join appended a on true
    group by me.id
), served as (
    delete from outbox o
    using unnest($33::bigint[], $34::bigint[]) as v (incarnation, position)
    where o.incarnation = v.incarnation and o.position <= v.position and exists (select from me)
) -- parts
select exists (select from me) as applied,
       array(select id from fence) as partitions,
       array(select id from started) as started,
       (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us
