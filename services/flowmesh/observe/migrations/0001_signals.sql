-- Signals of the suite itself. Days are partitions, made ahead and dropped whole.

-- The values of a metric in a minute, by label set; increases of counters and histograms.
create table points (
    at timestamptz not null,
    service text not null,
    instance text not null,
    metric text collate "C" not null,
    gauge boolean not null,
    labels text[] not null,
    amounts real[] not null
) partition by range (at);
create index points_metric on points (metric, at);

-- The same by the hour, over all instances of a service.
create table hours (
    at timestamptz not null,
    service text not null,
    metric text collate "C" not null,
    gauge boolean not null,
    labels text[] not null,
    amounts real[] not null,
    primary key (metric, at, service)
);

create sequence positions;

create table logs (
    position bigint not null default nextval('positions'),
    -- Of the storage; the time of the record is a microsecond instant.
    at timestamptz not null default now(),
    at_us bigint not null,
    level text not null,
    service text not null,
    instance text not null,
    event text not null,
    namespace text not null,
    execution_id text not null,
    trace_id text not null,
    fields text not null
) partition by range (at);
create index logs_position on logs (position);
create index logs_namespace on logs (namespace, position) where namespace <> '';
create index logs_execution on logs (execution_id) where execution_id <> '';
create index logs_trace on logs (trace_id) where trace_id <> '';

create table calls (
    position bigint not null default nextval('positions'),
    at timestamptz not null default now(),
    at_us bigint not null,
    service text not null,
    instance text not null,
    method text not null,
    code text not null,
    duration_ms double precision not null,
    namespace text not null,
    execution_id text not null,
    trace_id text not null
) partition by range (at);
create index calls_position on calls (position);
create index calls_namespace on calls (namespace, position) where namespace <> '';
create index calls_execution on calls (execution_id) where execution_id <> '';
create index calls_trace on calls (trace_id) where trace_id <> '';
