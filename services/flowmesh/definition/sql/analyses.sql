-- name: add-analysis(namespace, id, version, analysis)!
insert into analyses (namespace, id, version, analysis)
values (:namespace, :id, :version, :analysis);

-- name: analysis(namespace, id, version)$
select analysis from analyses
where namespace = :namespace and id = :id and version = :version;
