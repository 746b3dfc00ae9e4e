{{- define "pharos.name" -}}
{{- if contains "pharos" .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- else -}}{{ printf "%s-pharos" .Release.Name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "pharos.labels" -}}
app.kubernetes.io/name: pharos
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* The labels that select a part: a list of the chart and the part's name. */}}
{{- define "pharos.selector" -}}
app.kubernetes.io/name: pharos
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "pharos.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* What every container has: a list of the chart and the name of the setting for trusted proxies, if any. */}}
{{- define "pharos.container" -}}
image: {{ include "pharos.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "pharos.settings" -}}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{/* The catalog, for the containers that ask it: its setting, where it is mounted, and its volume. */}}
{{- define "pharos.catalog" -}}
{{- if .Values.catalog.configMap -}}{{ .Values.catalog.configMap }}{{- else if .Values.catalog.text -}}{{ include "pharos.name" . }}-catalog{{- end -}}
{{- end -}}

{{- define "pharos.catalogSetting" -}}
{{- if include "pharos.catalog" . }}
- {name: PHAROS_CATALOG, value: /etc/pharos/catalog.toml}
{{- end }}
{{- end -}}

{{/* A folder, not the file alone: Kubernetes does not replace a file that is mounted alone. */}}
{{- define "pharos.catalogMount" -}}
{{- if include "pharos.catalog" . }}
- {name: catalog, mountPath: /etc/pharos, readOnly: true}
{{- end }}
{{- end -}}

{{- define "pharos.catalogVolume" -}}
{{- with include "pharos.catalog" . }}
- {name: catalog, configMap: {name: {{ . | quote }}}}
{{- end }}
{{- end -}}

{{- define "pharos.pod" -}}
serviceAccountName: {{ include "pharos.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 60
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where the pods may run: the values of a part. */}}
{{- define "pharos.place" -}}
{{- with .nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A volume with the given keys of the secret, and no others: a list of the chart, the volume's name, and the keys. */}}
{{- define "pharos.secrets" -}}
{{- $chart := index . 0 -}}
- name: {{ index . 1 }}
  secret:
    secretName: {{ $chart.Values.secret }}
    defaultMode: 0440
    items:
    {{- range index . 2 }}
    - {key: {{ . }}, path: {{ . }}}
    {{- end }}
{{- end -}}

{{/* A claim for a home: the values of a part. */}}
{{- define "pharos.home" -}}
- metadata: {name: home}
  spec:
    accessModes: [ReadWriteOnce]
    resources: {requests: {storage: {{ .storage.size }}}}
    {{- with .storage.storageClassName }}
    storageClassName: {{ . | quote }}
    {{- end }}
{{- end -}}

{{/* A service and, if wanted, an ingress: a list of the chart, the part's name, and the port of its container. */}}
{{- define "pharos.front" -}}
{{- $chart := index . 0 -}}{{- $part := index . 1 -}}{{- $values := index $chart.Values $part -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "pharos.name" $chart }}-{{ $part }}
  labels: {{ include "pharos.labels" $chart | nindent 4 }}
  {{- with $values.service.annotations }}
  annotations: {{ toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $values.service.type }}
  selector: {{ include "pharos.selector" (list $chart $part) | nindent 4 }}
  ports: [{name: http, port: {{ $values.service.port }}, targetPort: http}]
{{- with $values.ingress }}
{{- if .enabled }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ include "pharos.name" $chart }}-{{ $part }}
  labels: {{ include "pharos.labels" $chart | nindent 4 }}
  {{- with .annotations }}
  annotations: {{ toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .className }}
  ingressClassName: {{ . | quote }}
  {{- end }}
  {{- with .tlsSecret }}
  tls: [{hosts: [{{ $values.ingress.host | quote }}], secretName: {{ . | quote }}}]
  {{- end }}
  rules:
  - host: {{ .host | quote }}
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: {{ include "pharos.name" $chart }}-{{ $part }}, port: {name: http}}}
{{- end }}
{{- end }}
{{- end -}}
