-- Figures that agents report themselves, by name; policies may look at one.
alter table agents add column gauges json not null default '{}';
drop trigger audit on agents;
create trigger audit after update on agents for each row when (new.state = 5)
execute function note_change(
    'id',
    'cpu,memory_bytes,busy,slots,gauges,beat_at,ready_at,drain_at,ended_at,last_words,enforcement'
);
