-- name: insert-data-key(namespace, sealed_key, wrapped_by)!
insert into data_keys (namespace, sealed_key, wrapped_by)
values (:namespace, :sealed_key, :wrapped_by)
on conflict do nothing;

-- name: data-key(namespace)^
select sealed_key, wrapped_by from data_keys where namespace = :namespace;

-- name: lock-secrets(namespace)!
-- Lets changes of the secrets of a namespace wait for each other.
select from data_keys where namespace = :namespace for update;

-- name: secret-counts(namespace, name)^
-- The newest version of a name, and the number of other names.
select coalesce(max(version) filter (where name = :name), 0) as newest,
    count(distinct name) filter (where name <> :name) as others
from secrets where namespace = :namespace;

-- name: insert-secret-version(namespace, name, version, sealed, created_by, call)^
insert into secrets (namespace, name, version, sealed, created_by)
values (:namespace, :name, :version, :sealed, :created_by)
returning name, version, created_by, created_at, set_config('flowmesh.call', :call, true);

-- name: delete-old-versions(namespace, name, until, call)!
delete from secrets where namespace = :namespace and name = :name and version <= :until
returning set_config('flowmesh.call', :call, true);

-- name: secrets(namespace, after, count)
-- The newest version of each name.
select distinct on (name) name, version, created_by, created_at from secrets
where namespace = :namespace and name > :after
order by name, version desc
limit :count;

-- name: sealed-secret(namespace, name, version)^
-- A version of a secret, or the newest one for 0.
select version, sealed from secrets
where namespace = :namespace and name = :name and :version in (0, version)
order by version desc
limit 1;

-- name: delete-secret(namespace, name, call)$
with gone as (
    delete from secrets where namespace = :namespace and name = :name
    returning set_config('flowmesh.call', :call, true)
)
select count(*) from gone;

-- name: erase-data-keys(days)!
-- The secrets of namespaces whose project, or a level above it, was deleted long ago.
delete from data_keys where namespace in (
    select p.namespace from projects p
    join organizations o on o.id = p.organization
    join companies c on c.id = p.company
    where least(p.deleted_at, o.deleted_at, c.deleted_at) < now() - make_interval(days => :days)
);

-- name: versions-of-secrets(namespace, name, version, count)
-- The next versions of all secrets, by name and number.
select name, version, sealed, created_by, created_at from secrets
where namespace = :namespace and (name, version) > (:name, :version::int)
order by name, version
limit :count;

-- name: note-export(namespace, import_id, page, secrets, call)!
insert into secret_exports (namespace, import_id, page, secrets, exported_at)
select :namespace, :import_id, :page, :secrets, clock_timestamp()
from (select set_config('flowmesh.call', :call, true)) as called
on conflict (namespace) do update set import_id = excluded.import_id, page = excluded.page,
    secrets = excluded.secrets, exported_at = excluded.exported_at;

-- name: open-import(namespace, import_id, sealed_key, call)!
insert into secret_imports (namespace, import_id, sealed_key)
select :namespace, :import_id, :sealed_key
from (select set_config('flowmesh.call', :call, true)) as called
on conflict (namespace) do update set import_id = excluded.import_id,
    sealed_key = excluded.sealed_key, pages = 0, created_at = now();

-- name: lock-import(namespace, import_id, seconds)^
select sealed_key, pages from secret_imports
where namespace = :namespace and import_id = :import_id
    and created_at > now() - make_interval(secs => :seconds)
for update;

-- name: count-page(namespace, call)!
update secret_imports set pages = pages + 1
where namespace = :namespace and set_config('flowmesh.call', :call, true) is not null;

-- name: end-import(namespace, call)!
delete from secret_imports
where namespace = :namespace and set_config('flowmesh.call', :call, true) is not null;

-- name: delete-secrets(namespace, call)!
delete from secrets
where namespace = :namespace and set_config('flowmesh.call', :call, true) is not null;

-- name: insert-secret-copy(namespace, name, version, sealed, created_by, created_us, call)!
insert into secrets (namespace, name, version, sealed, created_by, created_at)
select :namespace, :name, :version, :sealed, :created_by,
    to_timestamp(:created_us::bigint / 1000000.0)
from (select set_config('flowmesh.call', :call, true)) as called;

-- name: delete-old-imports(seconds)!
delete from secret_imports where created_at < now() - make_interval(secs => :seconds);
