-- A batch in one statement, as the orchestrator's, with what a bare start and a bare result need:
-- position, fence, new executions, ended ones, history, outbox.
--
--  $1 position n  $2 partitions  $3 epochs
--  $4 starts: id[], $5 workflow_id[], $6 request_id[]
--  $7 ended: id[]
--  $8 history: execution_id[], $9 seq[], $10 events[], $11 partition[]
--  $12 outbox rows up to here are served
with me as (
    update position set position = position + 1 where id = 1 and position = $1 returning id
), fence as materialized (
    select p.id
    from partitions p
    where p.id = any ($2::int[])
      and p.epoch = ($3::bigint[])[array_position($2::int[], p.id)]
      and exists (select from me)
    order by p.id
    for share of p
), started as (
    insert into executions (id, workflow_id, request_id, ended)
    select n.id, n.workflow_id, n.request_id, false
    from unnest($4::text[], $5::text[], $6::text[]) as n (id, workflow_id, request_id)
    where exists (select from fence)
    on conflict (request_id) do nothing
    returning id
), ended as (
    update executions e set ended = true where e.id = any ($7::text[])
), appended as (
    insert into history (execution_id, seq, events)
    select h.execution_id, h.seq, h.events
    from unnest($8::text[], $9::bigint[], $10::bytea[], $11::int[])
         as h (execution_id, seq, events, partition)
    join fence f on f.id = h.partition
    returning execution_id, seq
), noted as (
    insert into outbox (position, execution_ids, seqs)
    select $1 + 1, coalesce(array_agg(a.execution_id), '{}'), coalesce(array_agg(a.seq), '{}')
    from appended a
), served as (
    delete from outbox where position <= $12
)
select exists (select from me) as applied, array(select id from started) as started
