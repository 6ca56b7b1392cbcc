-- Part for the usage of models by steps of journals.
--
--  $1 partition[], $2 namespace[], $3 execution_id[], $4 node[], $5 attempt[], $6 step[],
--  $7 provider[], $8 model[], $9 input_tokens[], $10 output_tokens[], $11 micro_usd[]
booked as (
    insert into model_usage (namespace, execution_id, node, attempt, step, provider, model,
                             input_tokens, output_tokens, micro_usd)
    select u.namespace, u.execution_id, u.node, u.attempt, u.step, u.provider, u.model,
           u.input_tokens, u.output_tokens, u.micro_usd
    from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[],
                $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[])
         as u (partition, namespace, execution_id, node, attempt, step, provider, model,
               input_tokens, output_tokens, micro_usd)
    join fence f on f.id = u.partition
    on conflict do nothing
)
