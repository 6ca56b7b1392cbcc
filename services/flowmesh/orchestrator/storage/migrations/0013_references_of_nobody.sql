-- Starts that were repeated left references and snapshots of executions that were never made.
delete from payload_refs r where not exists (select from executions e where e.id = r.execution_id);
delete from snapshots s where not exists (select from executions e where e.id = s.execution_id);
