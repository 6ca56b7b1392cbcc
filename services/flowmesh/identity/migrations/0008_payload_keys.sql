-- Keys that encrypt the values of executions of a namespace, each sealed by the key of the
-- installation. A destroyed key keeps its row, so that no new one takes its place.
create table payload_keys (
    namespace text collate "C" not null,
    number int not null check (number > 0),
    sealed_key bytea not null,
    created_at timestamptz not null default now(),
    primary key (namespace, number)
);

create trigger audit after insert or update or delete on payload_keys
    for each row execute function note_change('namespace,number', 'created_at', 'sealed_key');
