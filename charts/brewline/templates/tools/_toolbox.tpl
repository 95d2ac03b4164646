{{/* What a container of the command line needs: the addresses in a file, the passwords in its environment. */}}

{{- define "brewline.toolboxEnv" -}}
- {name: BREWLINE_ENDPOINTS, value: /etc/brewline/endpoints.json}
- {name: BREWLINE_DATA, value: /var/lib/brewline}
{{ include "brewline.passwordEnv" . }}
{{- end -}}

{{- define "brewline.toolboxMounts" -}}
- {name: endpoints, mountPath: /etc/brewline, readOnly: true}
- {name: data, mountPath: /var/lib/brewline}
- {name: tmp, mountPath: /tmp}
{{- if include "brewline.postgresRoots" . }}
{{ include "brewline.postgresRootsMount" . }}
{{- end }}
{{- end -}}

{{- define "brewline.toolboxVolumes" -}}
- name: endpoints
  configMap: {name: {{ include "brewline.fullname" . }}-endpoints}
- name: data
  emptyDir: {sizeLimit: 256Mi}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if include "brewline.postgresRoots" . }}
{{ include "brewline.postgresRootsVolume" . }}
{{- end }}
{{- end -}}

{{/* endpoints.json as a value. `${NAME}` is filled in from the environment by the command line. */}}
{{- define "brewline.endpoints" -}}
{{- $topology := include "brewline.topology" . | fromYaml -}}
{{- $full := include "brewline.fullname" . -}}
{{- $admin := $topology.ports.admin -}}
{{- $services := dict -}}
{{- $own := dict -}}
{{- $evidence := dict -}}
{{- $database := printf "%s:%s" (include "brewline.postgresHost" .) (include "brewline.postgresPort" .) -}}
{{- $parameters := include "brewline.postgresParameters" . -}}
{{- range $name, $service := $topology.services -}}
{{- $entry := dict "admin" (printf "http://%s-%s:%v" $full $name $admin) "pid" 0 -}}
{{- if $service.http -}}
{{- $_ := set $entry "http" (printf "http://%s-%s:%v" $full $name $.Values.service.port) -}}
{{- else -}}
{{- $_ := set $entry "grpc" (printf "http://%s-%s:%v" $full $name $service.grpc) -}}
{{- end -}}
{{- $_ := set $services $name (merge (dict "instances" (list (merge (dict "instance" 1) $entry))) $entry) -}}
{{- if $service.database -}}
{{- $_ := set $own $name (printf "postgres://brewline_%s:${BREWLINE_POSTGRES_PASSWORD_%s}@%s/brewline_%s%s" $name (upper $name) $database $name $parameters) -}}
{{- $_ := set $evidence $name (printf "postgres://brewline_verify:${BREWLINE_POSTGRES_PASSWORD_VERIFY}@%s/brewline_%s%s" $database $name $parameters) -}}
{{- end -}}
{{- end -}}
{{- $login := dict "brokers" (include "brewline.brokers" .) -}}
{{- if include "brewline.kafkaLogin" . -}}
{{- $_ := set $login "username" "operator" -}}
{{- $_ := set $login "password" "${BREWLINE_KAFKA_PASSWORD_OPERATOR}" -}}
{{- end -}}
{{- $all := dict
  "gateway" (printf "http://%s-gateway:%v" $full .Values.service.port)
  "services" $services
  "postgres" $own
  "kafka" (dict "brokers" (include "brewline.brokers" .) "cli" "")
  "evidence" (dict "postgres" $evidence "kafka" $login)
  "pids" (dict "kafka" list "supervisor" 0)
-}}
{{- if .Values.sandbox.enabled -}}
{{- $entry := dict "pid" 0
  "admin" (printf "http://%s-sandbox:%v" $full $admin)
  "http" (printf "http://%s-sandbox:%v" $full $topology.ports.sandboxHttp)
  "control" (printf "http://%s-sandbox:%v" $full $topology.ports.sandboxControl)
-}}
{{- $_ := set $services "sandbox" (merge (dict "instances" (list (merge (dict "instance" 1) $entry))) $entry) -}}
{{- $_ := set $all "sandbox" $entry.control -}}
{{- end -}}
{{- toPrettyJson $all -}}
{{- end -}}
