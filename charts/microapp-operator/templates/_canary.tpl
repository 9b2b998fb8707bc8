{{/* The canary: asks the sinks' backends for a record of the gateway's own, in its pods, where their credentials are. */}}

{{/* "true" when a sink says how its backend is asked. */}}
{{- define "microapp-operator.canary" -}}
{{- if .Values.logging.enabled }}
{{- range .Values.logging.sinks }}{{ if .readBack }}true{{ break }}{{ end }}{{ end }}
{{- end }}
{{- end }}

{{/* What it is told (canary/settings.py). */}}
{{- define "microapp-operator.canarySettings" -}}
{{- $asked := list }}
{{- range $name, $sink := .Values.logging.sinks }}
{{- with $sink.readBack }}
{{- $said := dict "sink" $name "url" .url }}
{{- range $key := list "body" "contentType" "headers" }}
{{- with get $sink.readBack $key }}{{ $_ := set $said $key . }}{{ end }}
{{- end }}
{{- $variables := dict }}
{{- range $header, $_ := .secretHeaders }}{{ $_ := set $variables $header (include "microapp-operator.canaryVariable" (dict "sink" $name "header" $header)) }}{{ end }}
{{- if $variables }}{{ $_ := set $said "secretHeaders" $variables }}{{ end }}
{{- $asked = append $asked $said }}
{{- end }}
{{- end }}
{{- $told := dict "interval" .Values.logging.canary.intervalSeconds "deadline" .Values.logging.canary.deadlineSeconds "readBacks" $asked }}
{{- with .Values.logging.gateway.ca }}{{ $_ := set $told "ca" . }}{{ end }}
{{- toYaml $told }}
{{- end }}

{{/* Of the value of one header. Call with (dict "sink" … "header" …). */}}
{{- define "microapp-operator.canaryVariable" -}}
READ_BACK_{{ regexReplaceAll "[^A-Z0-9]" (printf "%s_%s" .sink .header | upper) "_" -}}
{{- end }}

{{- define "microapp-operator.canaryContainer" -}}
- name: canary
  {{- include "microapp-operator.containerDefaults" . | nindent 2 }}
  args:
    - log-canary
    - --config=/etc/microapp-log-canary/canary.yaml
    # Not by loopback: the gateway knows whose a connection is by its address.
    - --gateway=$(POD_IP):4319
    - --host=0.0.0.0
    - --port=8890
  env:
    - name: POD_IP
      valueFrom: {fieldRef: {fieldPath: status.podIP}}
    {{- range $name, $sink := .Values.logging.sinks }}
    {{- range $header, $secret := ($sink.readBack | default dict).secretHeaders }}
    - name: {{ include "microapp-operator.canaryVariable" (dict "sink" $name "header" $header) }}
      # A pod that waits for a Secret takes no records: without one it isn't asked, and that is told.
      valueFrom: {secretKeyRef: {name: {{ $secret.existingSecret }}, key: {{ $secret.key | quote }}, optional: true}}
    {{- end }}
    {{- end }}
  ports:
    - {name: canary, containerPort: 8890}
  # No readiness: records are taken, whatever the backends say.
  livenessProbe:
    httpGet: {path: /healthz, port: canary}
    periodSeconds: 20
    timeoutSeconds: 5
    failureThreshold: 3
  resources: {{- toYaml .Values.logging.canary.resources | nindent 4 }}
  volumeMounts:
    - {name: canary, mountPath: /etc/microapp-log-canary, readOnly: true}
{{- end }}
