{{/* What all pods have in common: no token, no rights, no way to become somebody else. */}}

{{/* The top of a pod's spec. Takes (dict "root" $ "uid" 65532 "priority" "orders"). */}}
{{- define "brewline.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .priority }}
{{- if $.root.Values.priorityClasses.create }}
priorityClassName: {{ include "brewline.priorityClass" (dict "root" $.root "priority" .) }}
{{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .uid }}
  runAsGroup: {{ .uid }}
  fsGroup: {{ .uid }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.pods.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.pods.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "brewline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Labels and annotations of a pod, without the chart's version: a new chart alone restarts nobody.
     Takes (dict "root" $ "component" "order" "notes" (dict …)); pods are made anew when their notes change. */}}
{{- define "brewline.podMetadata" -}}
labels:
  {{- include "brewline.selectorLabels" . | nindent 2 }}
  app.kubernetes.io/part-of: brewline
  {{- with .root.Values.pods.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge dict (.notes | default dict) .root.Values.pods.annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A password that was replaced is read by new pods. */}}
{{- define "brewline.secretsNote" -}}
brewline.dev/secrets-generation: {{ .Values.secrets.generation | quote }}
{{- end -}}

{{/* Replicas on different nodes and zones. Takes (dict "root" $ "component" "order"). */}}
{{- define "brewline.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    # A cluster of one zone must not refuse: only nodes can be insisted on.
    whenUnsatisfiable: {{ eq $key "kubernetes.io/hostname" | ternary $.root.Values.topologySpread.whenUnsatisfiable "ScheduleAnyway" }}
    labelSelector:
      matchLabels: {{- include "brewline.selectorLabels" $ | nindent 8 }}
    matchLabelKeys: [{{ $.key | default "pod-template-hash" }}]
  {{- end }}
{{- end -}}

{{/* Classes belong to the whole cluster: the namespace and the release are in the name. */}}
{{- define "brewline.priorityClass" -}}
{{ .root.Release.Namespace }}-{{ include "brewline.fullname" .root }}-{{ .priority }}
{{- end -}}

{{/* A volume claim's spec. Takes (dict "size" "1Gi" "className" ""). */}}
{{- define "brewline.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .className }}
storageClassName: {{ . }}
{{- end }}
resources: {requests: {storage: {{ .size }}}}
{{- end -}}
