-- Lists in the order of ends read a page of it. A row enters once, at its end.
create index executions_by_end on executions (namespace, ended_at, id) where ended_at is not null;
