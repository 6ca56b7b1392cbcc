-- name: insert-session(id, user_id, address, provider, subject, provider_session, sealed_tokens, lifetime_s, parent, login, call)!
insert into sessions (id, user_id, address, provider, subject, provider_session, sealed_tokens,
    checked_at, expires_at, parent, login)
values (:id, :user_id, :address, :provider, :subject, :provider_session, :sealed_tokens,
    case when :sealed_tokens::bytea is not null then now() end,
    now() + make_interval(secs => :lifetime_s), :parent, :login)
returning set_config('flowmesh.call', :call, true);

-- name: session-user(id)$
-- The user of a session that is not revoked.
select s.user_id from sessions s join users u on u.id = s.user_id
left join sessions p on p.id = s.parent
where s.id = :id and s.revoked_at is null and p.revoked_at is null and not u.disabled
    and (s.expires_at is null or s.expires_at > now())
    and (p.expires_at is null or p.expires_at > now());

-- name: sessions-of(user_id)
select s.*, p.name as provider_name
from sessions s left join sessions a on a.id = s.parent
left join identity_providers p on p.id = coalesce(a.provider, s.provider)
where s.user_id = :user_id and s.revoked_at is null and a.revoked_at is null
    and (s.expires_at is null or s.expires_at > now())
order by s.created_at desc, s.id
limit 1000;

-- name: provider-session(id)^
-- A session with its tokens at the provider that opened it; SAML gives none.
select s.id, s.user_id, s.provider, s.subject, coalesce(s.provider_session, '') as provider_session,
    coalesce(s.sealed_tokens, '') as sealed_tokens
from sessions s where s.id = :id and s.provider is not null;

-- name: claim-check(digest, every_s)^
-- One of the refreshes at once looks after the session at its provider.
update sessions s set checked_at = now()
from refresh_tokens r join sessions used on used.id = r.session
where r.digest = :digest and r.expires_at > now() and s.id = coalesce(used.parent, used.id)
    and s.sealed_tokens is not null and s.revoked_at is null
    and s.checked_at < now() - make_interval(secs => :every_s)
returning s.id, s.user_id, s.provider, s.subject,
    coalesce(s.provider_session, '') as provider_session, s.sealed_tokens;

-- name: set-provider-tokens(id, sealed_tokens)!
update sessions set sealed_tokens = :sealed_tokens where id = :id;

-- name: forget-check(id)!
update sessions set checked_at = 'epoch' where id = :id;

-- name: revoke-provider-sessions(provider, subject, provider_session, call)
-- Those of a provider, of one of its subjects, or of one of its sessions, and those that end with
-- them.
with gone as (
    select id from sessions
    where provider = :provider and revoked_at is null
        and (:subject::text is null or subject = :subject)
        and (:provider_session::text is null or provider_session = :provider_session)
)
update sessions set revoked_at = now()
where revoked_at is null and (id in (select id from gone) or parent in (select id from gone))
returning id, set_config('flowmesh.call', :call, true);

-- name: lock-login(digest)$
-- True if a login was used again; other uses wait for the end of the transaction.
select replayed from used_logins where digest = :digest for update;

-- name: note-replay(digest)!
update used_logins set replayed = true where digest = :digest;

-- name: revoke-sessions-of-login(login, call)
-- And those that end with them.
with gone as (select id from sessions where login = :login and revoked_at is null)
update sessions set revoked_at = now()
where revoked_at is null and (id in (select id from gone) or parent in (select id from gone))
returning id, set_config('flowmesh.call', :call, true);

-- name: revoke-session(id, call)
-- And those that end with it.
update sessions set revoked_at = now() where (id = :id or parent = :id) and revoked_at is null
returning id, set_config('flowmesh.call', :call, true);

-- name: revoke-sessions-of(user_id, except_id, call)
update sessions set revoked_at = now()
where user_id = :user_id and revoked_at is null and id <> :except_id
returning id, set_config('flowmesh.call', :call, true);

-- name: insert-refresh-token(digest, session, days)!
insert into refresh_tokens (digest, session, expires_at)
values (:digest, :session, now() + make_interval(days => :days))
on conflict (digest) do nothing;

-- name: lock-refresh-token(digest, successor, grace_s)^
-- A token is reused if it was used longer ago than a lost answer explains, or its successor was
-- used.
select r.session, s.user_id,
    coalesce(r.used_at < now() - make_interval(secs => :grace_s), false) or exists (
        select from refresh_tokens n where n.digest = :successor and n.used_at is not null
    ) as reused
from refresh_tokens r join sessions s on s.id = r.session join users u on u.id = s.user_id
left join sessions p on p.id = s.parent
where r.digest = :digest and r.expires_at > now() and s.revoked_at is null and not u.disabled
    and p.revoked_at is null
    and (s.expires_at is null or s.expires_at > now())
    and (p.expires_at is null or p.expires_at > now())
for update of r;

-- name: use-refresh-token(digest)!
with used as (
    update refresh_tokens set used_at = coalesce(used_at, now()) where digest = :digest
    returning session
)
update sessions s set last_used_at = now() from used where s.id = used.session;

-- name: delete-expired-sessions(count)$
with gone as (
    delete from refresh_tokens where digest in (
        select digest from refresh_tokens where expires_at < now() limit :count
    ) returning session
), ended as (
    delete from sessions s
    where s.id in (select session from gone)
        and not exists (
            select from refresh_tokens r where r.session = s.id and r.expires_at >= now()
        )
)
select count(*) from gone;

-- name: signing-keys(kept_s, known_s)
-- The key to sign with first: the newest that every process has read, otherwise the oldest.
select kid, public_key, sealed_key, not_after > now() as signs,
    not_after < now() + make_interval(days => 1) as ends_soon
from signing_keys,
    lateral (select created_at < now() - make_interval(secs => :known_s) as known) as read
where not_after > now() - make_interval(secs => :kept_s)
order by known desc, case when known then created_at end desc, created_at;

-- name: insert-signing-key(kid, public_key, sealed_key, days)!
insert into signing_keys (kid, public_key, sealed_key, not_after)
values (:kid, :public_key, :sealed_key, now() + make_interval(days => :days));

-- name: lock-signing-keys()!
select pg_advisory_xact_lock(hashtextextended('flowmesh.identity.signing_keys', 0));
