-- Users and groups that identity providers provision (SCIM 2.0).
create table scim_users (
    provider text not null references identity_providers on delete cascade,
    company text not null references companies on delete cascade,
    user_id text not null references users on delete cascade,
    user_name text not null,
    external_id text not null,
    active boolean not null,
    -- A deleted user is disabled; its name comes back to it.
    deleted boolean not null default false,
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    primary key (provider, user_id)
);
create unique index scim_users_name on scim_users (provider, lower(user_name));
create index scim_users_external on scim_users (provider, external_id);

create table scim_groups (
    id text primary key,
    provider text not null references identity_providers on delete cascade,
    company text not null references companies on delete cascade,
    display_name text not null,
    external_id text not null,
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now()
);
create index scim_groups_provider on scim_groups (provider, id);

create table scim_members (
    group_id text not null references scim_groups on delete cascade,
    provider text not null,
    company text not null references companies on delete cascade,
    user_id text not null,
    primary key (group_id, user_id),
    foreign key (provider, user_id) references scim_users on delete cascade
);
create index scim_members_user on scim_members (provider, user_id);

-- The provider that disabled a user, which alone enables it again; empty for an administrator.
alter table users add column disabled_by text not null default '';

create trigger audit after insert or update or delete on scim_users
    for each row execute function note_change('provider,user_id', 'created_at,changed_at', '');
create trigger audit after insert or update or delete on scim_groups
    for each row execute function note_change('provider,id', 'created_at,changed_at', '');
create trigger audit after insert or delete on scim_members
    for each row execute function note_change('group_id,user_id', '', '');
