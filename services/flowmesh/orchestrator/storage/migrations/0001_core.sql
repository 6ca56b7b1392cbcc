-- Ownership: who is alive, and who owns which partition at which epoch.
create table incarnations (
    id bigint generated always as identity primary key,
    address text not null,
    data_dir_id text not null default '',
    position bigint not null default 0,
    lease_until timestamptz not null
) with (fillfactor = 20);

create table partitions (
    id int primary key,
    epoch bigint not null default 0,
    incarnation bigint
);
insert into partitions (id) select generate_series(0, 63);

create table plans (
    digest text primary key,
    body bytea not null
);

-- One row per execution; written at start, at the end, and when its queue or wake_at changes.
create table executions (
    id text collate "C" primary key,
    partition int not null,
    namespace text not null,
    workflow_id text not null,
    workflow_name text not null,
    workflow_version int not null,
    plan_digest text not null,
    status smallint not null,
    request_id text,
    start_digest bytea,
    started_at bigint not null,
    ended_at bigint,
    wake_at bigint,
    ready_since bigint,
    queue text,
    priority smallint
) with (fillfactor = 80);
create unique index executions_request on executions (namespace, request_id)
    where request_id is not null;
create index executions_ready on executions (partition, priority desc, ready_since)
    where ready_since is not null;
create index executions_wake on executions (partition, wake_at) where wake_at is not null;
-- Running executions that wait for nothing; all but none, unless an owner died between two steps.
create index executions_stranded on executions (partition)
    where status = 2 and ready_since is null and wake_at is null;
create index executions_by_workflow on executions (namespace, workflow_id, id desc);
create index executions_by_namespace on executions (namespace, id desc);

-- One row per execution and commit, partitioned by the day (since 1970) the execution started.
create table history (
    start_day int not null,
    execution_id text collate "C" not null,
    seq bigint not null,
    events bytea not null,
    primary key (start_day, execution_id, seq)
) partition by range (start_day);

create table snapshots (
    execution_id text collate "C" primary key,
    seq bigint not null,
    body bytea not null
);

-- One row per commit: the history rows it inserted, for event services that missed the message.
create table outbox (
    incarnation bigint not null,
    position bigint not null,
    execution_ids text[] not null,
    seqs bigint[] not null,
    after bytea,
    primary key (incarnation, position)
);

create table payloads (
    namespace text not null,
    digest text not null,
    encoding text not null,
    size_bytes bigint not null,
    data bytea not null,
    used_at timestamptz not null default now(),
    primary key (namespace, digest)
);
alter table payloads alter column data set storage external;

create table payload_refs (
    namespace text not null,
    digest text not null,
    execution_id text collate "C" not null,
    primary key (namespace, digest, execution_id)
);
