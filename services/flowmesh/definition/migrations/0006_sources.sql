-- The texts that versions were applied from, with their comments. A version that was posted as the
-- JSON of its definition has none.
create table workflow_sources (
    namespace    text collate "C" not null,
    id           text collate "C" not null,
    version      int              not null,
    content_type text             not null,
    text         bytea            not null,
    primary key (namespace, id, version),
    foreign key (namespace, id, version) references workflow_versions (namespace, id, version)
        on delete cascade
);
