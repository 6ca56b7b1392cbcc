-- Plugins of namespaces. Their content is that of the specs of their agents.
create table plugins (
    namespace text not null,
    plugin text collate "C" not null,
    -- The version that a caller asked for last; one that fails goes back in its spec.
    version text not null,
    pinned boolean not null default false,
    changed_at timestamptz not null default now(),
    primary key (namespace, plugin)
);
create trigger audit after insert or update or delete on plugins for each row
execute function note_change('plugin', 'changed_at');
