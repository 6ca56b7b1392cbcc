-- name: set-label(namespace, workflow, label, version, earlier, moved_by)^
insert into version_labels as old (namespace, workflow, label, version, earlier, moved_by)
values (:namespace, :workflow, :label, :version, :earlier::int[], :moved_by)
on conflict (namespace, workflow, label) do update
set version = excluded.version, earlier = excluded.earlier, moved_by = excluded.moved_by,
    moved_at = now()
returning label, version, earlier, moved_by, moved_at;

-- name: delete-label(namespace, workflow, label)!
delete from version_labels
where namespace = :namespace and workflow = :workflow and label = :label;

-- name: label(namespace, workflow, label)^
select label, version, earlier, moved_by, moved_at from version_labels
where namespace = :namespace and workflow = :workflow and label = :label;

-- name: labels(namespace, workflow)
select label, version, earlier, moved_by, moved_at from version_labels
where namespace = :namespace and workflow = :workflow
order by label;

-- name: version-exists(namespace, id, version)$
select true from workflow_versions
where namespace = :namespace and id = :id and version = :version;

-- name: add-change(namespace, kind, name, action, version, previous_version, label, actor, reason, differences, truncated, call)!
insert into changes (
    namespace, kind, name, action, version, previous_version, label, actor, reason, differences,
    truncated
) values (
    :namespace, :kind, :name, :action, :version, :previous_version, :label, :actor, :reason,
    :differences::text::jsonb, :truncated
)
returning set_config('flowmesh.call', :call, true);

-- name: changes-page(namespace, kind, name, label, before, count, bytes_max)
-- Changes of a name, newest first, limited by size.
with page as (
    select
        found.number,
        row_number() over (order by found.number desc) as place,
        sum(octet_length(found.differences::text)) over (order by found.number desc) as total_bytes
    from (
        select number, differences
        from changes
        where namespace = :namespace and kind = :kind and name = :name and number < :before
            and (:label::text = '' or label = :label::text)
        order by number desc
        limit :count + 1
    ) as found
)
select
    c.number, c.action, c.version, c.previous_version, c.label, c.actor, c.reason,
    c.differences::text as differences, c.truncated, c.changed_at,
    (select count(*) from page) as held
from page
join changes as c
    on c.namespace = :namespace and c.kind = :kind and c.name = :name and c.number = page.number
where page.place = 1 or (page.place <= :count and page.total_bytes <= :bytes_max)
order by page.number desc;

-- name: changed-ever(namespace, kind, name)$
select true from changes
where namespace = :namespace and kind = :kind and name = :name
limit 1;
