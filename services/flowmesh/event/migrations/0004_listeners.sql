-- Whether a published event has been sent to the executions that listen; those of before have.
alter table published add column delivered boolean not null default true;
alter table published alter column delivered set default false;

create index published_undelivered on published (at_us, source, id) where not delivered;
