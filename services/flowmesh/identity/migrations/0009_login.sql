-- Providers at which the users of a company log in.
create table identity_providers (
    id text primary key,
    company text not null references companies on delete cascade,
    name text not null,
    kind text not null check (kind in ('oidc', 'saml')),
    disabled boolean not null,
    issuer text not null,
    client_id text not null,
    scopes text[] not null,
    -- A list of {claim, equals, role, level, level_id}.
    rules text not null,
    sso_url text not null,
    certificates text[] not null,
    sealed_secret bytea,
    etag int not null default 1,
    created_at timestamptz not null default now()
);
create index identity_providers_company on identity_providers (company, name);

-- The user that a subject of an issuer is, for the providers of a company: one that is deleted and
-- created again has the same users, one with another issuer has others.
create table identity_links (
    company text not null references companies on delete cascade,
    issuer text not null,
    subject text not null,
    user_id text not null references users on delete cascade,
    primary key (company, issuer, subject)
);

-- Logins that were completed and messages that were read, for as long as they could come again.
create table used_logins (
    digest bytea primary key,
    expires_at timestamptz not null
);
create index used_logins_expiry on used_logins (expires_at);

alter table sessions
    add column address text not null default '',
    add column last_used_at timestamptz,
    -- Of a session without refreshing at its provider.
    add column expires_at timestamptz,
    add column provider text,
    add column subject text,
    -- The session at the provider.
    add column provider_session text,
    -- Refresh and ID token of the provider.
    add column sealed_tokens bytea,
    add column checked_at timestamptz;
create index sessions_provider on sessions (provider, subject)
    where provider is not null and revoked_at is null;

-- The secret may be absent, of which there is no digest; each change counts the etag up.
create trigger audit after insert or update or delete on identity_providers
    for each row execute function note_change('id', 'created_at,sealed_secret', '');
create trigger audit after insert or delete on identity_links
    for each row execute function note_change('user_id,issuer', '', '');
drop trigger audit on sessions;
create trigger audit after insert or update of revoked_at on sessions
    for each row execute function note_change(
        'user_id,id', 'created_at,last_used_at,sealed_tokens,checked_at', '');
