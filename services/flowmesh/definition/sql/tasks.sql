-- name: make-tasks(namespace, names)!
-- Rows for names that are new, so that there is something to lock.
insert into tasks (namespace, name, version, live)
select :namespace, wanted.name, 0, false from unnest(:names::text[]) as wanted (name)
order by wanted.name
on conflict do nothing;

-- name: lock-tasks(namespace, names)
-- The rows of the names about to be changed, locked in the order of the names.
select tasks.name, tasks.version, tasks.live, newest.digest
from tasks
left join task_versions as newest using (namespace, name, version)
where tasks.namespace = :namespace and tasks.name = any(:names::text[])
order by tasks.name
for update of tasks;

-- name: hold-tasks(namespace, names)
-- Live tasks that a workflow is about to refer to; they cannot change or go until we commit.
select name, version
from tasks
where namespace = :namespace and name = any(:names::text[]) and live
order by name
for share;

-- name: add-task-version(namespace, name, version, digest, type, definition, labels)!
insert into task_versions (namespace, name, version, digest, type, definition, labels)
values (:namespace, :name, :version, :digest, :type, :definition, :labels::text::jsonb);

-- name: set-task-newest(namespace, name, version)!
update tasks set version = :version, live = true
where namespace = :namespace and name = :name;

-- name: task-version(namespace, name, version)^
-- The version asked for, or the newest one where none is named.
select
    found.name, found.version, found.digest, found.type, found.definition,
    found.labels::text as labels, found.created_at
from tasks
join task_versions as found using (namespace, name)
where namespace = :namespace and name = :name and tasks.live
    and found.version = coalesce(nullif(:version::int, 0), tasks.version);

-- name: newest-tasks(namespace, names)
-- The newest versions of those of the names that exist.
select name, version, newest.definition
from tasks
join task_versions as newest using (namespace, name, version)
where namespace = :namespace and name = any(:names::text[]) and tasks.live;

-- name: tasks-page(namespace, after, count, bytes_max)
-- Newest versions by name; a page ends where it would grow too large.
with page as (
    select
        found.name, found.version,
        row_number() over (order by found.name) as number,
        sum(found.size_bytes) over (order by found.name) as total_bytes
    from (
        select name, version, newest.size_bytes
        from tasks
        join task_versions as newest using (namespace, name, version)
        where namespace = :namespace and tasks.live and name > :after
        order by name
        limit :count + 1
    ) as found
)
select
    v.name, v.version, v.digest, v.type, v.definition, v.labels::text as labels, v.created_at,
    (select count(*) from page) as held
from page
join task_versions as v
    on v.namespace = :namespace and v.name = page.name and v.version = page.version
where page.number = 1 or (page.number <= :count and page.total_bytes <= :bytes_max)
order by page.name;

-- name: task-usages(namespace, name)
-- The workflows whose newest version refers to the task.
select workflows.id, workflows.version
from usages
join workflows on workflows.namespace = usages.namespace and workflows.id = usages.workflow
where usages.namespace = :namespace and usages.task = :name
order by workflows.id;

-- name: retire-task(namespace, name)!
update tasks set live = false where namespace = :namespace and name = :name;

-- name: delete-task-versions(namespace, name)!
delete from task_versions where namespace = :namespace and name = :name;
