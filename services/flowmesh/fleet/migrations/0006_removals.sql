-- Since when a plugin is being removed: nothing begins to use it meanwhile.
alter table plugins add column removing_at timestamptz;
drop trigger audit on plugins;
create trigger audit after insert or update or delete on plugins for each row
execute function note_change('plugin', 'changed_at,removing_at');
