-- name: add-analysis(namespace, id, version, analysis)!
insert into analyses (namespace, id, version, analysis)
values (:namespace, :id, :version, :analysis);

-- name: analysis(namespace, id, version)$
select analysis from analyses
where namespace = :namespace and id = :id and version = :version;

-- name: public-nodes(namespace, after, count)
-- Public nodes of the newest versions of graph JSON, of so many workflows and one more.
select found.id, found.version, node::text as node
from (
    select id, version, convert_from(newest.definition, 'UTF8')::jsonb as document
    from workflows
    join workflow_versions as newest using (namespace, id, version)
    where namespace = :namespace and workflows.live and newest.format = 'graph' and id > :after
        and convert_from(newest.definition, 'UTF8')::jsonb
            @? '$.nodes[*].metadata.isPublic ? (@ == true)'
    order by id
    limit :count + 1
) as found,
jsonb_path_query(found.document, '$.nodes[*] ? (@.metadata.isPublic == true)') as node
order by found.id;
