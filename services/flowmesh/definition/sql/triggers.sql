-- name: set-triggers(namespace, workflow, body)!
-- Those of the newest version; an empty body is none.
with gone as (
    delete from triggers
    where namespace = :namespace and workflow = :workflow and length(:body::bytea) = 0
)
insert into triggers (namespace, workflow, body)
select :namespace, :workflow, :body::bytea where length(:body::bytea) > 0
on conflict (namespace, workflow) do update set body = excluded.body;

-- name: free-hooks(namespace, workflow)!
delete from hooks where namespace = :namespace and workflow = :workflow;

-- name: take-hooks(namespace, workflow, hooks)!
insert into hooks (namespace, hook, workflow)
select :namespace, wanted.hook, :workflow from unnest(:hooks::text[]) as wanted (hook)
order by wanted.hook
on conflict do nothing;

-- name: hooks-of-others(namespace, workflow, hooks)
select hook, workflow from hooks
where namespace = :namespace and hook = any(:hooks::text[]) and workflow <> :workflow
order by hook;

-- name: triggers-of(namespace, ids)
-- Of the names, deleted ones included.
select w.id, w.version, w.live, triggers.body
from workflows as w
left join triggers on triggers.namespace = w.namespace and triggers.workflow = w.id
where w.namespace = :namespace and w.id = any(:ids::text[]) and w.version > 0
order by w.id;

-- name: triggers-page(after_namespace, after, count)
select namespace, workflow, body
from triggers
where (namespace, workflow) > (:after_namespace::text, :after::text)
order by namespace, workflow
limit :count;
