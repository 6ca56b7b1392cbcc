-- A stop may refuse starts as well, as that of a workflow that is not deployed.
alter table dispatch_stops add column refuses_starts boolean not null default false;
