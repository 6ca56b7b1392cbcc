-- name: make-workflows(namespace, ids)!
-- Inserts rows for new names, which can then be locked.
insert into workflows (namespace, id, version, live)
select :namespace, wanted.id, 0, false from unnest(:ids::text[]) as wanted (id)
order by wanted.id
on conflict do nothing;

-- name: lock-workflows(namespace, ids)
-- Locks the rows of the names to be changed, in the order of the names.
select workflows.id, workflows.version, workflows.live, newest.digest
from workflows
left join workflow_versions as newest using (namespace, id, version)
where workflows.namespace = :namespace and workflows.id = any(:ids::text[])
order by workflows.id
for update of workflows;

-- name: namespaces()
select namespace from workflows where live union select namespace from tasks where live;

-- name: count-workflows(namespace)$
select count(*) from workflows where namespace = :namespace and live;

-- name: add-workflow-version(namespace, id, version, digest, name, format, definition, labels)!
insert into workflow_versions (namespace, id, version, digest, name, format, definition, labels)
values (
    :namespace, :id, :version, :digest, :name, :format, :definition, :labels::text::jsonb
);

-- name: set-workflow-source(namespace, id, version, content_type, text)!
insert into workflow_sources (namespace, id, version, content_type, text)
values (:namespace, :id, :version, :content_type, :text)
on conflict (namespace, id, version) do update
set content_type = excluded.content_type, text = excluded.text
where workflow_sources.text <> excluded.text;

-- name: workflow-source(namespace, id, version)^
select content_type, text from workflow_sources
where namespace = :namespace and id = :id and version = :version;

-- name: set-workflow-newest(namespace, id, version, labels)!
update workflows
set version = :version, live = true, labels = :labels::text::jsonb
where namespace = :namespace and id = :id;

-- name: add-task-uses(namespace, workflow, version, task_namespaces, tasks, task_versions)!
insert into task_uses (namespace, workflow, version, task_namespace, task, task_version)
select :namespace, :workflow, :version, used.task_namespace, used.task, used.task_version
from unnest(:task_namespaces::text[], :tasks::text[], :task_versions::int[])
    as used (task_namespace, task, task_version);

-- name: workflow-version-number(namespace, id, version, label)$
-- The version for a number, a label or, without both, the newest. The version of a Serverless
-- Workflow document is a label too: it means the newest with that document version.
select found.version
from workflows
join workflow_versions as found using (namespace, id)
where namespace = :namespace and id = :id and workflows.live and found.version = case
    when :label::text <> '' then coalesce(
        (
            select label.version from version_labels as label
            where label.namespace = :namespace and label.workflow = :id
                and label.label = :label::text
        ),
        (
            select max(document.version) from workflow_versions as document
            where document.namespace = :namespace and document.id = :id
                and document.format = 'serverless'
                and document.labels ->> 'version' = :label::text
        )
    )
    else coalesce(nullif(:version::int, 0), workflows.version)
end;

-- name: workflow-version(namespace, id, version)^
select
    id, version, digest, name, format, definition, labels::text as labels, created_at
from workflow_versions
where namespace = :namespace and id = :id and version = :version;

-- name: workflow-versions-of(namespaces, ids, versions)
-- Definitions of several versions.
select v.namespace, v.id, v.version, v.definition
from workflow_versions as v
where (v.namespace, v.id, v.version) in (
    select * from unnest(:namespaces::text[], :ids::text[], :versions::int[])
);

-- name: plan-key(namespace, id, version, label)
-- The given version, and the current version of each of its tasks.
select
    found.version, uses.task_namespace, uses.task, uses.task_version as pinned,
    coalesce(nullif(uses.task_version, 0), tasks.version) as task_version
from workflows
join workflow_versions as found using (namespace, id)
left join task_uses as uses
    on uses.namespace = found.namespace and uses.workflow = found.id
    and uses.version = found.version
left join tasks
    on tasks.namespace = uses.task_namespace and tasks.name = uses.task and tasks.live
where workflows.namespace = :namespace and workflows.id = :id and workflows.live
    and found.version = case
        when :label::text <> '' then coalesce(
            (
                select label.version from version_labels as label
                where label.namespace = :namespace and label.workflow = :id
                    and label.label = :label::text
            ),
            (
                select max(document.version) from workflow_versions as document
                where document.namespace = :namespace and document.id = :id
                    and document.format = 'serverless'
                    and document.labels ->> 'version' = :label::text
            )
        )
        else coalesce(nullif(:version::int, 0), workflows.version)
    end
order by uses.task_namespace, uses.task, uses.task_version;

-- name: workflows-page(namespace, after, id_exact, id_prefix, labels, count, bytes_max)
-- Newest versions by id, limited by size; a page holds at least one.
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
-- Deletes the name but keeps its number. Null if there is no such workflow.
update workflows set live = false, labels = '{}'
where namespace = :namespace and id = :id and live
returning id;

-- name: delete-workflow-versions(namespace, id)!
delete from workflow_versions where namespace = :namespace and id = :id;
