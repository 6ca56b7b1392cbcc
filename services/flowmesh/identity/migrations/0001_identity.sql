-- Tenants: company, organization, project. A deleted row is kept for 30 days, without its names.
create table companies (
    id text primary key,
    slug text not null,
    name text not null,
    etag int not null default 1,
    request_id text,
    created_at timestamptz not null default now(),
    deleted_at timestamptz
);
create unique index companies_slug on companies (slug) where deleted_at is null;
create unique index companies_request on companies (request_id);

create table organizations (
    id text primary key,
    company text not null references companies on delete cascade,
    slug text not null,
    name text not null,
    etag int not null default 1,
    request_id text,
    created_at timestamptz not null default now(),
    deleted_at timestamptz
);
create unique index organizations_slug on organizations (company, slug) where deleted_at is null;
create unique index organizations_request on organizations (company, request_id);

create table projects (
    id text primary key,
    organization text not null references organizations on delete cascade,
    company text not null references companies on delete cascade,
    slug text not null,
    name text not null,
    namespace text not null,
    etag int not null default 1,
    request_id text,
    created_at timestamptz not null default now(),
    deleted_at timestamptz
);
create unique index projects_slug on projects (organization, slug) where deleted_at is null;
-- Also of deleted projects: a new project must not see the executions of a former one.
create unique index projects_namespace on projects (namespace);
create unique index projects_request on projects (organization, request_id);

insert into companies (id, slug, name) values ('co_default', 'default', 'default');
insert into organizations (id, company, slug, name)
values ('org_default', 'co_default', 'default', 'default');
insert into projects (id, organization, company, slug, name, namespace)
values ('prj_default', 'org_default', 'co_default', 'default', 'default', 'default');

create table users (
    id text primary key,
    -- In lower case.
    email text not null unique,
    name text not null,
    password_hash text not null,
    disabled boolean not null default false,
    created_at timestamptz not null default now(),
    last_login_at timestamptz
);

-- Levels: 0 installation, 1 company, 2 organization, 3 project.
create table grants (
    user_id text not null references users on delete cascade,
    level smallint not null check (level between 0 and 3),
    level_id text not null,
    role text not null,
    granted_by text not null,
    granted_at timestamptz not null default now(),
    primary key (user_id, level, level_id)
);
create index grants_level on grants (level, level_id);

create table sessions (
    id text primary key,
    user_id text not null references users on delete cascade,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
create index sessions_user on sessions (user_id) where revoked_at is null;

create table refresh_tokens (
    digest bytea primary key,
    session text not null references sessions on delete cascade,
    expires_at timestamptz not null,
    used_at timestamptz
);
create index refresh_tokens_expiry on refresh_tokens (expires_at);

create table api_keys (
    id text primary key,
    project text not null references projects on delete cascade,
    name text not null,
    role text not null,
    queues text[] not null,
    task_types text[] not null,
    networks text[] not null,
    permissions text[] not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    last_used_at timestamptz
);
create index api_keys_project on api_keys (project, created_at desc);

create table api_key_secrets (
    digest bytea primary key,
    key text not null references api_keys on delete cascade,
    valid_until timestamptz
);
create index api_key_secrets_key on api_key_secrets (key);

create table invitations (
    id text primary key,
    digest bytea not null unique,
    email text not null,
    level smallint not null check (level between 0 and 3),
    level_id text not null,
    role text not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index invitations_level on invitations (level, level_id);

-- Tokens of `flowmesh identity init`, each for one use.
create table used_bootstrap_tokens (
    digest bytea primary key,
    used_at timestamptz not null default now()
);

create table signing_keys (
    kid text primary key,
    -- Ed25519: 32 bytes, and the private key sealed by the key of the installation.
    public_key bytea not null,
    sealed_key bytea not null,
    created_at timestamptz not null default now(),
    -- Signs until then, and verifies for 20 minutes more.
    not_after timestamptz not null
);
