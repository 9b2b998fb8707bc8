{{/* Where the log gateway sends to, as desired/forwarding/sinks.py has it; tests compare. What is plain is written with
     $$ for $, which would start a reference to a variable. */}}
{{- define "microapp-operator.sinks" -}}
{{- $sinks := .Values.logging.sinks -}}
{{- $share := include "microapp-operator.share" (dict "of" .Values.logging.gateway.persistence.size "percent" 40) | int64 -}}
{{- $queue := include "microapp-operator.sinkQueue" (div $share (len $sinks)) -}}
{{- $steadfast := list -}}
{{- if or $sinks.otlp $sinks.datadog $sinks.splunkHec }}{{ $steadfast = append $steadfast "steadfast" }}{{ end -}}
{{- if $sinks.elasticsearch }}{{ $steadfast = append $steadfast "steadfast/elasticsearch" }}{{ end -}}
extensions:
  {{- range $steadfast }}
  {{ . }}: {{ if eq . "steadfast/elasticsearch" }}{answers_with: {X-Elastic-Product: Elasticsearch}}{{ else }}{}{{ end }}
  {{- end }}
exporters:
  {{- with $sinks.otlp }}
  otlp_http:
    endpoint: {{ .endpoint | replace "$" "$$" | quote }}
    {{- if or .headers .secretHeaders }}
    headers:
      {{- range $name, $value := .headers }}
      {{ $name | quote }}: {{ $value | replace "$" "$$" | quote }}
      {{- end }}
      {{- range $number, $name := keys (.secretHeaders | default dict) | sortAlpha }}
      {{ $name | quote }}: "${env:OTLP_HEADER_{{ $number }}}"
      {{- end }}
    {{- end }}
    middlewares: [{id: steadfast}]
    {{- $queue | nindent 4 }}
    {{- include "microapp-operator.sinkRetry" . | nindent 4 }}
  {{- end }}
  {{- with $sinks.datadog }}
  otlp_http/datadog:
    endpoint: {{ .endpoint | default (printf "https://otlp.%s" .site) | replace "$" "$$" | quote }}
    headers: {dd-api-key: "${env:DATADOG_API_KEY}"}
    middlewares: [{id: steadfast}]
    {{- $queue | nindent 4 }}
    {{- include "microapp-operator.sinkRetry" . | nindent 4 }}
  {{- end }}
  {{- with $sinks.splunkHec }}
  splunk_hec:
    endpoint: {{ .endpoint | replace "$" "$$" | quote }}
    token: "${env:SPLUNK_HEC_TOKEN}"
    index: {{ .index | replace "$" "$$" | quote }}
    source: microapp
    sourcetype: _json
    otel_attrs_to_hec_metadata: {host: k8s.pod.name}
    profiling_data_enabled: false
    middlewares: [{id: steadfast}]
    {{- $queue | nindent 4 }}
    {{- include "microapp-operator.sinkRetry" . | nindent 4 }}
  {{- end }}
  {{- with $sinks.elasticsearch }}
  elasticsearch:
    endpoints: [{{ .endpoint | replace "$" "$$" | quote }}]
    api_key: "${env:ELASTICSEARCH_API_KEY}"
    logs_index: {{ .index | replace "$" "$$" | quote }}
    # What comes twice has the same id.
    logs_dynamic_id: {enabled: true}
    suppress_conflict_errors: true
    middlewares: [{id: steadfast/elasticsearch}]
    {{- $queue | nindent 4 }}
    retry:
      enabled: true
      initial_interval: 1s
      max_interval: 30s
      max_retries: 1000000
      retry_on_status: [429, 502, 503, 504]
      # Of one record of many: final is what is about the record.
      retry_on_document_status: [401, 403, 404, 408, 429, 500, 502, 503, 504, 507]
  {{- end }}
service:
  # All of them: the list takes the place of the one in gateway.yaml.
  extensions: [health_check, file_storage/queue, {{ join ", " $steadfast }}]
  pipelines:
    {{- if $sinks.otlp }}
    logs/otlp_http: {receivers: [forward], exporters: [otlp_http]}
    {{- end }}
    {{- if $sinks.datadog }}
    logs/datadog: {receivers: [forward], processors: [transform/datadog], exporters: [otlp_http/datadog]}
    {{- end }}
    {{- if $sinks.splunkHec }}
    logs/splunk_hec: {receivers: [forward], exporters: [splunk_hec]}
    {{- end }}
    {{- if $sinks.elasticsearch }}
    logs/elasticsearch: {receivers: [forward], processors: [transform/elasticsearch], exporters: [elasticsearch]}
    {{- end }}
{{- end }}

{{/* A full queue refuses at once, and whoever sends keeps the record. Call with its room in bytes. */}}
{{- define "microapp-operator.sinkQueue" -}}
sending_queue:
  enabled: true
  storage: file_storage/queue
  sizer: bytes
  queue_size: {{ . }}
  num_consumers: 4
  block_on_overflow: false
  batch: {sizer: bytes, flush_timeout: 200ms, min_size: 65536, max_size: 2097152}
{{- end }}

{{- define "microapp-operator.sinkRetry" -}}
retry_on_failure: {enabled: true, initial_interval: 1s, max_interval: 30s, max_elapsed_time: 0}
{{- end }}

{{/* The gateway's variables: credentials of the sinks, from Secrets. */}}
{{- define "microapp-operator.sinkCredentials" -}}
{{- $secrets := dict -}}
{{- with .Values.logging.sinks.otlp }}
{{- $headers := .secretHeaders | default dict }}
{{- range $number, $name := keys $headers | sortAlpha }}{{ $_ := set $secrets (printf "OTLP_HEADER_%d" $number) (get $headers $name) }}{{ end }}
{{- end }}
{{- with .Values.logging.sinks.datadog }}{{ $_ := set $secrets "DATADOG_API_KEY" .apiKey }}{{ end }}
{{- with .Values.logging.sinks.splunkHec }}{{ $_ := set $secrets "SPLUNK_HEC_TOKEN" .token }}{{ end }}
{{- with .Values.logging.sinks.elasticsearch }}{{ $_ := set $secrets "ELASTICSEARCH_API_KEY" .apiKey }}{{ end }}
{{- range $name, $secret := $secrets }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $secret.existingSecret }}, key: {{ $secret.key | quote }}}}
{{- end }}
{{- end }}

{{/* Rules for each sink, and for where its backend is asked. */}}
{{- define "microapp-operator.sinkEgress" -}}
{{- range $kind, $sink := .Values.logging.sinks }}
{{- $endpoint := default (ternary "https://datadog" "" (eq $kind "datadog")) $sink.endpoint }}
{{- include "microapp-operator.egressTo" (dict "root" $ "url" $endpoint "egress" $sink.egress) }}
{{- with $sink.readBack }}
{{- include "microapp-operator.egressTo" (dict "root" $ "url" .url "egress" .egress) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where it is said to be, or else anywhere but link-local, and the port of its URL. */}}
{{- define "microapp-operator.egressTo" -}}
{{- $url := urlParse (.url | replace "{uid}" "uid") }}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- $egress := .egress | default dict }}
- to:
    {{- include "microapp-operator.peers" (dict "root" .root "egress" $egress) | trim | nindent 4 }}
  ports:
    {{- range $egress.ports | default (list $port) }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}
