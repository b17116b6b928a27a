{{- /* What every pod here has in common; all of it fits the Pod Security Standard "restricted". */ -}}

{{- /* One file of the secrets volume: { from: { name, key }, path }; nothing where no Secret is named. */ -}}
{{- define "etiage.secretFile" -}}
{{- if .from.name }}
- secret:
    name: {{ .from.name }}
    items: [{ key: {{ .from.key | quote }}, path: {{ .path }} }]
{{- end }}
{{- end -}}

{{- /* All of them. Takes { root, store }: whose credentials the store gets. */ -}}
{{- define "etiage.secretFiles" -}}
{{- range $side := list "kafka" "store" }}
{{- $from := get $.root.Values.secrets $side }}
{{- $migrates := and (eq $side "store") (eq $.store "migrate") $.root.Values.migrate.store.password.name }}
{{- if not $migrates }}
{{- include "etiage.secretFile" (dict "from" $from.password "path" (printf "%s/password" $side)) }}
{{- end }}
{{- include "etiage.secretFile" (dict "from" $from.ca "path" (printf "%s/ca.pem" $side)) }}
{{- include "etiage.secretFile" (dict "from" $from.certificate "path" (printf "%s/certificate.pem" $side)) }}
{{- include "etiage.secretFile" (dict "from" $from.key "path" (printf "%s/key.pem" $side)) }}
{{- include "etiage.secretFile" (dict "from" $from.keyPassword "path" (printf "%s/key-password" $side)) }}
{{- end }}
{{- if eq $.store "migrate" }}
{{- include "etiage.secretFile" (dict "from" $.root.Values.migrate.store.password "path" "migrate/password") }}
{{- end }}
{{- end -}}

{{- /*
The pod's spec. Takes { root, args, config, store, resources, serves, restart, seconds }: the arguments of `etiage`, the name of the
ConfigMap with its configuration, whose credentials the store gets, whether it listens, the restart policy of a Job, and the time to stop in.
*/ -}}
{{- define "etiage.pod" -}}
{{- $values := .root.Values -}}
{{- $secrets := include "etiage.secretFiles" . -}}
{{- with .restart }}
restartPolicy: {{ . }}
{{- end }}
{{- with .seconds }}
terminationGracePeriodSeconds: {{ . }}
{{- end }}
automountServiceAccountToken: false # it never talks to Kubernetes
enableServiceLinks: false # no variables of other Services in its environment
{{- with $values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $values.user }}
  runAsGroup: {{ $values.user }}
  fsGroup: {{ $values.user }} # so that it may read its secrets
  seccompProfile: { type: RuntimeDefault }
containers:
  - name: etiage
    image: {{ include "etiage.image" .root | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    args: {{- toYaml .args | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: { drop: [ALL] }
    resources: {{- toYaml .resources | nindent 6 }}
    {{- if .serves }}
    ports:
      - { name: metrics, containerPort: {{ include "etiage.port" .root }} }
    # It listens before it connects: /livez says that the process goes on, whatever Kafka and the store do.
    startupProbe:
      httpGet: { path: /livez, port: metrics }
      periodSeconds: 1
      failureThreshold: 30
    livenessProbe:
      httpGet: { path: /livez, port: metrics }
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 3
    # Ready: the group has taken it in, and both ways out (rows; rejected and late readings) work.
    readinessProbe:
      httpGet: { path: /readyz, port: metrics }
      periodSeconds: 2
      timeoutSeconds: 2
      failureThreshold: 3
    {{- end }}
    volumeMounts:
      - { name: config, mountPath: /etc/etiage/config, readOnly: true }
      {{- if $secrets }}
      - { name: secrets, mountPath: {{ include "etiage.secretsDir" .root }}, readOnly: true }
      {{- end }}
      {{- if $values.files.configMap }}
      - { name: files, mountPath: /etc/etiage/files, readOnly: true }
      {{- end }}
      {{- if $values.files.persistentVolumeClaim }}
      - { name: archive, mountPath: /etc/etiage/archive, readOnly: true }
      {{- end }}
volumes:
  - name: config
    configMap: { name: {{ .config }} }
  {{- if $secrets }}
  - name: secrets
    projected:
      defaultMode: 0440
      sources: {{- $secrets | trim | nindent 8 }}
  {{- end }}
  {{- with $values.files.configMap }}
  - name: files
    configMap: { name: {{ . }} }
  {{- end }}
  {{- with $values.files.persistentVolumeClaim }}
  - name: archive
    persistentVolumeClaim: { claimName: {{ . }}, readOnly: true }
  {{- end }}
{{- end -}}

{{- /* The same for an instance of the engine: { root, config }. The time to stop in: the last flush, leaving the group, answers under way. */ -}}
{{- define "etiage.engine" -}}
{{- $seconds := add (include "etiage.seconds" .root.Values.config.engine.stop_deadline | int64) 12 -}}
{{- $pod := dict "args" (list "run" "--config" "/etc/etiage/config/etiage.toml") "store" "store" "serves" true "resources" .root.Values.resources "seconds" $seconds -}}
{{ include "etiage.pod" (merge $pod .) }}
topologySpreadConstraints:
  {{- range $key, $when := .root.Values.topologySpread }}
  {{- if $when }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: {{ $when }}
    labelSelector:
      matchLabels: {{- include "etiage.selector" $.root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
  {{- end }}
{{- end -}}
