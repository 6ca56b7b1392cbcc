-- Metered use per hour.

-- name: list_meters(namespace, first, below, before, count)
-- Newest first, without the sources.
select hour, sum(executions)::bigint as executions, sum(tasks)::bigint as tasks,
       sum(tokens)::bigint as tokens, sum(bytes)::bigint as bytes,
       sum(agent_seconds)::bigint as agent_seconds
from meters
where namespace = :namespace and hour >= :first and hour < :below and hour < :before
group by hour
order by hour desc
limit :count;

-- name: sum_meters(namespaces, first, below)^
select coalesce(sum(executions), 0)::bigint as executions,
       coalesce(sum(tasks), 0)::bigint as tasks,
       coalesce(sum(tokens), 0)::bigint as tokens,
       coalesce(sum(bytes), 0)::bigint as bytes,
       coalesce(sum(agent_seconds), 0)::bigint as agent_seconds
from meters
where namespace = any (:namespaces::text[]) and hour >= :first and hour < :below;

-- name: book_meters(sources, namespaces, hours, executions, tasks, tokens, bytes, agent_seconds)$
-- The greater amount of a source and an hour is kept.
with booked as (
    insert into meters as m (source, namespace, hour, executions, tasks, tokens, bytes,
        agent_seconds)
    select b.source, b.namespace, b.hour, max(b.executions), max(b.tasks), max(b.tokens),
           max(b.bytes), max(b.agent_seconds)
    from unnest(:sources::text[], :namespaces::text[], :hours::int[], :executions::bigint[],
                :tasks::bigint[], :tokens::bigint[], :bytes::bigint[], :agent_seconds::bigint[])
         as b (source, namespace, hour, executions, tasks, tokens, bytes, agent_seconds)
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (source, namespace, hour) do update set
        executions = greatest(m.executions, excluded.executions),
        tasks = greatest(m.tasks, excluded.tasks),
        tokens = greatest(m.tokens, excluded.tokens),
        bytes = greatest(m.bytes, excluded.bytes),
        agent_seconds = greatest(m.agent_seconds, excluded.agent_seconds)
    returning 1
)
select count(*) from booked;

-- name: fold_meters(below, most)$
-- Adds the sources of old hours to one row for each namespace and hour.
with chosen as (
    select source, namespace, hour from meters
    where source <> '' and hour < :below
    order by hour
    limit :most
    for update skip locked
), taken as (
    delete from meters m using chosen c
    where m.source = c.source and m.namespace = c.namespace and m.hour = c.hour
    returning m.*
), folded as (
    insert into meters as m (source, namespace, hour, executions, tasks, tokens, bytes,
        agent_seconds)
    select '', namespace, hour, sum(executions), sum(tasks), sum(tokens), sum(bytes),
           sum(agent_seconds)
    from taken
    group by namespace, hour
    order by namespace, hour
    on conflict (source, namespace, hour) do update set
        executions = m.executions + excluded.executions,
        tasks = m.tasks + excluded.tasks,
        tokens = m.tokens + excluded.tokens,
        bytes = m.bytes + excluded.bytes,
        agent_seconds = m.agent_seconds + excluded.agent_seconds
)
select count(*) from taken;

-- name: delete_meters(below)$
with gone as (
    delete from meters where hour < :below returning 1
)
select count(*) from gone;
