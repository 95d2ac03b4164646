{{/* A Secret of random values that are made once. What the cluster has already under the same generation
     stays as it is, over upgrades and (`keep`) over an uninstallation, because the volumes stay too.
     Takes (dict "root" $ "component" "order" "keys" (list …) "generation" 1 "type" "" "fixed" (dict …)). */}}
{{- define "brewline.generatedSecret" -}}
{{- $name := printf "%s-%s" (include "brewline.fullname" .root) .component -}}
{{- $old := lookup "v1" "Secret" .root.Release.Namespace $name | default dict -}}
{{- $oldData := $old.data | default dict -}}
{{- $oldAnnotations := ($old.metadata | default dict).annotations | default dict -}}
{{- $oldGeneration := get $oldAnnotations "brewline.dev/generation" -}}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ $name }}
  labels: {{- include "brewline.labels" (dict "root" .root "component" .component) | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
    brewline.dev/generation: {{ .generation | quote }}
type: {{ .type | default "Opaque" }}
data:
  {{- range $key, $value := .fixed }}
  {{ $key }}: {{ $value | b64enc }}
  {{- end }}
  {{- range $key := .keys }}
  {{- if and (hasKey $oldData $key) (eq $oldGeneration (toString $.generation)) }}
  {{ $key }}: {{ index $oldData $key }}
  {{- else if eq $key "cluster-id" }}
  # 16 bytes in URL-safe base64: 21 free characters and one whose low bits are zero.
  {{ $key }}: {{ printf "%sA" (randAlphaNum 21) | b64enc }}
  {{- else }}
  # Letters and digits need no quoting in URLs, SQL and Java's files.
  {{ $key }}: {{ randAlphaNum 32 | b64enc }}
  {{- end }}
  {{- end }}
{{- end -}}
