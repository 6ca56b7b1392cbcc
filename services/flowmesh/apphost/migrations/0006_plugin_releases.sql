-- The release that uses a plugin: also one that is to serve and is not refused.
alter table plugins add column release int not null default 0;
update plugins p set release = a.release from apps a
where a.namespace = p.namespace and a.app = p.app;
alter table plugins drop constraint plugins_pkey;
alter table plugins add primary key (plugin, namespace, app, release);
