-- What executions are found by besides their own columns: labels, search attributes, input values
-- and errors. Written with the start where there is any, and when one changes. Times are text of
-- one width, so that they are in order; a flag is `true` or `false`.
create table search_values (
    execution_id text collate "C" not null,
    name text collate "C" not null,
    namespace text collate "C" not null,
    text text collate "C",
    number double precision,
    primary key (execution_id, name)
);
create index search_values_text on search_values (namespace, name, text, execution_id);
create index search_values_number on search_values (namespace, name, number, execution_id)
    where number is not null;
create index search_values_words on search_values using gin (to_tsvector('simple', text))
    where name = 'error';
-- Names and their values go together; without this they seem far rarer than they are.
create statistics search_values_by_name (mcv, ndistinct) on namespace, name, text
    from search_values;

-- Most executions end as completed; those that did not are few, and looked for.
create index executions_by_status on executions (namespace, status, id desc) where status <> 4;

-- How long plans ask to keep their executions: read from their bodies once; 0 is not said.
alter table plans add column retention_ms bigint;
alter table plans add column namespace text;
alter table plans add column workflow_id text;
create index plans_kept on plans (namespace, workflow_id) where retention_ms > 0;

-- Namespaces that keep ended executions otherwise than the setting says.
create table retentions (
    namespace text primary key,
    retention_ms bigint not null
);

-- Erasures that were asked for and are not done in all places yet.
create table erasures (
    execution_id text collate "C" primary key,
    namespace text not null,
    request bytea not null
);

-- One action on many executions. `page` are those it is at: decided before they are touched, and
-- counted with the cursor after, so that a restart repeats them and counts them once.
create table bulks (
    id text primary key,
    partition int not null,
    namespace text not null,
    request_id text,
    action bytea not null,
    filter text not null,
    now_us bigint not null,
    status smallint not null,
    matched bigint not null,
    applied bigint not null default 0,
    skipped bigint not null default 0,
    failed bigint not null default 0,
    failures jsonb not null default '[]',
    rate_per_second int not null,
    actor text not null,
    created_at bigint not null,
    ended_at bigint,
    until_id text collate "C" not null,
    cursor text collate "C" not null default '',
    page text[] not null default '{}'
);
create unique index bulks_request on bulks (namespace, request_id) where request_id is not null;
create index bulks_running on bulks (partition) where status = 1;
create index bulks_by_namespace on bulks (namespace, created_at desc);
