-- name: set-triggers(namespace, workflow, body)!
-- Triggers of the newest version; an empty body means none.
with gone as (
    delete from triggers
    where namespace = :namespace and workflow = :workflow and length(:body::bytea) = 0
)
insert into triggers (namespace, workflow, body)
select :namespace, :workflow, :body::bytea where length(:body::bytea) > 0
on conflict (namespace, workflow) do update set body = excluded.body;

-- name: lock-hooks(key)!
-- Serializes changes of URLs: two transactions that exchange URLs would deadlock.
select pg_advisory_xact_lock(hashtextextended(:key::text, 0));

-- name: free-hooks(namespace, workflows)!
delete from hooks where namespace = :namespace and workflow = any(:workflows::text[]);

-- name: take-hooks(namespace, hooks, workflows)!
insert into hooks (namespace, hook, workflow)
select :namespace, wanted.hook, wanted.workflow
from unnest(:hooks::text[], :workflows::text[]) as wanted (hook, workflow)
on conflict do nothing;

-- name: hooks-of-others(namespace, hooks, workflows)
-- Requested URLs that belong to other workflows.
select hooks.hook, hooks.workflow
from unnest(:hooks::text[], :workflows::text[]) as wanted (hook, workflow)
join hooks on hooks.namespace = :namespace and hooks.hook = wanted.hook
where hooks.workflow <> wanted.workflow
order by hooks.hook;

-- name: triggers-of(namespace, ids)
-- Triggers of the named workflows, including deleted workflows.
select w.id, w.version, w.live, triggers.body
from workflows as w
left join triggers on triggers.namespace = w.namespace and triggers.workflow = w.id
where w.namespace = :namespace and w.id = any(:ids::text[]) and w.version > 0
order by w.id;

-- name: triggers-page(after_namespace, after, count, bytes_max)
-- By namespace and workflow, limited by size.
with page as (
    select
        found.namespace, found.workflow, found.body,
        row_number() over (order by found.namespace, found.workflow) as number,
        sum(octet_length(found.body)) over (order by found.namespace, found.workflow)
            as total_bytes
    from (
        select namespace, workflow, body
        from triggers
        where (namespace, workflow) > (:after_namespace::text, :after::text)
        order by namespace, workflow
        limit :count + 1
    ) as found
)
select body, (select count(*) from page) as held
from page
where number = 1 or (number <= :count and total_bytes <= :bytes_max)
order by namespace, workflow;
