-- How many tasks may wait in a queue before workflows that use it are not started any more; 0 is no
-- limit.
alter table limits add column max_size int not null default 0;
