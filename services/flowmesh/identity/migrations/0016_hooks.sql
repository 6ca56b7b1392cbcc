-- The plugin that adds claims to those of a provider; empty is none.
alter table identity_providers add column hook text not null default '';
