-- name: make-templates(namespace, names)!
-- Inserts rows for new names, which can then be locked.
insert into templates (namespace, name, version, live)
select :namespace, wanted.name, 0, false from unnest(:names::text[]) as wanted (name)
order by wanted.name
on conflict do nothing;

-- name: lock-templates(namespace, names)
select templates.name, templates.version, templates.live, newest.digest
from templates
left join template_versions as newest using (namespace, name, version)
where templates.namespace = :namespace and templates.name = any(:names::text[])
order by templates.name
for update of templates;

-- name: add-template-version(namespace, name, version, digest, definition, labels)!
insert into template_versions (namespace, name, version, digest, definition, labels)
values (:namespace, :name, :version, :digest, :definition, :labels::text::jsonb);

-- name: set-template-newest(namespace, name, version)!
update templates set version = :version, live = true
where namespace = :namespace and name = :name;

-- name: template-version(namespace, name, version)^
-- The given version, or the newest one if it is 0.
select
    found.namespace, found.name, found.version, found.digest, found.definition,
    found.labels::text as labels, found.created_at
from templates
join template_versions as found using (namespace, name)
where namespace = :namespace and name = :name and templates.live
    and found.version = coalesce(nullif(:version::int, 0), templates.version);

-- name: templates-page(namespace, after, count, bytes_max)
-- Newest versions by name, limited by size.
with page as (
    select
        found.name, found.version,
        row_number() over (order by found.name) as number,
        sum(found.size_bytes) over (order by found.name) as total_bytes
    from (
        select name, version, newest.size_bytes
        from templates
        join template_versions as newest using (namespace, name, version)
        where namespace = :namespace and templates.live and name > :after
        order by name
        limit :count + 1
    ) as found
)
select
    v.namespace, v.name, v.version, v.digest, v.definition, v.labels::text as labels,
    v.created_at, (select count(*) from page) as held
from page
join template_versions as v
    on v.namespace = :namespace and v.name = page.name and v.version = page.version
where page.number = 1 or (page.number <= :count and page.total_bytes <= :bytes_max)
order by page.name;

-- name: retire-template(namespace, name)$
update templates set live = false
where namespace = :namespace and name = :name and live
returning version;

-- name: delete-template-versions(namespace, name)!
delete from template_versions where namespace = :namespace and name = :name;

-- name: template-counts(namespace, label, count)
-- Counts of workflows by their template (null for none), of all workflows, and of those made
-- from templates.
select
    template, workflows, (sum(workflows) over ())::bigint as total,
    (coalesce(sum(workflows) filter (where template is not null) over (), 0))::bigint as made
from (
    select labels ->> :label as template, count(*) as workflows
    from workflows
    where namespace = :namespace and live
    group by 1
) as counted
order by template is null, workflows desc, template
limit :count;
