-- name: make-workflows(namespace, ids)!
-- Rows for names that are new, so that there is something to lock.
insert into workflows (namespace, id, version, live)
select :namespace, wanted.id, 0, false from unnest(:ids::text[]) as wanted (id)
order by wanted.id
on conflict do nothing;

-- name: lock-workflows(namespace, ids)
-- The rows of the names about to be changed, locked in the order of the names.
select workflows.id, workflows.version, workflows.live, newest.digest
from workflows
left join workflow_versions as newest using (namespace, id, version)
where workflows.namespace = :namespace and workflows.id = any(:ids::text[])
order by workflows.id
for update of workflows;

-- name: add-workflow-version(namespace, id, version, digest, name, format, definition, labels, task_refs)!
insert into workflow_versions (
    namespace, id, version, digest, name, format, definition, labels, task_refs
) values (
    :namespace, :id, :version, :digest, :name, :format, :definition, :labels::text::jsonb,
    :task_refs::text[]
);

-- name: set-workflow-newest(namespace, id, version, labels)!
update workflows
set version = :version, live = true, labels = :labels::text::jsonb
where namespace = :namespace and id = :id;

-- name: clear-usages(namespace, workflow)!
delete from usages where namespace = :namespace and workflow = :workflow;

-- name: add-usages(namespace, workflow, tasks)!
insert into usages (namespace, task, workflow)
select :namespace, wanted.task, :workflow from unnest(:tasks::text[]) as wanted (task);

-- name: workflow-version(namespace, id, version)^
-- The version asked for, or the newest one where none is named.
select
    found.id, found.version, found.digest, found.name, found.format, found.definition,
    found.labels::text as labels, found.created_at
from workflows
join workflow_versions as found using (namespace, id)
where namespace = :namespace and id = :id and workflows.live
    and found.version = coalesce(nullif(:version::int, 0), workflows.version);

-- name: plan-key(namespace, id, version)
-- The version asked for, and the newest version of each task of the library it refers to.
select found.version, tasks.name as task, tasks.version as task_version
from workflows
join workflow_versions as found using (namespace, id)
left join tasks
    on tasks.namespace = found.namespace and tasks.name = any(found.task_refs) and tasks.live
where workflows.namespace = :namespace and workflows.id = :id and workflows.live
    and found.version = coalesce(nullif(:version::int, 0), workflows.version)
order by tasks.name;

-- name: workflows-page(namespace, after, id_exact, id_prefix, labels, count, bytes_max)
-- Newest versions by id; a page ends where it would grow too large, but is never empty for that.
with page as (
    select
        found.id, found.version, found.size_bytes,
        row_number() over (order by found.id) as number,
        sum(found.size_bytes) over (order by found.id) as total_bytes
    from (
        select id, version, newest.size_bytes
        from workflows
        join workflow_versions as newest using (namespace, id, version)
        where namespace = :namespace and workflows.live and id > :after
            and (:id_exact::text = '' or id = :id_exact::text)
            and starts_with(id, :id_prefix::text)
            and workflows.labels @> :labels::text::jsonb
        order by id
        limit :count + 1
    ) as found
)
select
    v.id, v.version, v.digest, v.name, v.format, v.definition, v.labels::text as labels,
    v.created_at, (select count(*) from page) as held
from page
join workflow_versions as v
    on v.namespace = :namespace and v.id = page.id and v.version = page.version
where page.number = 1 or (page.number <= :count and page.total_bytes <= :bytes_max)
order by page.id;

-- name: versions-page(namespace, id, before, count, bytes_max)
-- All versions of one workflow, newest first.
with page as (
    select
        found.version,
        row_number() over (order by found.version desc) as number,
        sum(found.size_bytes) over (order by found.version desc) as total_bytes
    from (
        select version, size_bytes
        from workflow_versions
        where namespace = :namespace and id = :id and version < :before
        order by version desc
        limit :count + 1
    ) as found
)
select
    v.id, v.version, v.digest, v.name, v.format, v.definition, v.labels::text as labels,
    v.created_at, (select count(*) from page) as held
from page
join workflow_versions as v
    on v.namespace = :namespace and v.id = :id and v.version = page.version
where page.number = 1 or (page.number <= :count and page.total_bytes <= :bytes_max)
order by page.version desc;

-- name: workflow-lives(namespace, id)$
select live from workflows where namespace = :namespace and id = :id;

-- name: retire-workflow(namespace, id)$
-- Takes the name out of use; its number stays. Null where there is no such workflow.
update workflows set live = false, labels = '{}'
where namespace = :namespace and id = :id and live
returning id;

-- name: delete-workflow-versions(namespace, id)!
delete from workflow_versions where namespace = :namespace and id = :id;
