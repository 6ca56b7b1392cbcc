-- The code with which a session was opened: its second use ends the session (RFC 6749, 4.1.2).
alter table sessions add column login bytea;
create index sessions_login on sessions (login) where login is not null;
alter table used_logins add column replayed boolean not null default false;

drop trigger audit on sessions;
create trigger audit after insert or update of revoked_at on sessions
    for each row execute function note_change(
        'user_id,id', 'created_at,last_used_at,sealed_tokens,checked_at,login', '');
