-- The open import of the secrets of a project that moves to this cell, and its private key.
create table secret_imports (
    namespace text collate "C" primary key,
    import_id text not null,
    sealed_key bytea not null,
    -- Pages that are stored.
    pages int not null default 0,
    created_at timestamptz not null default now()
);

-- The last page of secrets that was sealed for another cell.
create table secret_exports (
    namespace text collate "C" primary key,
    import_id text not null,
    page int not null,
    secrets text[] not null,
    exported_at timestamptz not null
);

create trigger audit after insert or update or delete on secret_imports
    for each row execute function note_change('namespace,import_id', 'created_at', 'sealed_key');
create trigger audit after insert or update on secret_exports
    for each row execute function note_change('namespace,import_id', '', '');
