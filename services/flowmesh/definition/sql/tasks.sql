-- name: make-tasks(namespace, names)!
-- Inserts rows for new names, which can then be locked.
insert into tasks (namespace, name, version, live)
select :namespace, wanted.name, 0, false from unnest(:names::text[]) as wanted (name)
order by wanted.name
on conflict do nothing;

-- name: lock-tasks(namespaces, names)
-- Locks the rows to be changed and those that the check depends on, in one order.
select tasks.namespace, tasks.name, tasks.version, tasks.live, newest.digest
from tasks
left join task_versions as newest using (namespace, name, version)
where (tasks.namespace, tasks.name) in (
    select * from unnest(:namespaces::text[], :names::text[])
)
order by tasks.namespace, tasks.name
for update of tasks;

-- name: hold-tasks(namespaces, names)
-- Locks tasks that a workflow refers to against change and deletion until the commit.
select namespace, name
from tasks
where (namespace, name) in (select * from unnest(:namespaces::text[], :names::text[]))
order by namespace, name
for share;

-- name: add-task-version(namespace, name, version, digest, type, definition, labels)!
insert into task_versions (namespace, name, version, digest, type, definition, labels)
values (:namespace, :name, :version, :digest, :type, :definition, :labels::text::jsonb);

-- name: set-task-newest(namespace, name, version, visibility)!
update tasks set version = :version, live = true, visibility = :visibility
where namespace = :namespace and name = :name;

-- name: task-version(namespace, name, version)^
-- The given version, or the newest one if it is 0.
select
    found.namespace, found.name, found.version, found.digest, found.type, found.definition,
    found.labels::text as labels, found.created_at, tasks.visibility
from tasks
join task_versions as found using (namespace, name)
where namespace = :namespace and name = :name and tasks.live
    and found.version = coalesce(nullif(:version::int, 0), tasks.version);

-- name: tasks-referred-to(namespaces, names, versions)
-- The current target of each reference: the version it names, or the newest if it is unpinned.
select
    wanted.namespace, wanted.name, wanted.version as pinned, found.version, tasks.visibility,
    found.definition
from unnest(:namespaces::text[], :names::text[], :versions::int[])
    as wanted (namespace, name, version)
join tasks on tasks.namespace = wanted.namespace and tasks.name = wanted.name and tasks.live
join task_versions as found
    on found.namespace = wanted.namespace and found.name = wanted.name
    and found.version = coalesce(nullif(wanted.version, 0), tasks.version);

-- name: tasks-referred-to-at(namespaces, names, versions, moment)
-- The target of each reference at a moment.
select
    wanted.namespace, wanted.name, wanted.version as pinned, found.version, tasks.visibility,
    found.definition
from unnest(:namespaces::text[], :names::text[], :versions::int[])
    as wanted (namespace, name, version)
join tasks on tasks.namespace = wanted.namespace and tasks.name = wanted.name
cross join lateral (
    select version, definition from task_versions as v
    where v.namespace = wanted.namespace and v.name = wanted.name
        and v.version = coalesce(nullif(wanted.version, 0), v.version)
        and (wanted.version > 0 or v.created_at <= :moment)
    order by v.version desc
    limit 1
) as found;

-- name: resolve-references(namespaces, names, versions)
-- The current target of each reference, without its definition.
select
    wanted.namespace, wanted.name, wanted.version as pinned, found.version, tasks.visibility
from unnest(:namespaces::text[], :names::text[], :versions::int[])
    as wanted (namespace, name, version)
join tasks on tasks.namespace = wanted.namespace and tasks.name = wanted.name and tasks.live
join task_versions as found
    on found.namespace = wanted.namespace and found.name = wanted.name
    and found.version = coalesce(nullif(wanted.version, 0), tasks.version);

