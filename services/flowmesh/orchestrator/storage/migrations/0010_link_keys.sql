-- Who made a key of links and why, and until when links of it are taken; null is for ever. A
-- request makes one key however often it is sent.
alter table link_keys
    add column actor text not null default '',
    add column reason text not null default '',
    add column request_id text unique,
    add column good_until timestamptz;
