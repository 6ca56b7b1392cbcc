#!/usr/bin/env bash
# Install the trial profile in the cluster of the current context (kind, k3s), run a workflow
# by kubectl, and remove everything. Needs kubectl, helm, and an image that the nodes have.
set -euo pipefail

namespace=${NAMESPACE:-flowmesh-smoke}
image=${IMAGE:-flowmesh:latest}
gateway=/api/v1/namespaces/$namespace/services/flowmesh-gateway:3000/proxy

remove() {
  kubectl delete workflow smoke -n "$namespace" --ignore-not-found --timeout=60s || true
  helm uninstall flowmesh -n "$namespace" --wait --ignore-not-found
  kubectl delete namespace "$namespace" --ignore-not-found --timeout=120s
}

echo "context $(kubectl config current-context), namespace $namespace, image $image"
trap remove EXIT
helm install flowmesh deploy/chart/flowmesh -n "$namespace" --create-namespace \
  -f deploy/chart/flowmesh/values-trial.yaml --wait --timeout 10m \
  --set "image.name=$image,services.orchestrator.image=$image"
kubectl apply -n "$namespace" -f - <<'YAML'
apiVersion: workflow.io/v1
kind: Workflow
metadata: { name: smoke }
spec:
  tasks: [{ id: a, taskRef: noop }]
YAML
kubectl wait workflow/smoke -n "$namespace" --for=condition=Ready --timeout=30s
echo '{"input": {}}' | kubectl create --raw "$gateway/api/v1/workflows/smoke/execute" -f - \
  | grep -q completed
echo "the workflow ran"
