-- What calls of models used, written in the commit that made their answers durable. Rows of deleted
-- executions stay: they are what a namespace is billed by.
create table model_usage (
    namespace text not null,
    execution_id text not null,
    node text not null,
    attempt int not null,
    step int not null,
    provider text not null,
    model text not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    micro_usd bigint not null,
    at timestamptz not null default now(),
    primary key (execution_id, node, attempt, step)
);

create index model_usage_by_day on model_usage (namespace, at);
