{{/* Names, labels and images. */}}

{{- define "brewline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The table of services. */}}
{{- define "brewline.topology" -}}
{{- .Files.Get "files/topology.yaml" -}}
{{- end -}}

{{/* What pods are found by. Takes (dict "root" $ "component" "order"). */}}
{{- define "brewline.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* All labels of an object. Takes the same. */}}
{{- define "brewline.labels" -}}
{{ include "brewline.selectorLabels" . }}
app.kubernetes.io/part-of: brewline
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An own image. Takes (dict "root" $ "name" "order" "tag" ""). */}}
{{- define "brewline.image" -}}
{{ .root.Values.image.repository }}/{{ .name }}:{{ .tag | default .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{/* The image of the command line. */}}
{{- define "brewline.toolboxImage" -}}
{{ include "brewline.image" (dict "root" . "name" "toolbox" "tag" .Values.toolbox.image.tag) }}
{{- end -}}

{{/* Which Secret holds a service's passwords. Takes (dict "root" $ "name" "order"). */}}
{{- define "brewline.serviceSecret" -}}
{{- (index .root.Values.services .name).existingSecret | default (printf "%s-%s" (include "brewline.fullname" .root) .name) -}}
{{- end -}}

{{- define "brewline.evidenceSecret" -}}
{{- .Values.evidence.existingSecret | default (printf "%s-evidence" (include "brewline.fullname" .)) -}}
{{- end -}}

{{- define "brewline.postgresAdminSecret" -}}
{{- .Values.postgres.existingAdminSecret | default (printf "%s-postgres-admin" (include "brewline.fullname" .)) -}}
{{- end -}}

{{- define "brewline.kafkaAdminSecret" -}}
{{- .Values.kafka.existingAdminSecret | default (printf "%s-kafka-admin" (include "brewline.fullname" .)) -}}
{{- end -}}
