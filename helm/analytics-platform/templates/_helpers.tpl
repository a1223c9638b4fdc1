{{/* What names begin with. */}}
{{- define "analytics.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that a selector may use: they never change. Of (dict "root" $ "component" "collector"). */}}
{{- define "analytics.selector" -}}
app.kubernetes.io/name: analytics-platform
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "analytics.labels" -}}
{{ include "analytics.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image by digest, else by tag; production takes digests alone. Of (dict "root" $ "image" {…} "value" "image"). */}}
{{- define "analytics.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else if eq .root.Values.environment "production" -}}
{{- fail (printf "%s.digest: not set; production runs images by their digest, such as --set %s.digest=sha256:…" .value .value) -}}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "analytics.ourImage" -}}
{{ include "analytics.image" (dict "root" . "image" .Values.image "value" "image") }}
{{- end -}}

{{/* Name of a workload's service account. Of (dict "root" $ "part" .Values.collector "component" "collector"). */}}
{{- define "analytics.serviceAccount" -}}
{{ .part.serviceAccount.name | default (printf "%s-%s" (include "analytics.fullname" .root) .component) }}
{{- end -}}

{{/* What every pod promises: no root, no new rights, a known user whose group owns the volumes. */}}
{{- define "analytics.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "analytics.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where the scheduler may put a pod. Of (dict "root" $ "part" … "component" …). */}}
{{- define "analytics.placement" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .part.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .part.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "analytics.selector" $ | nindent 8 }}
{{- end }}
{{- end -}}

{{/* A setting from a Secret, as a variable. Of (dict "name" "slack_token" "reference" {…}). */}}
{{- define "analytics.secretSetting" -}}
- name: ANALYTICS_{{ .name | upper }}
  valueFrom: {secretKeyRef: {name: {{ .reference.existingSecret }}, key: {{ .reference.key }}}}
{{- end -}}

{{/*
Variables of a process of ours: the settings file, what follows from the mounts, and the secrets that this workload uses.
Of (dict "root" $ "component" …). Collectors and the portal get what they read; code server and runs get the rest.
*/}}
{{- define "analytics.environment" -}}
{{- $own := dict "collector" (list "collector_webhooks") "portal" (list "rbac_source" "rbac_token" "rbac_reference_key") -}}
{{- $notForCode := list "collector_webhooks" -}}
- name: ANALYTICS_HOME
  value: /var/lib/analytics
- name: ANALYTICS_SETTINGS_FILE
  value: /etc/analytics/settings/settings.yaml
- name: ANALYTICS_ENVIRONMENT
  value: {{ .root.Values.environment }}
{{- if or .root.Values.tenants.inline .root.Values.tenants.existingConfigMap }}
- name: ANALYTICS_TENANTS_FILE
  value: /etc/analytics/tenants/{{ .root.Values.tenants.key }}
{{- end }}
{{- if ne .component "portal" }}
- name: ANALYTICS_IDENTITY_KEYS_FILE
  value: /etc/analytics/identity-keys/{{ .root.Values.secrets.identityKeys.key }}
{{- end }}
{{- if and .root.Values.secrets.writeKeys.existingSecret (ne .component "portal") }}
- name: ANALYTICS_WRITE_KEYS_FILE
  value: /etc/analytics/write-keys/{{ .root.Values.secrets.writeKeys.key }}
{{- end }}
{{- if and .root.Values.secrets.snowflakeKey.existingSecret (not (has .component (list "collector" "portal"))) }}
- name: ANALYTICS_SNOWFLAKE_PRIVATE_KEY_FILE
  value: /etc/analytics/snowflake-key/{{ .root.Values.secrets.snowflakeKey.key }}
{{- end }}
{{- range $name, $reference := .root.Values.secrets.settings }}
{{- if has $name (get $own $.component | default list) }}
{{ include "analytics.secretSetting" (dict "name" $name "reference" $reference) }}
{{- else if and (not (hasKey $own $.component)) (not (has $name $notForCode)) }}
{{ include "analytics.secretSetting" (dict "name" $name "reference" $reference) }}
{{- end }}
{{- end }}
{{ include "analytics.processEnvironment" . }}
{{- end -}}

{{/* What every Python process here wants: a writable place for what libraries write, and no telemetry. */}}
{{- define "analytics.processEnvironment" -}}
- name: HOME
  value: /tmp
- name: DAGSTER_DISABLE_TELEMETRY
  value: "yes"
- name: DO_NOT_TRACK
  value: "1"
{{- end -}}

{{- define "analytics.postgresPassword" -}}
- name: DAGSTER_PG_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Values.secrets.postgres.existingSecret }}, key: {{ .Values.secrets.postgres.key }}}}
{{- end -}}

