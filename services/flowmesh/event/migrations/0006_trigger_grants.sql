-- Triggers run with the permissions of the principal that applied their workflow. `grants` counts
-- the principals of one version, so that a late answer does not bring back an earlier one.
alter table trigger_sources add column grants bigint not null default 0;
alter table triggers add column applied_by text not null default '';
