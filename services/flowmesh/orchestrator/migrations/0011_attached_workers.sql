-- Workers that are attached to an owner, for whoever takes its partitions over after a crash. Null
-- is more than can be listed.
create table attached_workers (
    incarnation bigint primary key,
    workers text[]
);
