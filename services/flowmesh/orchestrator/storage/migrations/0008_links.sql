-- Keys that links to decide approvals are signed with. The newest signs, all are taken.
create table link_keys (
    id int primary key,
    secret bytea not null,
    created_at timestamptz not null default now()
);
