-- Signals with a key that no execution waited for, until one waits or they expire. `payload` and
-- `digest` are of the message; `bytes` counts inline and stored values. `try_at` delays a repeat.
create table kept_signals (
    seq bigint generated always as identity primary key,
    namespace text not null,
    name text collate "C" not null,
    request_id text not null,
    payload bytea not null,
    digest text not null default '',
    bytes bigint not null,
    actor text not null,
    expires_at timestamptz not null,
    try_at timestamptz not null default now(),
    unique (namespace, request_id)
);
create index kept_signals_name on kept_signals (namespace, name, seq);
create index kept_signals_digest on kept_signals (namespace, digest) where digest <> '';
create index kept_signals_expiry on kept_signals (expires_at);
