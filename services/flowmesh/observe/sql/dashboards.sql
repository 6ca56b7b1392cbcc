-- name: set-dashboard(namespace, name, document, body, most, call)$
-- Null if the namespace is full.
insert into dashboards (namespace, name, document, body)
select :namespace::text, :name::text, :document::text, :body::bytea
where (select count(*) from dashboards
       where namespace = :namespace::text and name <> :name::text) < :most::int
on conflict (namespace, name) do update set document = excluded.document, body = excluded.body
returning set_config('flowmesh.call', :call, true) is not null;

-- name: delete-dashboard(namespace, name, call)$
delete from dashboards where namespace = :namespace and name = :name
returning set_config('flowmesh.call', :call, true) is not null;

-- name: dashboard(namespace, name)^
select document, body from dashboards where namespace = :namespace and name = :name;

-- name: dashboards(namespace)
select body from dashboards where namespace = :namespace order by name;
