-- The key that wraps a data key, with its version; empty for the key file of the installation.
alter table payload_keys add column wrapped_by text collate "C" not null default '';
alter table data_keys add column wrapped_by text collate "C" not null default '';

create trigger audit after update on data_keys
    for each row execute function note_change('namespace', 'created_at', 'sealed_key');
