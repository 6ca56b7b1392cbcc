-- What a commit was for, whether it has events of it or not: who has not heard of it asks here.
alter table outbox add column partitions int[] not null default '{}';
