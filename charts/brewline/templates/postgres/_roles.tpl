{{- define "brewline.rolesSql" -}}
{{- tpl (.Files.Get "files/roles.sql") (include "brewline.topology" . | fromYaml | merge (dict "Template" .Template)) -}}
{{- end -}}

{{/* The passwords that roles.sql gives. */}}
{{- define "brewline.rolePasswordEnv" -}}
{{- $topology := include "brewline.topology" . | fromYaml -}}
{{- range $name, $service := $topology.services }}
{{- if $service.database }}
- name: BREWLINE_POSTGRES_PASSWORD_{{ upper $name }}
  valueFrom: {secretKeyRef: {name: {{ include "brewline.serviceSecret" (dict "root" $ "name" $name) }}, key: postgres-password}}
{{- end }}
{{- end }}
- name: BREWLINE_POSTGRES_PASSWORD_VERIFY
  valueFrom: {secretKeyRef: {name: {{ include "brewline.evidenceSecret" . }}, key: postgres-password}}
{{- end -}}
