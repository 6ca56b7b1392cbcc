create table position (id bigint primary key, position bigint not null) with (fillfactor = 20);
create table partitions (id int primary key, epoch bigint not null);
insert into position values (1, 0);
insert into partitions select id, 1 from generate_series(0, 63) as id;
create table executions (
    id text collate "C" primary key,
    workflow_id text not null,
    request_id text not null,
    ended boolean not null
) with (fillfactor = 80);
create unique index executions_request on executions (request_id);
create table history (
    execution_id text collate "C" not null,
    seq bigint not null,
    events bytea not null,
    primary key (execution_id, seq)
);
create table outbox (
    position bigint primary key,
    execution_ids text[] not null,
    seqs bigint[] not null
);
