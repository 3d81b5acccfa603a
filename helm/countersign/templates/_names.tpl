{{/* The names of things. */}}

{{- define "countersign.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "countersign.service" -}}
{{- default (include "countersign.fullname" .) .Values.webhook.serviceName -}}
{{- end -}}

{{- define "countersign.policyDeployment" -}}
{{- default (printf "%s-policies" (include "countersign.fullname" .)) .Values.policyWebhooks.deployment.name -}}
{{- end -}}

{{/* The Service that is asked about policies: of a deployment of its own, or the same as for images. */}}
{{- define "countersign.policyService" -}}
{{- if .Values.policyWebhooks.deployment.enabled -}}
{{- default (include "countersign.policyDeployment" .) .Values.policyWebhooks.deployment.serviceName -}}
{{- else -}}
{{- include "countersign.service" . -}}
{{- end -}}
{{- end -}}

{{- define "countersign.serviceAccount" -}}
{{- default (include "countersign.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "countersign.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "countersign.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "countersign.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "countersign.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A port of the configuration: what follows the last colon of a listen address. */}}
{{- define "countersign.port" -}}
{{- regexFind "[0-9]+$" . -}}
{{- end -}}

{{/* does, root: what the configurations are called that are about policies themselves, as the gateway calls them. */}}
{{- define "countersign.policyWebhook" -}}
{{- printf "%s.clusterimagepolicy.%s" .does (trimPrefix "policy." .root.Values.webhook.name) -}}
{{- end -}}