{{/* For who opens Dagster's instance by the settings: its file as it is mounted, the password, events in batches. */}}
{{- define "analytics.dagsterEnvironment" -}}
- name: ANALYTICS_DAGSTER_CONFIG_FILE
  value: /opt/dagster/dagster_home/dagster.yaml
- name: ANALYTICS_DAGSTER_POSTGRES_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Values.secrets.postgres.existingSecret }}, key: {{ .Values.secrets.postgres.key }}}}
- name: DAGSTER_EVENT_BATCH_SIZE
  value: "500"
{{- end -}}

{{/* Dagster's home: the official chart's file in a folder that may be written. */}}
{{- define "analytics.instanceMounts" -}}
- {name: dagster-home, mountPath: /opt/dagster/dagster_home}
- {name: instance, mountPath: /opt/dagster/dagster_home/dagster.yaml, subPath: dagster.yaml, readOnly: true}
{{- end -}}

{{- define "analytics.instanceVolumes" -}}
- name: dagster-home
  emptyDir: {sizeLimit: 1Gi}
- name: instance
  configMap: {name: {{ .Values.dagsterInstance.configMap }}}
{{- end -}}

{{/* Retention and erasure of run records go by the settings, Dagster by its chart: both mean one database. */}}
{{- define "analytics.oneDatabase" -}}
{{- if .Values.dagster.enabled -}}
{{- $host := (.Values.dagster.postgresql).postgresqlHost -}}
{{- if and $host (ne $host (.Values.settings.dagster_postgres_host | default "")) -}}
{{- fail (printf "settings.dagster_postgres_host: must be dagster.postgresql.postgresqlHost, %s" $host) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Mounts of a process of ours beside its home. Of (dict "root" $ "component" …). */}}
{{- define "analytics.mounts" -}}
- {name: settings, mountPath: /etc/analytics/settings, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if or .root.Values.tenants.inline .root.Values.tenants.existingConfigMap }}
- {name: tenants, mountPath: /etc/analytics/tenants, readOnly: true}
{{- end }}
{{- if ne .component "portal" }}
- {name: identity-keys, mountPath: /etc/analytics/identity-keys, readOnly: true}
{{- end }}
{{- if and .root.Values.secrets.writeKeys.existingSecret (ne .component "portal") }}
- {name: write-keys, mountPath: /etc/analytics/write-keys, readOnly: true}
{{- end }}
{{- if and .root.Values.secrets.snowflakeKey.existingSecret (not (has .component (list "collector" "portal"))) }}
- {name: snowflake-key, mountPath: /etc/analytics/snowflake-key, readOnly: true}
{{- end }}
{{- end -}}

{{/* The volumes behind them: whole folders, since a file mounted by its path would never see a change. */}}
{{- define "analytics.volumes" -}}
- name: settings
  configMap: {name: {{ include "analytics.fullname" .root }}-settings}
