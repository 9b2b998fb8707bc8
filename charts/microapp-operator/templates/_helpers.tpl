{{/* Names. One release a cluster: CRDs, policies and webhook configurations have fixed names. */}}
{{- define "microapp-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "microapp-operator.fullname" -}}
{{- $name := include "microapp-operator.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "microapp-operator.webhookName" -}}
{{- printf "%s-webhook" (include "microapp-operator.fullname" .) -}}
{{- end }}

{{- define "microapp-operator.tiersName" -}}
{{- printf "%s-tiers" (include "microapp-operator.fullname" .) -}}
{{- end }}

{{- define "microapp-operator.checkName" -}}
{{- printf "%s-check" (include "microapp-operator.fullname" .) -}}
{{- end }}

{{- define "microapp-operator.certificatesName" -}}
{{- .Values.webhook.certificate.existingSecret | default (printf "%s-certificates" (include "microapp-operator.webhookName" .)) -}}
{{- end }}

{{- define "microapp-operator.operatorAccount" -}}
{{- .Values.operator.serviceAccount.name | default (include "microapp-operator.fullname" .) -}}
{{- end }}

{{- define "microapp-operator.webhookAccount" -}}
{{- .Values.webhook.serviceAccount.name | default (include "microapp-operator.webhookName" .) -}}
{{- end }}

{{/* The operator as the API server names it. Floor, webhook and settings must agree on it. */}}
{{- define "microapp-operator.operatorUser" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "microapp-operator.operatorAccount" .) -}}
{{- end }}

{{/* Labels. */}}
{{- define "microapp-operator.selector" -}}
app.kubernetes.io/name: {{ include "microapp-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "microapp-operator.labels" -}}
{{ include "microapp-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: microapps
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Image by digest where there is one, else by tag. */}}
{{- define "microapp-operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* A generated file under the names of this release. Call with (dict "root" $ "file" "admission/…"). */}}
{{- define "microapp-operator.renamed" -}}
{{- $user := "system:serviceaccount:microapp-system:microapp-operator" -}}
{{- .root.Files.Get .file
    | replace $user "\x01"
    | replace "microapp-system" .root.Release.Namespace
    | replace "\x01" (include "microapp-operator.operatorUser" .root) -}}
{{- end }}

{{/* What every pod of the release has in common. Call with (dict "root" $ "values" $.Values.operator). */}}
{{- define "microapp-operator.podDefaults" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "microapp-operator.containerDefaults" -}}
image: {{ include "microapp-operator.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{ include "microapp-operator.containerSecurity" . }}
{{- end }}

{{- define "microapp-operator.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Spread over nodes and zones. Call with (dict "root" $ "values" … "component" "webhook"). */}}
{{- define "microapp-operator.spread" -}}
{{- if .values.topologySpreadConstraints -}}
{{- toYaml .values.topologySpreadConstraints }}
{{- else }}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "microapp-operator.selector" $.root | nindent 6 }}
      app.kubernetes.io/component: {{ $.component }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end }}

{{/* Until the process listens it may take its time; then a loop that no longer turns is restarted. */}}
{{- define "microapp-operator.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 3
{{- end }}

{{/* "true" when MutatingAdmissionPolicies stamp, else "false": then the webhook does. */}}
{{- define "microapp-operator.stampsByPolicy" -}}
{{- if eq .Values.admission.stamps "auto" -}}
{{- .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
{{- else -}}
{{- eq .Values.admission.stamps "policy" -}}
{{- end -}}
{{- end }}

{{/* "true" when isolation is probed: probes run in apps' pods too, so their image is pinned. */}}
{{- define "microapp-operator.probed" -}}
{{- and .Values.isolationProbe.enabled (ne .Values.image.digest "") -}}
{{- end }}

{{/* Peers of a NetworkPolicy: any address but link-local ones, which hold the cloud's credentials. */}}
{{- define "microapp-operator.anywhere" -}}
- ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
- ipBlock: {cidr: "::/0", except: ["fe80::/10", "fd00:ec2::254/128"]}
{{- end }}

{{/* The same: where the values say something is, or else anywhere. Call with (dict "root" $ "egress" …). */}}
{{- define "microapp-operator.peers" -}}
{{- range .egress.cidrs }}
- ipBlock: {cidr: {{ . | quote }}}
{{- end }}
{{- with .egress.namespace }}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ . }}}}
{{- end }}
{{- if not (or .egress.cidrs .egress.namespace) }}
{{ include "microapp-operator.anywhere" .root }}
{{- end }}
{{- end }}

{{/* Whether something is put before what apps run, so that registries are asked. */}}
{{- define "microapp-operator.asksRegistries" -}}
{{- if or .Values.vault .Values.logging.enabled }}true{{ end }}
{{- end }}

{{- define "microapp-operator.registrySettings" -}}
{{- with .Values.imageRegistries -}}
ca: {{ .ca | quote }}
plainHttp: {{ toJson .plainHttp }}
{{- if .existingSecret }}
credentials: /var/run/secrets/microapps.dev/registries/config.json
{{- end }}
{{- end }}
{{- end }}

{{- define "microapp-operator.dnsEgress" -}}
- to: {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end }}
