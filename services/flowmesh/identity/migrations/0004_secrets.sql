-- The key that seals the secrets of a namespace, itself sealed by the key of the installation.
-- Without the row its secrets can never be read again.
create table data_keys (
    namespace text primary key,
    sealed_key bytea not null,
    created_at timestamptz not null default now()
);

create table secrets (
    namespace text not null references data_keys on delete cascade,
    name text collate "C" not null,
    version int not null check (version > 0),
    sealed bytea not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    primary key (namespace, name, version)
);
