-- name: first_histories(start_day, execution_id, rows_max)
-- Executions by the first row of their histories, behind a place.
select start_day, execution_id from history
where (start_day, execution_id) > (:start_day::int, :execution_id::text) and seq = 1
order by start_day, execution_id limit :rows_max;

-- name: stored_executions(ids)
select e.id, e.namespace, e.partition, e.workflow_id, e.workflow_name, e.workflow_version,
    e.plan_digest, e.status, e.request_id, e.started_at, e.ended_at, e.wake_at, e.ready_since,
    e.queue, e.priority
from executions e where e.id = any (:ids::text[]);

-- name: stored_values(ids)
select execution_id, name, text, number from search_values
where execution_id = any (:ids::text[]) order by execution_id, name;

-- name: stored_lanes(ids)
select distinct execution_id from ready where execution_id = any (:ids::text[]);

-- name: rebuild_execution(id, namespace, partition, workflow_id, workflow_name, workflow_version, plan_digest, status, request_id, started_at, ended_at, names, texts, numbers)!
-- Writes the rows of an ended execution, unless its history is deleted meanwhile.
with present as (
    select 1 from history
    where start_day = (:started_at::bigint / 86400000000)::int and execution_id = :id limit 1
), written as (
    insert into executions (
        id, namespace, partition, workflow_id, workflow_name, workflow_version, plan_digest,
        status, request_id, started_at, ended_at
    )
    select :id, :namespace, :partition, :workflow_id, :workflow_name, :workflow_version,
        :plan_digest, :status, :request_id, :started_at, :ended_at
    from present
    on conflict (id) do update set
        namespace = excluded.namespace, partition = excluded.partition,
        workflow_id = excluded.workflow_id, workflow_name = excluded.workflow_name,
        workflow_version = excluded.workflow_version, plan_digest = excluded.plan_digest,
        status = excluded.status, request_id = excluded.request_id,
        started_at = excluded.started_at, ended_at = excluded.ended_at,
        wake_at = null, ready_since = null, queue = null, priority = null
), idle as (
    delete from ready where execution_id = :id
), forgotten as (
    delete from search_values
    where execution_id = :id and name <> all (:names::text[])
)
insert into search_values (execution_id, name, namespace, text, number)
select :id, each.name, :namespace, each.text, each.number
from unnest(:names::text[], :texts::text[], :numbers::float8[]) as each (name, text, number),
    present
on conflict (execution_id, name) do update set text = excluded.text, number = excluded.number;

-- name: note_rebuild(namespace, after, call)!
-- An audited rebuild; nothing without a call.
insert into audit_outbox (entries)
select json_build_array(json_build_object(
    'at_us', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    'actor', call ->> 'actor',
    'method', call ->> 'method',
    'namespace', :namespace::text,
    'target', :namespace::text,
    'before', null,
    'after', :after::json,
    'address', call ->> 'address'
))
from (select nullif(:call, '')::jsonb as call) as stated
where call is not null;
