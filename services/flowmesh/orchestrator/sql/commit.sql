-- The one statement of a batch. Everything depends on `me`: the incarnation's position is n, and
-- becomes n + 1; each row depends on its partition's fence. Answers whether it applied, which
-- partitions it committed for, and which executions it created.
--
--  $1 incarnation  $2 position n  $3 partitions  $4 epochs
--  $5 plans: digest[], $6 body[]
--  $7 starts: id[], $8 partition[], $9 namespace[], $10 workflow_id[], $11 workflow_name[],
--     $12 version[], $13 plan_digest[], $14 request_id[], $15 start_digest[]
--  $16 states, started and changed: id[], $17 partition[], $18 status[], $19 started_at[],
--      $20 ended_at[], $21 wake_at[], $22 ready_since[], $23 queue[], $24 priority[],
--      $42 is_start[]
--  $25 history: start_day[], $26 execution_id[], $27 seq[], $28 events[], $29 partition[],
--      $30 is_start[]
--  $31 after  $32 served incarnation[], $33 served position[]
--  $34 references: namespace[], $35 digest[], $36 execution_id[], $37 partition[]
--  $38 snapshots: execution_id[], $39 seq[], $40 body[], $41 partition[]
--  $43 further lanes: execution_id[], $44 partition[], $45 namespace[], $46 queue[],
--      $47 priority[], $48 ready_since[] (null: no longer open), $49 is_start[]
--  $50 search values: execution_id[], $51 partition[], $52 namespace[], $53 name[], $54 text[],
--      $55 number[] (both null: no longer there), $56 is_start[]
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
                $21::bigint[], $22::bigint[], $23::text[], $24::smallint[], $42::bool[])
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
), lane as materialized (
    select u.*
    from unnest($43::text[], $44::int[], $45::text[], $46::text[], $47::smallint[], $48::bigint[],
                $49::bool[])
         as u (execution_id, partition, namespace, queue, priority, ready_since, is_start)
    join fence f on f.id = u.partition
), opened as (
    insert into ready (partition, namespace, queue, priority, ready_since, execution_id)
    select l.partition, l.namespace, l.queue, l.priority, l.ready_since, l.execution_id
    from lane l
    where l.ready_since is not null
      and (not l.is_start or l.execution_id in (select id from started))
    order by l.execution_id, l.queue, l.priority
), closed as (
    delete from ready r using lane l
    where l.ready_since is null
      and r.execution_id = l.execution_id and r.queue = l.queue and r.priority = l.priority
), appended as (
    insert into history (start_day, execution_id, seq, events)
    select h.start_day, h.execution_id, h.seq, h.events
    from unnest($25::int[], $26::text[], $27::bigint[], $28::bytea[], $29::int[], $30::bool[])
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
                    filter (where a.seq is not null), '{}'), $31::bytea
    from me left join appended a on true
    group by me.id
), value as materialized (
    select u.*
    from unnest($50::text[], $51::int[], $52::text[], $53::text[], $54::text[],
                $55::double precision[], $56::bool[])
         as u (execution_id, partition, namespace, name, text, number, is_start)
    join fence f on f.id = u.partition
), valued as (
    insert into search_values (execution_id, name, namespace, text, number)
    select v.execution_id, v.name, v.namespace, v.text, v.number
    from value v
    where num_nonnulls(v.text, v.number) > 0
      and (not v.is_start or v.execution_id in (select id from started))
    order by v.execution_id, v.name
    on conflict (execution_id, name) do update set text = excluded.text, number = excluded.number
), unvalued as (
    delete from search_values s using value v
    where num_nonnulls(v.text, v.number) = 0
      and s.execution_id = v.execution_id and s.name = v.name
), served as (
    delete from outbox o
    using unnest($32::bigint[], $33::bigint[]) as v (incarnation, position)
    where o.incarnation = v.incarnation and o.position <= v.position and exists (select from me)
), used as (
    update payloads p set used_at = now()
    from (select distinct r.namespace, r.digest
          from unnest($34::text[], $35::text[], $37::int[]) as r (namespace, digest, partition)
          join fence f on f.id = r.partition
          order by r.namespace, r.digest) r
    where p.namespace = r.namespace and p.digest = r.digest
), referred as (
    insert into payload_refs (namespace, digest, execution_id)
    select r.namespace, r.digest, r.execution_id
    from unnest($34::text[], $35::text[], $36::text[], $37::int[])
         as r (namespace, digest, execution_id, partition)
    join fence f on f.id = r.partition
    order by 1, 2, 3
    on conflict do nothing
), kept as (
    insert into snapshots (execution_id, seq, body)
    select n.execution_id, n.seq, n.body
    from unnest($38::text[], $39::bigint[], $40::bytea[], $41::int[])
         as n (execution_id, seq, body, partition)
    join fence f on f.id = n.partition
    order by 1
    on conflict (execution_id) do update set seq = excluded.seq, body = excluded.body
) -- messages.sql
select exists (select from me) as applied,
       array(select id from fence) as partitions,
       array(select id from started) as started,
       (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us
