-- Labels point to versions of a workflow and can be moved. `earlier` are the versions that one
-- pointed to before, the newest first: what rollbacks go back to.
create table version_labels (
    namespace text collate "C" not null,
    workflow  text collate "C" not null,
    label     text collate "C" not null,
    version   int              not null,
    earlier   int[]            not null default '{}',
    moved_by  text             not null default '',
    moved_at  timestamptz      not null default now(),
    primary key (namespace, workflow, label),
    foreign key (namespace, workflow, version)
        references workflow_versions (namespace, id, version) on delete cascade
);

create index version_labels_version on version_labels (namespace, workflow, version);

-- What was done to definitions, by whom and why. It outlives what it tells of.
create table changes (
    number           bigint           not null generated always as identity,
    namespace        text collate "C" not null,
    kind             text             not null,
    name             text collate "C" not null,
    action           smallint         not null check (action between 1 and 6),
    version          int              not null,
    previous_version int              not null,
    label            text             not null default '',
    actor            text             not null default '',
    reason           text             not null default '',
    differences      jsonb            not null default '[]',
    truncated        boolean          not null default false,
    changed_at       timestamptz      not null default now(),
    primary key (namespace, kind, name, number)
);

-- Which task each version of a workflow refers to; `task_version` 0 is whatever is the newest.
create table task_uses (
    namespace      text collate "C" not null,
    workflow       text collate "C" not null,
    version        int              not null,
    task_namespace text collate "C" not null,
    task           text collate "C" not null,
    task_version   int              not null check (task_version >= 0),
    primary key (namespace, workflow, version, task_namespace, task, task_version),
    foreign key (namespace, workflow, version)
        references workflow_versions (namespace, id, version) on delete cascade,
    foreign key (task_namespace, task) references tasks (namespace, name)
);

create index task_uses_task on task_uses (task_namespace, task, namespace, workflow);

insert into task_uses (namespace, workflow, version, task_namespace, task, task_version)
select v.namespace, v.id, v.version, v.namespace, used.task, 0
from workflow_versions as v
cross join lateral unnest(v.task_refs) as used (task)
join tasks on tasks.namespace = v.namespace and tasks.name = used.task
on conflict do nothing;

drop table usages;
alter table workflow_versions drop column task_refs;

-- Who may refer to a task, as its newest version says.
alter table tasks add column visibility text not null default 'namespace'
    check (visibility in ('private', 'namespace', 'public'));

create index tasks_public on tasks (namespace, name) where live and visibility = 'public';

-- Workflows with parameters, to make workflows from.
create table templates (
    namespace  text collate "C" not null,
    name       text collate "C" not null,
    version    int              not null check (version >= 0),
    live       boolean          not null,
    primary key (namespace, name)
);

create table template_versions (
    namespace  text collate "C" not null,
    name       text collate "C" not null,
    version    int              not null check (version > 0),
    digest     text             not null check (digest ~ '^[0-9a-f]{64}$'),
    definition bytea            not null,
    size_bytes int              not null generated always as (octet_length(definition)) stored,
    labels     jsonb            not null,
    created_at timestamptz      not null default now(),
    primary key (namespace, name, version),
    foreign key (namespace, name) references templates (namespace, name)
);
