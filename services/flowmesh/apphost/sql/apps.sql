-- name: lock-namespace(namespace)!
select pg_advisory_xact_lock(hashtextextended('flowmesh.apphost ' || :namespace, 0));

-- name: count-others(namespace, app)$
select count(*) from apps where namespace = :namespace and app <> :app and not deleted;

-- name: insert-app(namespace, app)!
insert into apps (namespace, app) values (:namespace, :app) on conflict do nothing;

-- name: lock-app(namespace, app)^
select * from apps where namespace = :namespace and app = :app for update;

-- name: app(namespace, app)^
select a.*, coalesce(r.state, 0) as wanted_state from apps a
left join releases r on r.namespace = a.namespace and r.app = a.app and r.release = a.wanted
where a.namespace = :namespace and a.app = :app and not a.deleted;

-- name: apps(namespace)
select a.*, coalesce(r.state, 0) as wanted_state from apps a
left join releases r on r.namespace = a.namespace and r.app = a.app and r.release = a.wanted
where a.namespace = :namespace and not a.deleted
order by a.app;

-- name: all-apps()
select a.*, coalesce(r.state, 0) as wanted_state from apps a
left join releases r on r.namespace = a.namespace and r.app = a.app and r.release = a.wanted
order by a.namespace, a.app;

-- name: insert-release(namespace, app, release, state, digest, content, environment, files, variables, size_bytes, created_by, rights, maker, role, call)!
insert into releases (
    namespace, app, release, state, digest, content, environment, files, variables, size_bytes,
    created_by, rights, maker, role
) values (
    :namespace, :app, :release, :state, :digest, :content, :environment, :files, :variables,
    :size_bytes, :created_by, :rights, :maker, :role
) returning set_config('flowmesh.call', :call, true);

-- name: want-new(namespace, app, release, stopped)!
-- Without an entry of its own in the audit log: the release has one.
update apps set wanted = :release, newest = :release, stopped = :stopped, changed_at = now()
where namespace = :namespace and app = :app;

-- name: note-export(namespace, app, call)!
update apps set exported_at = clock_timestamp() where namespace = :namespace and app = :app
returning set_config('flowmesh.call', :call, true);

-- name: want-again(namespace, app, release, call)!
update apps set wanted = :release, stopped = false, changed_at = now()
where namespace = :namespace and app = :app
returning set_config('flowmesh.call', :call, true);

-- name: pend-again(namespace, app, release, pending)!
update releases set state = :pending, problem = '', findings = '[]'
where namespace = :namespace and app = :app and release = :release;

-- name: set-stopped(namespace, app, stopped, call)!
update apps set stopped = :stopped, changed_at = now()
where namespace = :namespace and app = :app and stopped <> :stopped
returning set_config('flowmesh.call', :call, true);

-- name: set-deleted(namespace, app, call)!
update apps set deleted = true where namespace = :namespace and app = :app
returning set_config('flowmesh.call', :call, true);

-- name: remove(namespace, app)!
delete from apps where namespace = :namespace and app = :app;

-- name: ports()
select port, namespace, app, server from ports;

-- name: free-ports(namespace, app)!
delete from ports where namespace = :namespace and app = :app;

-- name: reserve-ports(namespace, app, servers, ports)!
insert into ports (namespace, app, server, port)
select :namespace, :app, server, port
from unnest(:servers::text[], :ports::int[]) as p (server, port);

-- name: note-plugins(namespace, app, release, plugins)
insert into plugins (namespace, app, release, plugin)
select :namespace, :app, :release, unnest(:plugins::text[])
on conflict do nothing
returning plugin;

-- name: free-plugins(namespace, app, release)!
delete from plugins where namespace = :namespace and app = :app and release = :release;

-- name: use-plugins(namespace, app, release, plugins)!
-- Those of the release that serves, in place of all that are noted.
delete from plugins where namespace = :namespace and app = :app
    and not (release = :release and plugin = any(:plugins::text[]));

-- name: uses-of-plugin(plugin, namespace)
select namespace, app, release from plugins
where plugin = :plugin and (:namespace = '' or namespace = :namespace)
order by namespace, app, release;

-- name: set-state(namespace, app, state, problem, addresses, pid, restarts)!
update apps set state = :state, problem = :problem, addresses = :addresses, pid = :pid,
    restarts = :restarts, changed_at = now()
where namespace = :namespace and app = :app;

-- name: forget-processes(running, starting)!
update apps set state = :starting, pid = 0, changed_at = now() where state = :running;

-- name: replace(namespace, app, release, serving, replaced)!
update releases set state = :replaced
where namespace = :namespace and app = :app and release <> :release and state = :serving;

-- name: serve(namespace, app, release, serving, warnings)!
update releases set state = :serving, warnings = :warnings, served = 1 + (
    select max(served) from releases o where o.namespace = :namespace and o.app = :app
)
where namespace = :namespace and app = :app and release = :release;

-- name: set-release(namespace, app, release)!
update apps set release = :release where namespace = :namespace and app = :app;

-- name: supersede(namespace, app, release, pending, refused, problem)!
-- Pending releases before the wanted one.
update releases set state = :refused, problem = :problem
where namespace = :namespace and app = :app and release < :release and state = :pending;

-- name: refuse(namespace, app, release, refused, problem, findings)!
update releases set state = :refused, problem = :problem, findings = :findings
where namespace = :namespace and app = :app and release = :release;

-- name: restore(namespace, app, release, call)!
update apps set wanted = :release, release = :release
where namespace = :namespace and app = :app
returning set_config('flowmesh.call', :call, true);

-- name: mark-serving(namespace, app, release, serving)!
update releases set state = :serving
where namespace = :namespace and app = :app and release = :release;

-- name: release(namespace, app, release)^
select * from releases where namespace = :namespace and app = :app and release = :release;

-- name: releases(namespace, app)
select namespace, app, release, state, digest, problem, findings, warnings, files, variables,
    size_bytes, created_by, created_at, rights, maker, role
from releases where namespace = :namespace and app = :app order by release desc;

-- name: previous(namespace, app, release, replaced)$
-- The release that served last, apart from one.
select release from releases
where namespace = :namespace and app = :app and release <> :release and served > 0
    and state = :replaced
order by served desc limit 1;

-- name: forget(namespace, app, kept, serving, pending)!
-- Old releases, except the serving one and those that are to serve.
delete from releases where namespace = :namespace and app = :app and state <> :serving
    and state <> :pending and release not in (
        select release from releases where namespace = :namespace and app = :app
        order by release desc limit :kept
    );
