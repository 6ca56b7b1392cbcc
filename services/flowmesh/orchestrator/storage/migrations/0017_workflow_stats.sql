-- Counts and latencies of a workflow, summed over all processes; `stats` is their message.
create table workflow_stats (
    namespace text not null,
    workflow_id text not null,
    stats bytea not null,
    changed_at timestamptz not null default now(),
    primary key (namespace, workflow_id)
);
