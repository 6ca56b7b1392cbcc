-- Limits that are set at run time, emergency stops, and who changed them. The version grows in the
-- statement of each change, and every orchestrator sees it with the renewal of its lease.
create table limits_version (
    only_row boolean primary key default true check (only_row),
    version bigint not null
);
insert into limits_version (version) values (0);

create table limits (
    namespace text not null,
    kind smallint not null,
    subject text not null,
    concurrency int not null,
    rate double precision not null,
    burst int not null,
    weight int not null,
    actor text not null,
    reason text not null,
    updated_at bigint not null,
    primary key (namespace, kind, subject)
);

create table dispatch_stops (
    namespace text not null,
    workflow_id text not null,
    reason text not null,
    actor text not null,
    stopped_at bigint not null,
    primary key (namespace, workflow_id)
);

create table limit_changes (
    id bigint generated always as identity primary key,
    namespace text not null,
    action text not null,
    subject text not null,
    actor text not null,
    reason text not null,
    at bigint not null
);
create index limit_changes_by_namespace on limit_changes (namespace, id desc);
