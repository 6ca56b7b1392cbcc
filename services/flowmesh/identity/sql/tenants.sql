-- name: insert-company(id, slug, name, request_id, call)^
insert into companies (id, slug, name, request_id)
values (:id, :slug, :name, :request_id)
on conflict do nothing
returning *, set_config('flowmesh.call', :call, true);

-- name: company(id)^
select * from companies where id = :id and deleted_at is null;

-- name: company-of-request(request_id)^
select * from companies where request_id = :request_id and deleted_at is null;

-- name: companies(user_id, after, count)
-- Companies of which the user has a role on any level; all of them for a role on the installation.
select c.* from companies c
where c.deleted_at is null and c.slug > :after and (
    :user_id::text is null
    or exists (
        select from grants g where g.user_id = :user_id and (
            g.level = 0
            or g.level = 1 and g.level_id = c.id
            or g.level = 2 and g.level_id in (select id from organizations where company = c.id)
            or g.level = 3 and g.level_id in (select id from projects where company = c.id)
        )
    )
)
order by c.slug
limit :count;

-- name: update-company(id, slug, name, etag, call)^
update companies
set slug = coalesce(nullif(:slug, ''), slug), name = coalesce(nullif(:name, ''), name),
    etag = etag + 1
where id = :id and deleted_at is null and (:etag::int is null or etag = :etag)
returning *, set_config('flowmesh.call', :call, true);

-- name: delete-company(id, etag, call)$
update companies set deleted_at = now()
where id = :id and deleted_at is null and (:etag::int is null or etag = :etag)
returning true, set_config('flowmesh.call', :call, true);

-- name: insert-organization(id, company, slug, name, request_id, call)^
insert into organizations (id, company, slug, name, request_id)
values (:id, :company, :slug, :name, :request_id)
on conflict do nothing
returning *, set_config('flowmesh.call', :call, true);

-- name: organization(id)^
select o.* from organizations o join companies c on c.id = o.company
where o.id = :id and o.deleted_at is null and c.deleted_at is null;

-- name: organization-of-request(company, request_id)^
select * from organizations
where company = :company and request_id = :request_id and deleted_at is null;

-- name: organizations(company, after, count)
select * from organizations
where company = :company and deleted_at is null and slug > :after
order by slug
limit :count;

-- name: update-organization(id, slug, name, etag, call)^
update organizations
set slug = coalesce(nullif(:slug, ''), slug), name = coalesce(nullif(:name, ''), name),
    etag = etag + 1
where id = :id and deleted_at is null and (:etag::int is null or etag = :etag)
returning *, set_config('flowmesh.call', :call, true);

-- name: delete-organization(id, etag, call)$
update organizations set deleted_at = now()
where id = :id and deleted_at is null and (:etag::int is null or etag = :etag)
returning true, set_config('flowmesh.call', :call, true);

-- name: insert-project(id, organization, company, slug, name, namespace, request_id, call)^
insert into projects (id, organization, company, slug, name, namespace, request_id)
values (:id, :organization, :company, :slug, :name, :namespace, :request_id)
on conflict do nothing
returning *, set_config('flowmesh.call', :call, true);

-- name: project(id)^
select p.* from projects p
join organizations o on o.id = p.organization
join companies c on c.id = p.company
where p.id = :id and p.deleted_at is null and o.deleted_at is null and c.deleted_at is null;

-- name: project-of-request(organization, request_id)^
select * from projects
where organization = :organization and request_id = :request_id and deleted_at is null;

-- name: project-of-namespace(namespace)^
select * from projects where namespace = :namespace;

-- name: projects(organization, after, count)
select * from projects
where organization = :organization and deleted_at is null and slug > :after
order by slug
limit :count;

-- name: update-project(id, slug, name, etag, call)^
update projects
set slug = coalesce(nullif(:slug, ''), slug), name = coalesce(nullif(:name, ''), name),
    etag = etag + 1
where id = :id and deleted_at is null and (:etag::int is null or etag = :etag)
returning *, set_config('flowmesh.call', :call, true);

-- name: delete-project(id, etag, call)$
update projects set deleted_at = now()
where id = :id and deleted_at is null and (:etag::int is null or etag = :etag)
returning true, set_config('flowmesh.call', :call, true);

-- name: erase-tenants(days)!
-- Projects keep their row: their namespace is never given out again.
with gone as (
    delete from companies
    where deleted_at < now() - make_interval(days => :days)
        and not exists (select from projects where company = companies.id)
    returning id
)
delete from organizations
where deleted_at < now() - make_interval(days => :days)
    and not exists (select from projects where organization = organizations.id);
