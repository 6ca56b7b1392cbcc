-- Names, and the number of the newest version ever given out. A deleted name keeps its row, so
-- that a number is never used for two contents.
create table workflows (
    namespace  text collate "C" not null,
    id         text collate "C" not null,
    version    int              not null check (version >= 0),
    live       boolean          not null,
    labels     jsonb            not null default '{}',
    primary key (namespace, id)
);

create index workflows_labels on workflows using gin (labels jsonb_path_ops) where live;

-- Immutable. `definition` is the document as it was posted, as JSON.
create table workflow_versions (
    namespace  text collate "C" not null,
    id         text collate "C" not null,
    version    int              not null check (version > 0),
    digest     text             not null check (digest ~ '^[0-9a-f]{64}$'),
    name       text             not null,
    format     text             not null,
    definition bytea            not null,
    size_bytes int              not null generated always as (octet_length(definition)) stored,
    labels     jsonb            not null,
    task_refs  text[]           not null,
    created_at timestamptz      not null default now(),
    primary key (namespace, id, version),
    foreign key (namespace, id) references workflows (namespace, id)
);

create table tasks (
    namespace  text collate "C" not null,
    name       text collate "C" not null,
    version    int              not null check (version >= 0),
    live       boolean          not null,
    primary key (namespace, name)
);

-- Immutable, like versions of workflows.
create table task_versions (
    namespace  text collate "C" not null,
    name       text collate "C" not null,
    version    int              not null check (version > 0),
    digest     text             not null check (digest ~ '^[0-9a-f]{64}$'),
    type       text             not null,
    definition bytea            not null,
    size_bytes int              not null generated always as (octet_length(definition)) stored,
    labels     jsonb            not null,
    created_at timestamptz      not null default now(),
    primary key (namespace, name, version),
    foreign key (namespace, name) references tasks (namespace, name)
);

-- Which workflows refer to a task in their newest version.
create table usages (
    namespace text collate "C" not null,
    task      text collate "C" not null,
    workflow  text collate "C" not null,
    primary key (namespace, task, workflow),
    foreign key (namespace, workflow) references workflows (namespace, id),
    foreign key (namespace, task) references tasks (namespace, name)
);

create index usages_workflow on usages (namespace, workflow);

-- Answers of mutating calls by their request id, for as long as a caller may repeat itself.
create table requests (
    namespace  text collate "C" not null,
    request_id text collate "C" not null,
    content    text             not null,
    answer     bytea            not null,
    created_at timestamptz      not null default now(),
    primary key (namespace, request_id)
);

create index requests_created_at on requests (created_at);
