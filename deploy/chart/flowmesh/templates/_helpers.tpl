{{- define "flowmesh.labels" -}}
app.kubernetes.io/name: flowmesh
app.kubernetes.io/part-of: flowmesh
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "flowmesh.selector" -}}
app.kubernetes.io/part-of: flowmesh
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* The name of a Deployment: the orchestrator is the engine of workflows. */}}
{{- define "flowmesh.deployment" -}}
{{- if eq .component "orchestrator" }}workflow-engine{{ else }}flowmesh-{{ .component }}{{ end }}
{{- end }}

{{- define "flowmesh.image" -}}
{{- $service := index .root.Values.services .component | default dict -}}
{{- $service.image | default .root.Values.image.name }}
{{- end }}

{{/* The restricted profile of pod security. */}}
{{- define "flowmesh.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "flowmesh.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}
