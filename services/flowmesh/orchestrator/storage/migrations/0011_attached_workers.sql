-- Workers that are attached to an owner, for whoever takes its partitions over after a crash. Null
-- where they cannot all be listed.
create table attached_workers (
    incarnation bigint primary key,
    workers text[]
);