- name: tmp
  emptyDir: {sizeLimit: 2Gi}
{{- if or .root.Values.tenants.inline .root.Values.tenants.existingConfigMap }}
- name: tenants
  configMap: {name: {{ .root.Values.tenants.existingConfigMap | default (printf "%s-tenants" (include "analytics.fullname" .root)) }}}
{{- end }}
{{- if ne .component "portal" }}
- name: identity-keys
  secret: {secretName: {{ .root.Values.secrets.identityKeys.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- if and .root.Values.secrets.writeKeys.existingSecret (ne .component "portal") }}
- name: write-keys
  secret: {secretName: {{ .root.Values.secrets.writeKeys.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- if and .root.Values.secrets.snowflakeKey.existingSecret (not (has .component (list "collector" "portal"))) }}
- name: snowflake-key
  secret: {secretName: {{ .root.Values.secrets.snowflakeKey.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{- define "analytics.homeClaim" -}}
{{ .Values.home.existingClaim | default (printf "%s-home" (include "analytics.fullname" .)) }}
{{- end -}}

{{/* A claim's spec. Of (dict "size" … "storageClass" … "accessModes" …). */}}
{{- define "analytics.claim" -}}
accessModes: {{ toJson (.accessModes | default (list "ReadWriteOnce")) }}
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests: {storage: {{ .size }}}
{{- end -}}

{{/*
How the kubelet asks whether a process answers. One that listens inside its pod alone cannot be asked from outside.
Of (dict "inside" true "path" "/readyz" "port" 8000).
*/}}
{{- define "analytics.probe" -}}
{{- if .inside -}}
exec:
  command:
    - python
    - -c
    - import urllib.request; urllib.request.urlopen('http://127.0.0.1:{{ .port }}{{ .path }}', timeout=4)
timeoutSeconds: 5
{{- else -}}
httpGet: {path: {{ .path }}, port: {{ .port }}}
timeoutSeconds: 5
{{- end }}
{{- end -}}

{{/* The sidecar that says who somebody is. Of (dict "root" $ "port" … "groups" … "host" …). */}}
{{- define "analytics.authProxy" -}}
{{- $proxy := .root.Values.authProxy -}}
- name: auth-proxy
  image: {{ include "analytics.image" (dict "root" .root "image" $proxy.image "value" "authProxy.image") }}
  imagePullPolicy: {{ $proxy.image.pullPolicy }}
  args:
    - --provider=oidc
    - --oidc-issuer-url={{ $proxy.issuerUrl }}
    - --client-id={{ $proxy.clientId }}
    - --redirect-url=https://{{ .host }}/oauth2/callback
    - --http-address=0.0.0.0:{{ $proxy.port }}
    - --upstream=http://127.0.0.1:{{ .port }}/
    - --reverse-proxy=true
    - --email-domain=*
    - --cookie-secure=true
    - --cookie-samesite=lax
    - --skip-provider-button=true
    # The signed token itself goes on, so that who is behind may verify it.
    - --pass-authorization-header=true
    {{- range .groups }}
    - --allowed-group={{ . }}
    {{- end }}
  env:
    - name: OAUTH2_PROXY_CLIENT_SECRET
      valueFrom: {secretKeyRef: {name: {{ $proxy.clientSecret.existingSecret }}, key: {{ $proxy.clientSecret.key }}}}
    - name: OAUTH2_PROXY_COOKIE_SECRET
      valueFrom: {secretKeyRef: {name: {{ $proxy.cookieSecret.existingSecret }}, key: {{ $proxy.cookieSecret.key }}}}
  ports:
    - {name: proxy, containerPort: {{ $proxy.port }}}
  readinessProbe:
    httpGet: {path: /ready, port: proxy}
  livenessProbe:
    httpGet: {path: /ping, port: proxy}
  resources: {{ toYaml $proxy.resources | nindent 4 }}
  securityContext: {{ include "analytics.containerSecurity" . | nindent 4 }}
{{- end -}}

{{/* An Ingress. Of (dict "root" $ "component" … "ingress" … "service" … "path" …). */}}
{{- define "analytics.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ .service }}
  labels: {{ include "analytics.labels" . | nindent 4 }}
  {{- with .ingress.annotations }}
  annotations: {{ toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  tls:
    - hosts: [{{ .ingress.host }}]
      secretName: {{ .ingress.tlsSecret }}
  rules:
    - host: {{ .ingress.host }}
      http:
        paths:
          - path: {{ .path }}
            pathType: Prefix
            backend: {service: {name: {{ .service }}, port: {name: http}}}
{{- end -}}

{{/* A spool that its volume cannot hold would fill the disk before the collector refuses. */}}
{{- define "analytics.spoolFits" -}}
{{- $size := trimSuffix "Gi" .Values.collector.spool.size | int64 | mul 1073741824 -}}
{{- $most := .Values.settings.collector_spool_max_bytes | default 4294967296 | int64 -}}
{{- $free := .Values.settings.collector_min_free_bytes | default 268435456 | int64 -}}
{{- if lt $size (add $most $free) -}}
{{- fail (printf "collector.spool.size: %s is less than collector_spool_max_bytes (%d) and collector_min_free_bytes (%d) together" .Values.collector.spool.size $most $free) -}}
{{- end -}}
{{- end -}}
