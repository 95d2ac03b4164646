{{/* What each service is told besides its servers: the same variables that a process on one machine gets. */}}

{{/* Takes (dict "root" $ "name" "order" "topology" table). */}}
{{- define "brewline.serviceEnv" -}}
{{- $full := include "brewline.fullname" .root -}}
{{- $service := index .topology.services .name -}}
- {name: BREWLINE_LOG, value: {{ .root.Values.log | quote }}}
- {name: BREWLINE_ADMIN_LISTEN, value: "0.0.0.0:{{ .topology.ports.admin }}"}
- {name: BREWLINE_SHUTDOWN_GRACE_MS, value: {{ mul 1000 .root.Values.drain.graceSeconds | quote }}}
{{- include "brewline.traceEnv" .root }}
{{- if $service.http }}
- {name: BREWLINE_HTTP_LISTEN, value: "0.0.0.0:{{ $service.http }}"}
# After its short sleep (`preStop`): so long each answer asks its caller to come back on another connection. It
# is long, because a connection that nobody has used meanwhile is closed at its end, and a request that is on
# its way just then gets no answer.
- {name: BREWLINE_DRAIN_DELAY_MS, value: {{ mul 1000 (add .root.Values.drain.delaySeconds 1) | quote }}}
# There is no identity yet; the network policy says who reaches it.
- {name: BREWLINE_ALLOW_ANONYMOUS_NETWORK, value: "true"}
{{- else }}
- {name: BREWLINE_GRPC_LISTEN, value: "0.0.0.0:{{ $service.grpc }}"}
{{- end }}
{{- range $peer := $service.calls }}
- {name: BREWLINE_{{ upper $peer }}_URL, value: "http://{{ $full }}-{{ $peer }}:{{ (index $.topology.services $peer).grpc }}"}
{{- end }}
{{- if has "processor" $service.outside }}
- {name: BREWLINE_PROCESSOR_URL, value: {{ include "brewline.processorUrl" .root | quote }}}
{{- end }}
{{- if has "smtp" $service.outside }}
- {name: BREWLINE_SMTP_URL, value: {{ include "brewline.smtpUrl" .root | quote }}}
- {name: BREWLINE_WEBHOOK_ALLOW_PRIVATE, value: {{ include "brewline.webhooksPrivate" .root | quote }}}
{{- end }}
{{- end -}}

{{- define "brewline.traceEnv" -}}
{{- $own := printf "http://%s-collector:4318" (include "brewline.fullname" .) -}}
{{- with .Values.traces.endpoint | default (.Values.observability.enabled | ternary $own "") }}
- {name: BREWLINE_OTLP_ENDPOINT, value: {{ . | quote }}}
- {name: BREWLINE_TRACE_RATIO, value: {{ $.Values.traces.ratio | quote }}}
{{- end }}
{{- end -}}

{{- define "brewline.processorUrl" -}}
{{- if .Values.outside.processor.url -}}{{ .Values.outside.processor.url }}
{{- else if .Values.sandbox.enabled -}}http://{{ include "brewline.fullname" . }}-sandbox:8090
{{- else -}}{{ fail "outside.processor.url is needed without the sandbox" }}
{{- end -}}
{{- end -}}

{{- define "brewline.smtpUrl" -}}
{{- if .Values.outside.smtp.url -}}{{ .Values.outside.smtp.url }}
{{- else if .Values.sandbox.enabled -}}smtp://{{ include "brewline.fullname" . }}-sandbox:2525
{{- else -}}{{ fail "outside.smtp.url is needed without the sandbox" }}
{{- end -}}
{{- end -}}

{{- define "brewline.webhooksPrivate" -}}
{{- if kindIs "bool" .Values.outside.webhooks.allowPrivate -}}{{ .Values.outside.webhooks.allowPrivate }}
{{- else -}}{{ .Values.sandbox.enabled }}
{{- end -}}
{{- end -}}
