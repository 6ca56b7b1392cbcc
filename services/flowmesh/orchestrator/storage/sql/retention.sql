-- name: unread_plans(rows_max)
-- Returns plans whose retention is not stored in their row yet.
select digest, body from plans where retention_ms is null limit :rows_max;

-- name: note_plan(digest, namespace, workflow_id, retention_ms)!
update plans set namespace = :namespace, workflow_id = :workflow_id, retention_ms = :retention_ms
where digest = :digest;

-- name: kept_by_plans()
-- Returns workflows that set a retention, with the plans that set it.
select namespace, workflow_id, retention_ms, array_agg(digest) as digests
from plans where retention_ms > 0
group by namespace, workflow_id, retention_ms;

-- name: kept_by_namespaces()
select namespace, retention_ms from retentions;

-- name: retention_of(namespace)$
select retention_ms from retentions where namespace = :namespace;

-- name: set_retention(namespace, retention_ms, call)!
insert into retentions (namespace, retention_ms) values (:namespace, :retention_ms)
on conflict (namespace) do update set retention_ms = excluded.retention_ms
returning set_config('flowmesh.call', :call, true);

-- name: unset_retention(namespace, call)!
delete from retentions where namespace = :namespace
returning set_config('flowmesh.call', :call, true);

-- name: expired_of_plans(namespace, workflow_id, digests, after_id, before_id, ended_before, rows_max)
select id from executions
where namespace = :namespace and workflow_id = :workflow_id
  and plan_digest = any (:digests::text[])
  and id > :after_id collate "C" and id < :before_id collate "C" and ended_at < :ended_before
order by id limit :rows_max;

-- name: expired_of_namespace(namespace, after_id, before_id, ended_before, rows_max)
select e.id from executions e
where e.namespace = :namespace
  and e.id > :after_id collate "C" and e.id < :before_id collate "C" and e.ended_at < :ended_before
  and not exists (select from plans p where p.digest = e.plan_digest and p.retention_ms > 0)
order by e.id limit :rows_max;

-- name: expired_elsewhere(after_id, before_id, ended_before, rows_max)
-- Returns expired executions whose retention is set neither by workflow nor by namespace.
select e.id from executions e
where e.id > :after_id collate "C" and e.id < :before_id collate "C" and e.ended_at < :ended_before
  and not exists (select from plans p where p.digest = e.plan_digest and p.retention_ms > 0)
  and not exists (select from retentions r where r.namespace = e.namespace)
order by e.id limit :rows_max;

-- name: delete_executions(ids, call)$
-- Deletes ended executions with their rows in all tables.
with gone as (
    select id, (started_at / 86400000000)::int as start_day from executions
    where id = any (:ids::text[]) and ended_at is not null
        and set_config('flowmesh.call', :call, true) is not null
), histories as (
    delete from history h using gone g where h.start_day = g.start_day and h.execution_id = g.id
), kept as (
    delete from snapshots s using gone g where s.execution_id = g.id
), referred as (
    delete from payload_refs r using gone g where r.execution_id = g.id
), found as (
    delete from search_values v using gone g where v.execution_id = g.id
), erased as (
    delete from erasures x using gone g where x.execution_id = g.id
), placed as (
    delete from starts s using gone g where s.execution_id = g.id
), joined as (
    delete from start_joins j using gone g where j.execution_id = g.id
), ended as (
    delete from executions e using gone g where e.id = g.id returning 1
)
select count(*) from ended;

-- name: payloads_of(ids)
-- Returns the stored payloads that executions refer to.
select r.execution_id, p.digest, p.encoding, p.size_bytes
from payload_refs r
join executions e on e.id = r.execution_id
join payloads p on p.namespace = r.namespace and p.digest = r.digest
where r.execution_id = any (:ids::text[])
order by r.execution_id, p.digest;

-- name: archived_columns(ids)
select id, namespace, workflow_id, workflow_name, workflow_version, plan_digest, status, started_at,
       ended_at, request_id
from executions where id = any (:ids::text[]) and ended_at is not null order by id;

-- name: note_erasure(execution_id, namespace, request)!
insert into erasures (execution_id, namespace, request)
values (:execution_id, :namespace, :request)
on conflict (execution_id) do nothing;

-- name: open_erasures(rows_max)
select execution_id, namespace, request from erasures limit :rows_max;

-- name: rewrite_history(start_day, execution_id, seqs, events)!
update history h set events = n.events
from unnest(:seqs::bigint[], :events::bytea[]) as n (seq, events)
where h.start_day = :start_day and h.execution_id = :execution_id and h.seq = n.seq;

-- name: forget_values(execution_id)$
-- Removes payloads, search values and snapshot of an erased execution, and its open erasure.
with referred as (
    delete from payload_refs where execution_id = :execution_id returning namespace, digest
), payload as (
    delete from payloads p using referred r
    where p.namespace = r.namespace and p.digest = r.digest
      and not exists (select from payload_refs o
                      where o.namespace = p.namespace and o.digest = p.digest
                        and o.execution_id <> :execution_id)
      and not exists (select from kept_signals k
                      where k.namespace = p.namespace and k.digest = p.digest and k.digest <> '')
), found as (
    delete from search_values
    where execution_id = :execution_id and name not like 'label.%'
        and name not in ('error.class', 'dead_letter')
), kept as (
    delete from snapshots where execution_id = :execution_id
), done as (
    delete from erasures where execution_id = :execution_id
)
select array(select digest from referred);
