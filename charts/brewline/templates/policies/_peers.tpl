{{/* Pieces of network policies. */}}

{{/* Pods of this release. Takes (dict "root" $ "components" (list "order" …)). */}}
{{- define "brewline.peer" -}}
podSelector:
  matchLabels:
    app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
    app.kubernetes.io/instance: {{ .root.Release.Name }}
  matchExpressions:
    - {key: app.kubernetes.io/component, operator: In, values: {{ .components | toJson }}}
{{- end -}}

{{/* The tools of an operator: they look at everything. */}}
{{- define "brewline.tools" -}}
["toolbox", "test", "loadgen"]
{{- end -}}

{{/* Who may connect to a database, and to the brokers. */}}
{{- define "brewline.databaseClients" -}}
{{- $topology := include "brewline.topology" . | fromYaml -}}
{{- $clients := concat (list "provision") (include "brewline.tools" . | fromJsonArray) -}}
{{- range $name, $service := $topology.services -}}
{{- if $service.database -}}{{- $clients = append $clients $name -}}{{- end -}}
{{- end -}}
{{- toJson $clients -}}
{{- end -}}

{{- define "brewline.logClients" -}}
{{- $topology := include "brewline.topology" . | fromYaml -}}
{{- $clients := concat (list "provision") (include "brewline.tools" . | fromJsonArray) -}}
{{- range $name, $service := $topology.services -}}
{{- if $service.log -}}{{- $clients = append $clients $name -}}{{- end -}}
{{- end -}}
{{- toJson $clients -}}
{{- end -}}

{{/* Address ranges as peers. */}}
{{- define "brewline.blocks" -}}
{{- range . }}
- ipBlock: {cidr: {{ . | quote }}}
{{- end }}
{{- end -}}

{{/* The way to PostgreSQL, for an egress list. */}}
{{- define "brewline.toPostgres" -}}
- ports: [{port: {{ include "brewline.postgresPort" . }}, protocol: TCP}]
  to:
    {{- if eq .Values.postgres.mode "bundled" }}
    - {{ include "brewline.peer" (dict "root" . "components" (list "postgres")) | indent 6 | trim }}
    {{- else if eq .Values.postgres.mode "cloudnativepg" }}
    - podSelector: {matchLabels: {cnpg.io/cluster: {{ include "brewline.fullname" . }}-postgres}}
    {{- else }}
    {{- include "brewline.blocks" .Values.postgres.external.cidrs | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "brewline.toKafka" -}}
- ports: [{port: {{ eq .Values.kafka.mode "external" | ternary .Values.kafka.external.port 9092 }}, protocol: TCP}]
  to:
    {{- if eq .Values.kafka.mode "bundled" }}
    - {{ include "brewline.peer" (dict "root" . "components" (list "kafka")) | indent 6 | trim }}
    {{- else if eq .Values.kafka.mode "strimzi" }}
    - podSelector: {matchLabels: {strimzi.io/cluster: {{ include "brewline.fullname" . }}, strimzi.io/kind: Kafka}}
    {{- else }}
    {{- include "brewline.blocks" .Values.kafka.external.cidrs | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The head of a policy. Takes (dict "root" $ "component" "order"). */}}
{{- define "brewline.policyHead" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "brewline.fullname" .root }}-{{ .component }}
  labels: {{- include "brewline.labels" . | nindent 4 }}
{{- end -}}
