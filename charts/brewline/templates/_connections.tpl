{{/* Where PostgreSQL and Kafka are, and what a pod is told to get in. */}}

{{- define "brewline.postgresHost" -}}
{{- if eq .Values.postgres.mode "bundled" -}}
{{ include "brewline.fullname" . }}-postgres
{{- else if eq .Values.postgres.mode "cloudnativepg" -}}
{{ include "brewline.fullname" . }}-postgres-rw
{{- else -}}
{{ required "postgres.external.host is needed with postgres.mode=external" .Values.postgres.external.host }}
{{- end -}}
{{- end -}}

{{- define "brewline.postgresPort" -}}
{{- if eq .Values.postgres.mode "external" -}}{{ .Values.postgres.external.port }}{{- else -}}5432{{- end -}}
{{- end -}}

{{/* How connections to PostgreSQL are protected, as the end of its URLs. */}}
{{- define "brewline.postgresParameters" -}}
{{- if and (eq .Values.postgres.mode "external") (eq .Values.postgres.external.sslMode "require") -}}
?sslmode=require{{ if include "brewline.postgresRoots" . }}&sslrootcert=/etc/brewline-postgres/ca.crt{{ end }}
{{- end -}}
{{- end -}}

{{/* The Secret with the certificate that verifies PostgreSQL, if it is not one of the system's. */}}
{{- define "brewline.postgresRoots" -}}
{{- if eq .Values.postgres.mode "external" -}}{{ .Values.postgres.external.rootsSecret }}{{- end -}}
{{- end -}}

{{- define "brewline.postgresRootsMount" -}}
- {name: postgres-roots, mountPath: /etc/brewline-postgres, readOnly: true}
{{- end -}}

{{- define "brewline.postgresRootsVolume" -}}
- name: postgres-roots
  secret: {secretName: {{ include "brewline.postgresRoots" . }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end -}}

{{- define "brewline.brokers" -}}
{{- if eq .Values.kafka.mode "bundled" -}}
{{- $name := printf "%s-kafka" (include "brewline.fullname" .) -}}
{{- $brokers := list -}}
{{- range $i := until (int .Values.kafka.bundled.replicas) -}}
{{- $brokers = append $brokers (printf "%s-%d.%s:9092" $name $i $name) -}}
{{- end -}}
{{ join "," $brokers }}
{{- else if eq .Values.kafka.mode "strimzi" -}}
{{ include "brewline.fullname" . }}-kafka-bootstrap.{{ .Release.Namespace }}:9092
{{- else -}}
{{ required "kafka.external.brokers is needed with kafka.mode=external" .Values.kafka.external.brokers }}
{{- end -}}
{{- end -}}

{{/* Whether clients of Kafka log in. */}}
{{- define "brewline.kafkaLogin" -}}
{{- if or (ne .Values.kafka.mode "external") .Values.kafka.external.authentication -}}yes{{- end -}}
{{- end -}}

{{/* Whether somebody with all rights on PostgreSQL is known, who makes roles and databases. */}}
{{- define "brewline.postgresAdmin" -}}
{{- if or (ne .Values.postgres.mode "external") .Values.postgres.existingAdminSecret -}}yes{{- end -}}
{{- end -}}

{{/* The same for Kafka. With Strimzi its operator makes users and topics. */}}
{{- define "brewline.kafkaAdmin" -}}
{{- if eq .Values.kafka.mode "strimzi" -}}
{{- else if or (eq .Values.kafka.mode "bundled") .Values.kafka.existingAdminSecret (not .Values.kafka.external.authentication) -}}yes{{- end -}}
{{- end -}}

{{/* A service's way into its database and the log. Takes (dict "root" $ "name" "order"). */}}
{{- define "brewline.connectionEnv" -}}
- name: BREWLINE_POSTGRES_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "brewline.serviceSecret" . }}, key: postgres-password}}
- name: BREWLINE_POSTGRES_URL
  value: postgres://brewline_{{ .name }}:$(BREWLINE_POSTGRES_PASSWORD)@{{ include "brewline.postgresHost" .root }}:{{ include "brewline.postgresPort" .root }}/brewline_{{ .name }}{{ include "brewline.postgresParameters" .root }}
- name: BREWLINE_KAFKA_BROKERS
  value: {{ include "brewline.brokers" .root | quote }}
{{- if include "brewline.kafkaLogin" .root }}
- name: BREWLINE_KAFKA_USERNAME
  value: {{ .name }}
- name: BREWLINE_KAFKA_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "brewline.serviceSecret" . }}, key: kafka-password}}
{{- end }}
{{- end -}}

{{/* All passwords under names of their own, for the command line. */}}
{{- define "brewline.passwordEnv" -}}
{{- $topology := include "brewline.topology" . | fromYaml -}}
{{- range $name, $service := $topology.services }}
{{- if $service.database }}
- name: BREWLINE_POSTGRES_PASSWORD_{{ upper $name }}
  valueFrom: {secretKeyRef: {name: {{ include "brewline.serviceSecret" (dict "root" $ "name" $name) }}, key: postgres-password}}
- name: BREWLINE_KAFKA_PASSWORD_{{ upper $name }}
  valueFrom: {secretKeyRef: {name: {{ include "brewline.serviceSecret" (dict "root" $ "name" $name) }}, key: kafka-password}}
{{- end }}
{{- end }}
- name: BREWLINE_POSTGRES_PASSWORD_VERIFY
  valueFrom: {secretKeyRef: {name: {{ include "brewline.evidenceSecret" . }}, key: postgres-password}}
- name: BREWLINE_KAFKA_PASSWORD_OPERATOR
  valueFrom: {secretKeyRef: {name: {{ include "brewline.evidenceSecret" . }}, key: kafka-password}}
{{- end -}}

{{/* The container that waits until a service can work at all: who starts before its topics and rights
     are there ends, and comes back late. Takes (dict "root" $ "name" "order"). */}}
{{- define "brewline.waitContainer" -}}
- name: wait
  image: {{ include "brewline.toolboxImage" .root }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args: [provisioned, {{ .name }}]
  env: {{- include "brewline.connectionEnv" . | nindent 4 }}
  securityContext: {{- include "brewline.containerSecurity" . | nindent 4 }}
  {{- if include "brewline.postgresRoots" .root }}
  volumeMounts: {{- include "brewline.postgresRootsMount" . | nindent 4 }}
  {{- end }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 128Mi}
{{- end -}}

{{/* The passwords of Kafka's users. */}}
{{- define "brewline.userPasswordEnv" -}}
{{- $topology := include "brewline.topology" . | fromYaml -}}
{{- range $name, $service := $topology.services }}
{{- if $service.log }}
- name: BREWLINE_KAFKA_PASSWORD_{{ upper $name }}
  valueFrom: {secretKeyRef: {name: {{ include "brewline.serviceSecret" (dict "root" $ "name" $name) }}, key: kafka-password}}
{{- end }}
{{- end }}
- name: BREWLINE_KAFKA_PASSWORD_OPERATOR
  valueFrom: {secretKeyRef: {name: {{ include "brewline.evidenceSecret" . }}, key: kafka-password}}
{{- end -}}
