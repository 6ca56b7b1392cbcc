-- name: lock-audit()!
-- Lets appends to chains wait for each other.
select pg_advisory_xact_lock(hashtextextended('flowmesh.identity.audit', 0));

-- name: known-sources(sources)
select source from audit_entries where source = any(:sources::text[]);

-- name: companies-of-namespaces(namespaces)
select namespace, company from projects where namespace = any(:namespaces::text[]);

-- name: audit-head(company)^
select * from audit_heads where company = :company;

-- name: set-audit-head(company, sequence, hash, signed_at_us, signature)!
insert into audit_heads (company, sequence, hash, signed_at_us, signature)
values (:company, :sequence, :hash, :signed_at_us, :signature)
on conflict (company) do update
set sequence = excluded.sequence, hash = excluded.hash, signed_at_us = excluded.signed_at_us,
    signature = excluded.signature;

-- name: insert-audit-entries(company, sequences, at_us, actors, methods, scopes, targets, outcomes, befores, afters, details, addresses, sources, hashes)!
insert into audit_entries (company, sequence, at_us, actor, method, scope, target, outcome, before,
    after, details, address, source, hash)
select :company, *
from unnest(:sequences::bigint[], :at_us::bigint[], :actors::text[], :methods::text[],
    :scopes::text[], :targets::text[], :outcomes::text[], :befores::text[], :afters::text[],
    :details::text[], :addresses::text[], :sources::text[], :hashes::bytea[]);

-- name: audit-page(company, after, last, count)
-- Entries in the order of the chain; the columns are in the order of AuditEntry.
select sequence, at_us, actor, method, scope, target, outcome, before, after, details, address,
    source, hash
from audit_entries
where company = :company and sequence > :after and sequence <= :last
order by sequence
limit :count;

-- name: audit-search(company, actor, method, target, from_us, until_us, before, count)
-- Entries, newest first; the columns as above. A text matches a part of the target.
select sequence, at_us, actor, method, scope, target, outcome, before, after, details, address,
    source, hash
from audit_entries
where company = :company and sequence < :before
    and (:actor = '' or actor = :actor)
    and (:method = '' or method = :method)
    and (:target = '' or position(:target in target) > 0)
    and at_us >= :from_us and (:until_us = 0 or at_us < :until_us)
order by sequence desc
limit :count;
