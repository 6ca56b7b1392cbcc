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
planned as (
    insert into plans (digest, body)
    select n.digest, n.body
    from unnest($12::text[], $13::bytea[]) as n (digest, body)
    where exists (select from fence)
    order by n.digest
    on conflict (digest) do nothing
), started as (
    insert into executions (
        id, partition, namespace, workflow_id, workflow_name, workflow_version, plan_digest,
        request_id, start_digest, status, started_at, ended_at, wake_at, ready_since, queue,
        priority
    )
    select n.id, n.partition, n.namespace, n.workflow_id, n.workflow_name, n.version, n.plan_digest,
           nullif(n.request_id, ''), n.start_digest, n.status, n.started_at, n.ended_at, n.wake_at,
           n.ready_since, n.queue, n.priority
    from unnest($14::text[], $15::int[], $16::text[], $17::text[], $18::text[], $19::int[],
                $20::text[], $21::text[], $22::bytea[], $23::smallint[], $24::bigint[],
                $25::bigint[], $26::bigint[], $27::bigint[], $28::text[], $29::smallint[])
         as n (id, partition, namespace, workflow_id, workflow_name, version, plan_digest,
               request_id, start_digest, status, started_at, ended_at, wake_at, ready_since, queue,
               priority)
    join fence f on f.id = n.partition
    order by n.namespace, n.request_id
    on conflict (namespace, request_id) where request_id is not null do nothing
    returning id
),
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
),
metered as (
    insert into meters as m (source, namespace, hour, executions, tasks, tokens, bytes)
    select me.id::text, u.namespace, u.hour, count(s.id), sum(u.tasks), sum(u.tokens),
           sum(u.bytes)
    from unnest($30::int[], $31::text[], $32::int[], $33::text[], $34::int[], $35::bigint[],
                $36::bigint[])
         as u (hour, namespace, partition, execution_id, tasks, tokens, bytes)
    join fence f on f.id = u.partition
    left join started s on s.id = u.execution_id
    cross join me
    where u.execution_id = '' or s.id is not null
    group by 1, 2, 3
    order by 2, 3
    on conflict (source, namespace, hour) do update set
        executions = m.executions + excluded.executions,
        tasks = m.tasks + excluded.tasks,
        tokens = m.tokens + excluded.tokens,
        bytes = m.bytes + excluded.bytes
),
changed as (
    update executions e
    set status = s.status, ended_at = s.ended_at, wake_at = s.wake_at,
        ready_since = s.ready_since, queue = s.queue, priority = s.priority
    from (
        select u.*
        from unnest($37::text[], $38::int[], $39::smallint[], $40::bigint[], $41::bigint[],
                    $42::bigint[], $43::text[], $44::smallint[])
             as u (id, partition, status, ended_at, wake_at, ready_since, queue, priority)
        join fence f on f.id = u.partition
        order by u.id
    ) s
    where e.id = s.id
),
served as (
    delete from outbox o
    using unnest($45::bigint[], $46::bigint[]) as v (incarnation, position)
    where o.incarnation = v.incarnation and o.position <= v.position and exists (select from me)
),
lane as materialized (
    select u.*
    from unnest($47::text[], $48::int[], $49::text[], $50::text[], $51::smallint[], $52::bigint[],
                $53::bool[])
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
), value as materialized (
    select u.*
    from unnest($54::text[], $55::int[], $56::text[], $57::text[], $58::text[],
                $59::double precision[], $60::bool[])
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
),
used as (
    update payloads p set used_at = now()
    from (select distinct r.namespace, r.digest
          from unnest($61::text[], $62::text[], $64::int[]) as r (namespace, digest, partition)
          join fence f on f.id = r.partition
          order by r.namespace, r.digest) r
    where p.namespace = r.namespace and p.digest = r.digest
), referred as (
    insert into payload_refs (namespace, digest, execution_id)
    select r.namespace, r.digest, r.execution_id
    from unnest($61::text[], $62::text[], $63::text[], $64::int[], $65::bool[])
         as r (namespace, digest, execution_id, partition, is_start)
    join fence f on f.id = r.partition
    where not r.is_start or r.execution_id in (select id from started)
    order by 1, 2, 3
    on conflict do nothing
), kept as (
    insert into snapshots (execution_id, seq, body)
    select n.execution_id, n.seq, n.body
    from unnest($66::text[], $67::bigint[], $68::bytea[], $69::int[], $70::bool[])
         as n (execution_id, seq, body, partition, is_start)
    join fence f on f.id = n.partition
    where not n.is_start or n.execution_id in (select id from started)
    order by 1
    on conflict (execution_id) do update set seq = excluded.seq, body = excluded.body
),
sent as (
    insert into messages (partition, id, target, command)
    select m.partition, m.id, m.target, m.command
    from unnest($71::int[], $72::text[], $73::text[], $74::bytea[], $75::text[], $76::bool[])
         as m (partition, id, target, command, execution_id, is_start)
    join fence f on f.id = m.partition
    where not m.is_start or m.execution_id in (select id from started)
    order by 1, 2
), answered as (
    delete from messages m
    using unnest($77::int[], $78::text[]) as a (partition, id), fence f
    where f.id = a.partition and m.partition = a.partition and m.id = a.id
), wait as materialized (
    select u.*
    from unnest($79::text[], $80::text[], $81::text[], $82::int[], $83::bool[], $84::bool[])
         as u (namespace, name, execution_id, partition, is_start, waits)
    join fence f on f.id = u.partition
), begun as (
    insert into waits (namespace, name, execution_id)
    select w.namespace, w.name, w.execution_id
    from wait w
    where w.waits and (not w.is_start or w.execution_id in (select id from started))
    order by 1, 2, 3
    on conflict do nothing
), ended as (
    delete from waits w
    using wait u
    where not u.waits and w.namespace = u.namespace and w.name = u.name
      and w.execution_id = u.execution_id
),
place as materialized (
    select u.*
    from unnest($85::text[], $86::int[], $87::text[], $88::text[], $89::text[], $90::smallint[],
                $91::text[], $92::int[], $93::bool[], $94::bool[], $95::bigint[], $96::bigint[],
                $97::bool[])
         as u (execution_id, partition, namespace, workflow_id, key, phase, place, concurrency,
               replaces, debounces, answers_until, at, is_new)
    join fence f on f.id = u.partition
), placed as (
    insert into starts (execution_id, partition, namespace, workflow_id, key, phase, place,
                        concurrency, replaces, debounces, answers_until)
    select p.execution_id, p.partition, p.namespace, p.workflow_id, p.key, p.phase, p.place,
           p.concurrency, p.replaces, p.debounces, p.answers_until
    from place p
    where p.is_new and p.execution_id in (select id from started)
      and (p.phase < 5 or p.answers_until > p.at)
    order by 1
), moved as (
    update starts s set phase = p.phase
    from (select * from place where not is_new order by execution_id) p
    where s.execution_id = p.execution_id and (p.phase < 5 or s.answers_until > p.at)
), left_line as (
    delete from starts s using place p
    where not p.is_new and p.phase = 5
      and s.execution_id = p.execution_id and s.answers_until <= p.at
), joined as (
    insert into start_joins (namespace, request_id, execution_id, start_digest)
    select j.namespace, j.request_id, j.execution_id, j.start_digest
    from unnest($98::text[], $99::text[], $100::text[], $101::bytea[], $102::int[], $103::bool[])
         as j (namespace, request_id, execution_id, start_digest, partition, is_new)
    join fence f on f.id = j.partition
    where not j.is_new or j.execution_id in (select id from started)
    order by 1, 2
    on conflict do nothing
),
booked as (
    insert into model_usage (namespace, execution_id, node, attempt, step, provider, model,
                             input_tokens, output_tokens, micro_usd)
    select u.namespace, u.execution_id, u.node, u.attempt, u.step, u.provider, u.model,
           u.input_tokens, u.output_tokens, u.micro_usd
    from unnest($104::int[], $105::text[], $106::text[], $107::text[], $108::int[], $109::int[],
                $110::text[], $111::text[], $112::bigint[], $113::bigint[], $114::bigint[])
         as u (partition, namespace, execution_id, node, attempt, step, provider, model,
               input_tokens, output_tokens, micro_usd)
    join fence f on f.id = u.partition
    on conflict do nothing
) -- parts
select exists (select from me) as applied,
       array(select id from fence) as partitions,
       array(select id from started) as started,
       (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us
