-- Triggers of messages of a queue.
alter table triggers drop constraint triggers_kind_check;
alter table triggers add constraint triggers_kind_check
    check (kind in ('cron', 'event', 'webhook', 'queue'));
create index triggers_queue on triggers (namespace) where kind = 'queue';
