{{- /* Names and labels. */ -}}

{{- define "etiage.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 48 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 48 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 48 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- /* What selects this release's pods; never changes, since a Deployment's selector cannot. */ -}}
{{- define "etiage.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "etiage.labels" -}}
{{ include "etiage.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "etiage.image" -}}
{{- $repository := required "image.repository: name the image, such as registry.example/etiage; none is published under this chart's name" .Values.image.repository -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- if eq $tag "latest" }}{{ fail "image.tag: \"latest\" is another image tomorrow, and instances of two versions must not meet by chance; name a version" }}{{ end -}}
{{- if .Values.image.digest -}}
{{ printf "%s:%s@%s" $repository $tag .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" $repository $tag }}
{{- end -}}
{{- end -}}

{{- /* The port of serve.listen. */ -}}
{{- define "etiage.port" -}}
{{ regexFind "[0-9]+$" .Values.config.serve.listen }}
{{- end -}}

{{- /* "8s" → 8; whole seconds, upwards. */ -}}
{{- define "etiage.seconds" -}}
{{- $count := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" }}{{ div (add $count 999) 1000 }}
{{- else if eq $unit "s" }}{{ $count }}
{{- else if eq $unit "m" }}{{ mul $count 60 }}
{{- else }}{{ mul $count 3600 }}
{{- end -}}
{{- end -}}

{{- /* Partitions of all topics together: more instances than these have nothing to do, they stand by. */ -}}
{{- define "etiage.partitions" -}}
{{- $topics := 0 -}}
{{- range .Values.config.streams }}{{ $topics = add $topics (len (.topics | default list)) }}{{ end -}}
{{- .Values.topics.partitionsInAll | default (mul $topics .Values.topics.partitions) | int64 -}}
{{- end -}}
