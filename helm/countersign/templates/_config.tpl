{{/* The configuration file: what follows from other values, and over it what is said under `config`. */}}

{{- define "countersign.kubernetes" -}}
{{- if dig "policies" "kubernetes" false .Values.config -}}true{{- end -}}
{{- end -}}

{{/* Whether tenants are objects too. */}}
{{- define "countersign.tenantObjects" -}}
{{- if dig "policies" "tenantObjects" false .Values.config -}}true{{- end -}}
{{- end -}}

{{/* Whether a tenant is told by the labels of namespaces, or may be. */}}
{{- define "countersign.selectsNamespaces" -}}
{{- include "countersign.tenantObjects" . -}}
{{- range dig "tenants" list .Values.config -}}{{- if .namespaceSelector -}}true{{- end -}}{{- end -}}
{{- end -}}

{{- define "countersign.policyWebhooks" -}}
{{- $enabled := .Values.policyWebhooks.enabled -}}
{{- if kindIs "bool" $enabled -}}
{{- if $enabled -}}true{{- end -}}
{{- else -}}
{{- include "countersign.kubernetes" . -}}
{{- end -}}
{{- end -}}

{{- define "countersign.redisConfig" -}}
{{- $redis := .Values.redis -}}
{{- $made := dict -}}
{{- if eq $redis.mode "bundled" -}}
{{- $_ := set $made "url" (printf "redis://%s-redis:6379" (include "countersign.fullname" .)) -}}
{{- $_ := set $made "username" "countersign" -}}
{{- $_ := set $made "passwordFile" "/etc/countersign/redis/password" -}}
{{- else -}}
{{- $external := $redis.external -}}
{{- $_ := set $made "url" (required "redis.external.url: which Redis?" $external.url) -}}
{{- with $external.username -}}{{- $_ := set $made "username" . -}}{{- end -}}
{{- if $external.existingSecret -}}
{{- if $external.password -}}{{- $_ := set $made "passwordFile" "/etc/countersign/redis/password" -}}{{- end -}}
{{- if $external.ca -}}{{- $_ := set $made "ca" "/etc/countersign/redis/ca.crt" -}}{{- end -}}
{{- if $external.clientCertificate -}}
{{- $_ := set $made "certificate" "/etc/countersign/redis/tls.crt" -}}
{{- $_ := set $made "key" "/etc/countersign/redis/tls.key" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $keys := list -}}
{{- range $redis.seal.keys -}}{{- $keys = append $keys (printf "/etc/countersign/seal/%s" .) -}}{{- end -}}
{{- $_ := set $made "sealKeys" $keys -}}
{{- toYaml $made -}}
{{- end -}}

{{- define "countersign.config" -}}
{{- $made := dict "admission" dict "policies" dict -}}
{{- if ne .Values.certificates.source "gateway" -}}
{{- $_ := set $made.admission "tls" (dict "certificate" "/etc/countersign/tls/tls.crt" "key" "/etc/countersign/tls/tls.key") -}}
{{- else if not (include "countersign.kubernetes" .) -}}
{{- fail "certificates.source: gateway wants config.policies.kubernetes" -}}
{{- end -}}
{{- if .Values.registry.tlsSecret -}}
{{- $_ := set $made "registry" (dict "tls" (dict "certificate" "/etc/countersign/registry-tls/tls.crt" "key" "/etc/countersign/registry-tls/tls.key")) -}}
{{- end -}}
{{- if or .Values.policies (not (include "countersign.kubernetes" .)) -}}
{{- $_ := set $made.policies "directory" "/etc/countersign/policies" -}}
{{- end -}}
{{- if include "countersign.kubernetes" . -}}
{{- $_ := set $made.policies "namespace" .Release.Namespace -}}
{{- $_ := set $made.admission "webhook" .Values.webhook.name -}}
{{- if .Values.pullSecrets.namespaces -}}{{- $_ := set $made.admission "pullSecrets" true -}}{{- end -}}
{{- else if .Values.pullSecrets.namespaces -}}
{{- fail "pullSecrets.namespaces: wants config.policies.kubernetes" -}}
{{- end -}}
{{- if ne .Values.redis.mode "none" -}}
{{- $_ := set $made "cache" (dict "redis" (include "countersign.redisConfig" . | fromYaml)) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $made (deepCopy .Values.config)) -}}
{{- end -}}
