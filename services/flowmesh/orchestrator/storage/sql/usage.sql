-- Booked usage of models.

-- name: usage_of_execution(execution_id)
select coalesce(sum(input_tokens), 0)::bigint as input_tokens,
       coalesce(sum(output_tokens), 0)::bigint as output_tokens,
       coalesce(sum(micro_usd), 0)::bigint as micro_usd
from model_usage
where execution_id = :execution_id;

-- name: usage_of_day(namespace)
select coalesce(sum(input_tokens), 0)::bigint as input_tokens,
       coalesce(sum(output_tokens), 0)::bigint as output_tokens,
       coalesce(sum(micro_usd), 0)::bigint as micro_usd
from model_usage
where namespace = :namespace
  and at >= date_trunc('day', now() at time zone 'utc') at time zone 'utc';

-- Turns outside of executions: the id of the turn in place of that of an execution, the feature in
-- place of the node. A turn is booked with its estimate before it is asked for, and then with its
-- usage.
-- name: book_usage(namespace, turn_id, feature, provider, model, input_tokens, output_tokens, micro_usd)!
insert into model_usage (namespace, execution_id, node, attempt, step, provider, model,
                         input_tokens, output_tokens, micro_usd)
values (:namespace, :turn_id, :feature, 1, 0, :provider, :model,
        :input_tokens, :output_tokens, :micro_usd)
on conflict (execution_id, node, attempt, step) do update set
    provider = excluded.provider,
    model = excluded.model,
    input_tokens = excluded.input_tokens,
    output_tokens = excluded.output_tokens,
    micro_usd = excluded.micro_usd;
