-- How many retries the tasks of a workflow, or those that call a host, may make per task that
-- began; 0 is no limit.
alter table limits add column retries double precision not null default 0;
