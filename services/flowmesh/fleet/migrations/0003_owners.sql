-- Systems outside that manage specs and policies; empty is nobody, and any caller with the right
-- may change them.
alter table specs add column owner text not null default '';
alter table policies add column owner text not null default '';
