-- Each further queue and priority in which an execution has open tasks; the first is in its row.
create table ready (
    partition int not null,
    namespace text not null,
    queue text not null,
    priority smallint not null,
    ready_since bigint not null,
    execution_id text collate "C" not null,
    primary key (execution_id, queue, priority)
);
create index ready_by_lane on ready
    (partition, namespace, queue, priority, ready_since, execution_id);

drop index executions_ready;
create index executions_ready on executions
    (partition, namespace, queue, priority, ready_since, id) where ready_since is not null;
