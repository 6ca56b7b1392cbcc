-- Reads of a window of time begin at its first record; alerts are found among all records.
create index logs_at on logs (at);
create index calls_at on calls (at);
create index logs_level on logs (namespace, level, position)
    where namespace <> '' and level <> 'info';
