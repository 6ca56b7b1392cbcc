-- Approved logins of devices, until they fetch their session.
create table device_logins (
    user_code text primary key,
    user_id text not null references users on delete cascade,
    session text references sessions on delete cascade,
    approved_at timestamptz not null default now()
);
create trigger audit after insert on device_logins
    for each row execute function note_change('user_id', 'user_code,session,approved_at', '');

-- The session that approved this one, if an identity provider opened it: both end together.
alter table sessions add column parent text references sessions on delete cascade;
create index sessions_parent on sessions (parent) where parent is not null;
