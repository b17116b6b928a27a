{{- /* Where pods may go: to DNS, Kafka and the store; nowhere else. Ports are those of the addresses, unless they are given. */ -}}
{{- define "etiage.egress" -}}
{{- $network := .Values.networkPolicy -}}
- to: {{- toYaml $network.dns | nindent 4 }}
  ports: [{ protocol: UDP, port: 53 }, { protocol: TCP, port: 53 }]
{{ include "etiage.way" (dict "way" $network.kafka "name" "networkPolicy.kafka.to: say where the brokers are" "addresses" (splitList "," (get .Values.config.kafka "bootstrap.servers"))) }}
{{ include "etiage.way" (dict "way" $network.store "name" "networkPolicy.store.to: say where the store's nodes are" "addresses" .Values.config.store.nodes) }}
{{- end -}}

{{- define "etiage.way" -}}
{{- $ports := list -}}
{{- range .way.ports }}{{ $ports = append $ports (toString .) }}{{ end -}}
{{- if not $ports }}{{ range .addresses }}{{ $ports = append $ports (regexFind "[0-9]+$" (trim .)) }}{{ end }}{{ end -}}
- to: {{- required (printf "%s (namespaceSelector, podSelector, ipBlock), or turn networkPolicy.enabled off" .name) .way.to | toYaml | nindent 4 }}
  ports:
    {{- range $ports | uniq | sortAlpha }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end -}}
