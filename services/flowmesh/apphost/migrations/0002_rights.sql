-- Permission bits of the callers that set the variables of a release; those of an admin for older
-- releases, whose callers are not known.
alter table releases add column rights int not null default 760;
-- The principal that deployed it, and the role of the key of its application; empty without a key.
alter table releases add column maker text not null default '';
alter table releases add column role text not null default '';
