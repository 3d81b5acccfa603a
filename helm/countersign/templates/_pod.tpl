{{/* The Pod of a replica. */}}

{{- define "countersign.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "countersign.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "countersign.spread" -}}
{{- if .root.Values.topologySpreadConstraints -}}
{{ toYaml .root.Values.topologySpreadConstraints }}
{{- else -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- topologyKey: {{ . }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "countersign.selector" $.root | nindent 6 }}
      app.kubernetes.io/component: {{ $.component }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "countersign.mounts" -}}
- {name: config, mountPath: /etc/countersign/config, readOnly: true}
- {name: storage, mountPath: {{ .Values.config.storage.path }}}
- {name: tmp, mountPath: /tmp}
{{- if ne .Values.certificates.source "gateway" }}
- {name: tls, mountPath: /etc/countersign/tls, readOnly: true}
{{- end }}
{{- if or .Values.policies (not (include "countersign.kubernetes" .)) }}
- {name: policies, mountPath: /etc/countersign/policies, readOnly: true}
{{- end }}
{{- if .Values.files }}
- {name: files, mountPath: /etc/countersign/files, readOnly: true}
{{- end }}
{{- if .Values.registry.tlsSecret }}
- {name: registry-tls, mountPath: /etc/countersign/registry-tls, readOnly: true}
{{- end }}
{{- if ne .Values.redis.mode "none" }}
- {name: seal, mountPath: /etc/countersign/seal, readOnly: true}
{{- end }}
{{- if or (eq .Values.redis.mode "bundled") (and (eq .Values.redis.mode "external") .Values.redis.external.existingSecret) }}
- {name: redis, mountPath: /etc/countersign/redis, readOnly: true}
{{- end }}
{{- range .Values.secrets }}
- {name: secret-{{ . }}, mountPath: /etc/countersign/secrets/{{ . }}, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* All but `storage`, which is either an emptyDir or a claim. */}}
{{- define "countersign.volumes" -}}
- name: config
  configMap: {name: {{ include "countersign.fullname" . }}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- if ne .Values.certificates.source "gateway" }}
- name: tls
  secret: {secretName: {{ include "countersign.tlsSecret" . }}, defaultMode: 0440}
{{- end }}
{{- if or .Values.policies (not (include "countersign.kubernetes" .)) }}
- name: policies
  configMap: {name: {{ include "countersign.fullname" . }}-policies}
{{- end }}
{{- if .Values.files }}
- name: files
  configMap: {name: {{ include "countersign.fullname" . }}-files}
{{- end }}
{{- with .Values.registry.tlsSecret }}
- name: registry-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if ne .Values.redis.mode "none" }}
- name: seal
  secret:
    secretName: {{ default (printf "%s-seal" (include "countersign.fullname" .)) .Values.redis.seal.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- if eq .Values.redis.mode "bundled" }}
- name: redis
  secret:
    secretName: {{ include "countersign.fullname" . }}-redis
    defaultMode: 0440
    items: [{key: password, path: password}]
{{- else if and (eq .Values.redis.mode "external") .Values.redis.external.existingSecret }}
- name: redis
  secret: {secretName: {{ .Values.redis.external.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- range .Values.secrets }}
- name: secret-{{ . }}
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* root: the chart; component: which replicas; claim: whether the storage is a claim of the StatefulSet. */}}
{{- define "countersign.pod" -}}
{{- $values := .root.Values -}}
{{- with .root -}}
metadata:
  labels:
    {{- include "countersign.selector" . | nindent 4 }}
    app.kubernetes.io/component: {{ $.component }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "countersign.config" . | sha256sum }}
    {{- if eq $values.certificates.source "chart" }}
    checksum/tls: {{ index (include "countersign.ownCertificate" . | fromYaml) "tls.crt" | sha256sum }}
    {{- end }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "countersign.serviceAccount" . }}
  automountServiceAccountToken: {{ eq (include "countersign.kubernetes" .) "true" }}
  enableServiceLinks: false
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: 60
  securityContext:
    {{- include "countersign.podSecurity" . | nindent 4 }}
  topologySpreadConstraints:
    {{- include "countersign.spread" $ | trim | nindent 4 }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: countersign
      image: {{ include "countersign.image" . }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args: [serve, --config, /etc/countersign/config/countersign.yaml]
      {{- with $values.env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: registry, containerPort: {{ include "countersign.port" $values.config.registry.listen }}}
        - {name: admission, containerPort: {{ include "countersign.port" $values.config.admission.listen }}}
        - {name: admin, containerPort: {{ include "countersign.port" $values.config.admin.listen }}}
      startupProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 1
        failureThreshold: 60
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 5
        timeoutSeconds: 2
        failureThreshold: 2
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # Requests are still sent here for a moment after this replica was told to stop.
      lifecycle: {preStop: {sleep: {seconds: 5}}}
      securityContext:
        {{- include "countersign.containerSecurity" . | nindent 8 }}
      {{- with $values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        {{- include "countersign.mounts" . | nindent 8 }}
  volumes:
    {{- if not $.claim }}
    - name: storage
      emptyDir: {sizeLimit: {{ $values.storage.size }}}
    {{- end }}
    {{- include "countersign.volumes" . | nindent 4 }}
{{- end -}}
{{- end -}}
