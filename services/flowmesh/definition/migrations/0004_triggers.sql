-- What starts executions of a workflow in its newest version: a flowmesh.api.definition.v1
-- .WorkflowTriggers. Only of workflows that live and have triggers.
create table triggers (
    namespace text collate "C" not null,
    workflow  text collate "C" not null,
    body      bytea            not null,
    primary key (namespace, workflow),
    foreign key (namespace, workflow) references workflows (namespace, id)
);

-- The URLs of webhooks: one workflow has each.
create table hooks (
    namespace text collate "C" not null,
    hook      text collate "C" not null,
    workflow  text collate "C" not null,
    primary key (namespace, hook),
    foreign key (namespace, workflow) references workflows (namespace, id)
);

create index hooks_workflow on hooks (namespace, workflow);
