-- Quotas of projects; 0 is unlimited.
create table quotas (
    project text primary key references projects on delete cascade,
    starts_per_second bigint not null,
    running_executions bigint not null,
    executions_per_day bigint not null,
    definitions bigint not null,
    file_bytes bigint not null,
    api_keys bigint not null,
    changed_by text not null,
    changed_at timestamptz not null default now()
);

-- Executions by the hour of their start.
create table usage_hours (
    project text not null references projects on delete cascade,
    hour timestamptz not null,
    started bigint not null,
    completed bigint not null,
    failed bigint not null,
    primary key (project, hour)
);
