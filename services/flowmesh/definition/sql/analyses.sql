-- name: add-analysis(namespace, id, version, analysis)!
insert into analyses (namespace, id, version, analysis)
values (:namespace, :id, :version, :analysis);

-- name: analysis(namespace, id, version)$
select analysis from analyses
where namespace = :namespace and id = :id and version = :version;

-- name: public-nodes(namespace, after, count, bytes_max)
-- Public nodes of the newest versions of graph JSON, of `count` workflows; a page ends before it
-- exceeds bytes_max. `held` is the number of matching workflows, at most one more than returned.
with found as (
    select id, version, convert_from(newest.definition, 'UTF8')::jsonb as document
    from workflows
    join workflow_versions as newest using (namespace, id, version)
    where namespace = :namespace and workflows.live and newest.format = 'graph' and id > :after
        and convert_from(newest.definition, 'UTF8')::jsonb
            @? '$.nodes[*].metadata.isPublic ? (@ == true)'
    order by id
    limit :count + 1
),
nodes as (
    select found.id, found.version, listed.place, listed.node::text as node
    from found,
    jsonb_path_query(found.document, '$.nodes[*] ? (@.metadata.isPublic == true)')
        with ordinality as listed (node, place)
),
sizes as (
    select
        id, row_number() over (order by id) as number,
        sum(sum(octet_length(node))) over (order by id) as total_bytes
    from nodes
    group by id
)
select nodes.id, nodes.version, nodes.node, (select count(*) from sizes) as held
from nodes
join sizes using (id)
where sizes.number = 1 or (sizes.number <= :count and sizes.total_bytes <= :bytes_max)
order by nodes.id, nodes.place;
