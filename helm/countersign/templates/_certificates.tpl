{{/*
The certificate of the admission door, made once a rendering and kept over upgrades: what is in the cluster is used again. Where
there is no cluster to look at (helm template) it is new each time: use cert-manager or a Secret of your own there.
*/}}

{{- define "countersign.tlsSecret" -}}
{{- if eq .Values.certificates.source "secret" -}}
{{- required "certificates.secretName: which Secret?" .Values.certificates.secretName -}}
{{- else -}}
{{- include "countersign.fullname" . -}}-tls
{{- end -}}
{{- end -}}

{{/* The names by which the API server calls. */}}
{{- define "countersign.dnsNames" -}}
{{- range (list (include "countersign.service" .) (include "countersign.policyService" .) | uniq) }}
- {{ . }}.{{ $.Release.Namespace }}.svc
- {{ . }}.{{ $.Release.Namespace }}.svc.cluster.local
{{- end }}
{{- end -}}

{{- define "countersign.ownCertificate" -}}
{{- if not (hasKey .Release "ownCertificate") -}}
{{- $names := include "countersign.dnsNames" . | fromYamlArray -}}
{{- $kept := lookup "v1" "Secret" .Release.Namespace (include "countersign.tlsSecret" .) -}}
{{- if dig "metadata" "annotations" "policy.countersign.dev/names" "" $kept | eq (join "," $names) -}}
{{- $_ := set .Release "ownCertificate" $kept.data -}}
{{- else -}}
{{- $days := int .Values.certificates.days -}}
{{- $authority := genCAWithKey "countersign webhook authority" $days (genPrivateKey "ecdsa") -}}
{{- $made := genSignedCertWithKey (first $names) nil $names $days $authority (genPrivateKey "ecdsa") -}}
{{- $_ := set .Release "ownCertificate" (dict "ca.crt" (b64enc $authority.Cert) "tls.crt" (b64enc $made.Cert) "tls.key" (b64enc $made.Key)) -}}
{{- end -}}
{{- end -}}
{{- toYaml .Release.ownCertificate -}}
{{- end -}}

{{/* What webhooks are told to trust; cert-manager writes it in by itself. */}}
{{- define "countersign.caBundle" -}}
{{- if eq .Values.certificates.source "chart" -}}
caBundle: {{ index (include "countersign.ownCertificate" . | fromYaml) "ca.crt" }}
{{- else if eq .Values.certificates.source "secret" -}}
caBundle: {{ required "certificates.caBundle: who vouches for the certificate in the Secret?" .Values.certificates.caBundle | b64enc }}
{{- end -}}
{{- end -}}

{{- define "countersign.caInjection" -}}
{{- if eq .Values.certificates.source "cert-manager" -}}
annotations:
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "countersign.fullname" . }}
{{- end -}}
{{- end -}}

{{/* The replicas write into configurations that carry this label, and into no others. */}}
{{- define "countersign.caLabel" -}}
{{- if eq .Values.certificates.source "gateway" -}}
policy.countersign.dev/inject-ca: "true"
{{- end -}}
{{- end -}}
