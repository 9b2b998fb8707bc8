{{/* Names. The pods' label controller-revision-hash is the StatefulSet's name and eleven characters: 63 at most. */}}
{{- define "microapp-operator.logGatewayName" -}}
{{- printf "%s-log-gateway" (include "microapp-operator.fullname" . | trunc 40 | trimSuffix "-") -}}
{{- end }}

{{- define "microapp-operator.logGatewayAccount" -}}
{{- .Values.logging.gateway.serviceAccount.name | default (include "microapp-operator.logGatewayName" .) -}}
{{- end }}

{{- define "microapp-operator.logGatewaySelector" -}}
{{ include "microapp-operator.selector" . }}
app.kubernetes.io/component: log-gateway
{{- end }}

{{/* What can't work is said before anything is installed. */}}
{{- define "microapp-operator.checkLogging" -}}
{{- range $name, $image := .Values.logging.images }}
{{- if not $image }}
{{- fail (printf "logging.images.%s is missing: name the images of launcher, forwarder and gateway by digest (`make launcher-image collector-images` builds them), or set logging.enabled=false" $name) }}
{{- end }}
{{- $allowed := false }}
{{- range $.Values.settings.registries }}
{{- if hasPrefix . $image }}{{ $allowed = true }}{{ end }}
{{- end }}
{{- if and (not $allowed) (ne $name "gateway") }}
{{- fail (printf "logging.images.%s %s is in none of settings.registries, and it runs in the apps' pods: add where it is, with a slash at the end" $name $image) }}
{{- end }}
{{- end }}
{{- if not .Values.logging.redactionKey.existingSecret }}
{{- fail "logging.redactionKey.existingSecret is missing: personal data is replaced by what is computed with a key; make a Secret with 32 random bytes or more (docs/install.md)" }}
{{- end }}
{{- if gt (int .Values.logging.canary.deadlineSeconds) (mul 5 .Values.logging.canary.intervalSeconds | int) }}
{{- fail "logging.canary.deadlineSeconds is more than five times intervalSeconds, and no more canaries may be on their way: raise the interval or lower the deadline" }}
{{- end }}
{{- if not .Values.logging.sinks }}
{{- fail "logging.sinks is empty: say where records go, to one of otlp, datadog, splunkHec, elasticsearch at least" }}
{{- end }}
{{- end }}

{{/* Bytes of a quantity in Mi, Gi or Ti, times a share of a hundred. Call with (dict "of" "1Gi" "percent" 80). */}}
{{- define "microapp-operator.share" -}}
{{- $number := regexFind "^[0-9]+" .of | int64 -}}
{{- $unit := get (dict "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776) (regexFind "[A-Z]i$" .of) | int64 -}}
{{- div (mul $number $unit .percent) 100 -}}
{{- end }}

{{/* What operator and webhook are run by when their own logs are forwarded: on standard output they stay as they are. */}}
{{- define "microapp-operator.launched" -}}
{{- if .Values.logging.enabled -}}
command:
  - /microapps.dev/launcher
  - run
  - --forward
  - http://{{ include "microapp-operator.logGatewayName" . }}:4319/v1/logs
  - --spool
  - /logs-spool
  - --drain
  - "5"
  - --
  # What the image runs of itself.
  - python3
  - -P
  - -m
  - microapp_operator
{{- end }}
{{- end }}

{{- define "microapp-operator.launcherInit" -}}
{{- if .Values.logging.enabled -}}
initContainers:
  - name: launcher
    image: {{ .Values.logging.images.launcher }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [/launcher, install, /microapps.dev/launcher]
    {{- include "microapp-operator.containerSecurity" . | nindent 4 }}
    resources:
      requests: {cpu: 10m, memory: 16Mi}
      limits: {memory: 64Mi}
    volumeMounts:
      - {name: launcher, mountPath: /microapps.dev}
{{- end }}
{{- end }}

{{- define "microapp-operator.launcherMounts" -}}
{{- if .Values.logging.enabled -}}
- {name: launcher, mountPath: /microapps.dev, readOnly: true}
- {name: logs-spool, mountPath: /logs-spool}
{{- end }}
{{- end }}

{{/* The launcher keeps 32 MiB of records at most. */}}
{{- define "microapp-operator.launcherVolumes" -}}
{{- if .Values.logging.enabled -}}
- name: launcher
  emptyDir: {sizeLimit: 16Mi}
- name: logs-spool
  emptyDir: {sizeLimit: 64Mi}
{{- end }}
{{- end }}

{{/* What the operator is told about it. */}}
{{- define "microapp-operator.loggingSettings" -}}
{{- $name := include "microapp-operator.logGatewayName" . -}}
namespace: {{ .Release.Namespace }}
service: {{ $name }}
podsService: {{ $name }}-pods
podLabels: {{- include "microapp-operator.logGatewaySelector" . | nindent 2 }}
port: 4318
forwarderImage: {{ .Values.logging.images.forwarder }}
launcherImage: {{ .Values.logging.images.launcher }}
{{- end }}
