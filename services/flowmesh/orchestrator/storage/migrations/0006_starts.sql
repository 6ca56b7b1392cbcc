-- Executions of workflows whose starts are about one another, as long as a further start depends on
-- them: those that wait to begin (1 to 3, why), those that have begun and not ended (4), and those
-- that have ended and still answer starts with their key (5), until then.
create table starts (
    execution_id text collate "C" primary key,
    partition int not null,
    namespace text not null,
    workflow_id text not null,
    key text not null,
    phase smallint not null,
    place text collate "C" not null,
    concurrency int not null,
    replaces boolean not null,
    debounces boolean not null,
    answers_until bigint not null
);
create index starts_by_partition on starts (partition);

-- Starts that were answered with an execution that another one had created.
create table start_joins (
    namespace text not null,
    request_id text not null,
    execution_id text collate "C" not null,
    start_digest bytea not null,
    primary key (namespace, request_id)
);
create index start_joins_by_execution on start_joins (execution_id);
