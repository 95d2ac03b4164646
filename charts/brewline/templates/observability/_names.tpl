{{/* Everything that answers on an admin port, by its name in the label `service`. */}}
{{- define "brewline.observed" -}}
{{- $topology := include "brewline.topology" . | fromYaml -}}
{{- $names := keys $topology.services -}}
{{- if .Values.sandbox.enabled -}}{{- $names = append $names "sandbox" -}}{{- end -}}
{{- $names | sortAlpha | toJson -}}
{{- end -}}

{{/* A policy for one of the tools of observability: who may come in, by port, and where it may go.
     Takes (dict "root" $ "component" "jaeger" "ingress" (list (dict "port" 4317 "from" (list "collector"))) "egress" …). */}}
{{- define "brewline.observabilityPolicy" -}}
{{ include "brewline.policyHead" . }}
spec:
  podSelector:
    matchLabels: {{- include "brewline.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with .ingress }}
  ingress:
    {{- range . }}
    - ports: [{port: {{ .port }}, protocol: TCP}]
      from:
        - {{ include "brewline.peer" (dict "root" $.root "components" .from) | indent 10 | trim }}
        {{- with .more }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- end }}
  {{- end }}
  {{- with .egress }}
  egress:
    {{- range . }}
    - ports: [{port: {{ .port }}, protocol: TCP}]
      to:
        - {{ include "brewline.peer" (dict "root" $.root "components" .to) | indent 10 | trim }}
    {{- end }}
  {{- end }}
{{- end -}}

{{/* A folder for a tool's data. Takes (dict "root" $ "component" "prometheus" "storage" (dict "size" "8Gi" "className" "")). */}}
{{- define "brewline.toolClaim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "brewline.fullname" .root }}-{{ .component }}
  labels: {{- include "brewline.labels" . | nindent 4 }}
spec:
  {{- include "brewline.claim" .storage | nindent 2 }}
{{- end -}}