-- name: tasks-page(namespace, after, shared, visible, count, bytes_max)
-- Newest versions by name, limited by size. With `shared` the public ones of the `visible`
-- namespaces, of all for null, else those of one; `after` is a namespace and a name.
with page as (
    select
        found.namespace, found.name, found.version,
        row_number() over (order by found.namespace, found.name) as number,
        sum(found.size_bytes) over (order by found.namespace, found.name) as total_bytes
    from (
        select namespace, name, version, newest.size_bytes
        from tasks
        join task_versions as newest using (namespace, name, version)
        where tasks.live
            and (
                not :shared and namespace = :namespace
                or :shared and visibility = 'public'
                    and (:visible::text[] is null or namespace = any(:visible::text[]))
            )
            and (namespace, name) > (split_part(:after, '/', 1), split_part(:after, '/', 2))
        order by namespace, name
        limit :count + 1
    ) as found
)
select
    v.namespace, v.name, v.version, v.digest, v.type, v.definition, v.labels::text as labels,
    v.created_at, tasks.visibility, (select count(*) from page) as held
from page
join task_versions as v
    on v.namespace = page.namespace and v.name = page.name and v.version = page.version
join tasks on tasks.namespace = page.namespace and tasks.name = page.name
where page.number = 1 or (page.number <= :count and page.total_bytes <= :bytes_max)
order by page.namespace, page.name;

-- name: task-versions-page(namespace, name, before, count, bytes_max)
-- All versions of one task, newest first.
with page as (
    select
        found.version,
        row_number() over (order by found.version desc) as number,
        sum(found.size_bytes) over (order by found.version desc) as total_bytes
    from (
        select version, size_bytes
        from task_versions
        where namespace = :namespace and name = :name and version < :before
        order by version desc
        limit :count + 1
    ) as found
)
select
    v.namespace, v.name, v.version, v.digest, v.type, v.definition, v.labels::text as labels,
    v.created_at, tasks.visibility, (select count(*) from page) as held
from page
join task_versions as v
    on v.namespace = :namespace and v.name = :name and v.version = page.version
join tasks on tasks.namespace = v.namespace and tasks.name = v.name
where page.number = 1 or (page.number <= :count and page.total_bytes <= :bytes_max)
order by page.version desc;

-- name: task-users(namespace, names)
-- The versions in use (the newest, and those with a label) that refer to one of the tasks.
select * from (
    select
        uses.namespace, uses.workflow as workflow_id, uses.version, uses.task, uses.task_version,
        exists (
            select from version_labels as label
            where label.namespace = uses.namespace and label.workflow = uses.workflow
                and label.version = uses.version
        ) as labelled,
        uses.version = workflows.version as newest
    from task_uses as uses
    join workflows on workflows.namespace = uses.namespace and workflows.id = uses.workflow
    where uses.task_namespace = :namespace and uses.task = any(:names::text[])
) as users
where newest or labelled
order by namespace, workflow_id, version, task, task_version;

-- name: task-usages-page(namespace, name, task_version, visible, after_namespace, after_workflow, after_version, count)
-- A page of the versions in use that refer to a task; with task_version 0, to any version of it.
select
    uses.namespace, uses.workflow, uses.version, max(uses.task_version) as task_version,
    uses.version = max(workflows.version) as newest,
    array(
        select label.label from version_labels as label
        where label.namespace = uses.namespace and label.workflow = uses.workflow
            and label.version = uses.version
        order by label.label
    ) as labels
from task_uses as uses
join workflows on workflows.namespace = uses.namespace and workflows.id = uses.workflow
where uses.task_namespace = :namespace and uses.task = :name
    and (:visible::text[] is null or uses.namespace = any(:visible::text[]))
    and (:task_version::int = 0 or uses.task_version = :task_version::int)
    and (uses.namespace, uses.workflow, uses.version)
        > (:after_namespace, :after_workflow, :after_version::int)
    and (
        uses.version = workflows.version
        or exists (
            select from version_labels as label
            where label.namespace = uses.namespace and label.workflow = uses.workflow
                and label.version = uses.version
        )
    )
group by uses.namespace, uses.workflow, uses.version
order by uses.namespace, uses.workflow, uses.version
limit :count + 1;

-- name: delete-task-version(namespace, name, version)!
delete from task_versions
where namespace = :namespace and name = :name and version = :version;

-- name: retire-task(namespace, name)!
update tasks set live = false where namespace = :namespace and name = :name;

-- name: delete-task-versions(namespace, name)!
delete from task_versions where namespace = :namespace and name = :name;
