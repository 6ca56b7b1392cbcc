-- What the graph of a version looks like: a flowmesh.api.definition.v1.Analysis, made when the
-- version was. Versions of before have none; theirs is made when it is asked for.
create table analyses (
    namespace text collate "C" not null,
    id        text collate "C" not null,
    version   int              not null,
    analysis  bytea            not null,
    primary key (namespace, id, version),
    foreign key (namespace, id, version) references workflow_versions (namespace, id, version)
        on delete cascade
);
