{{/* What both webhooks for images have in common. */}}

{{- define "countersign.workloads" -}}
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [pods, replicationcontrollers, podtemplates]
# A subresource is never sent for its object's sake: it has to be named.
- apiGroups: [""]
  apiVersions: [v1]
  operations: [UPDATE]
  resources: [pods/ephemeralcontainers]
- apiGroups: [apps]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [deployments, replicasets, statefulsets, daemonsets]
- apiGroups: [batch]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [jobs, cronjobs]
{{- range ((.Values.config.admission | default dict).kinds | default list) }}
{{- $kind := lower .kind }}
{{- $guess := hasSuffix "y" $kind | ternary (printf "%sies" (trimSuffix "y" $kind)) (printf "%s%s" $kind (hasSuffix "s" $kind | ternary "es" "s")) }}
- apiGroups: [{{ .group | default "" | quote }}]
  apiVersions: ["*"]
  operations: [CREATE, UPDATE]
  resources: [{{ .resource | default $guess }}]
{{- end }}
{{- with .Values.webhook.extraRules }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "countersign.conditions" -}}
{{- if .Values.webhook.skipUnchanged }}
- name: starts-something
  expression: >-
    !(request.operation == 'UPDATE' && has(object.spec) && has(oldObject.spec) && object.spec == oldObject.spec)
{{- end }}
{{- with .Values.webhook.matchConditions }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Opt-in namespaces, less those that the cluster needs to start. */}}
{{- define "countersign.namespaces" -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: [{{ prepend .Values.webhook.exemptNamespaces .Release.Namespace | uniq | join ", " }}]
  {{- with .Values.webhook.namespaceSelector.matchExpressions }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.webhook.namespaceSelector.matchLabels }}
matchLabels:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* root, service, path */}}
{{- define "countersign.client" -}}
clientConfig:
  {{- with include "countersign.caBundle" .root }}
  {{- . | nindent 2 }}
  {{- end }}
  service: {name: {{ .service }}, namespace: {{ .root.Release.Namespace }}, path: {{ .path }}, port: 443}
{{- end -}}

{{- define "countersign.policyKinds" -}}
- apiGroups: [policy.sigstore.dev]
  apiVersions: ["*"]
  operations: [CREATE, UPDATE]
  resources: [clusterimagepolicies, trustroots]
- apiGroups: [policy.countersign.dev]
  apiVersions: ["*"]
  operations: [CREATE, UPDATE]
  resources: [imagepolicies, revocations]
{{- end -}}
