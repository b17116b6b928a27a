{{- /*
The configuration file. Helm's own toToml writes every number of a values file as a float ("256.0"), which the engine
refuses for a count; so values are written here, one key a line, tables inside a value inline. JSON's texts, numbers and
booleans are TOML's.
*/ -}}

{{- /* One value, inline. A null is none. */ -}}
{{- define "etiage.toml.value" -}}
{{- if kindIs "map" . -}}
{ {{- range $i, $key := (keys . | sortAlpha) -}}
{{- if $i }}, {{ else }} {{ end }}{{ $key | toRawJson }} = {{ include "etiage.toml.value" (get $ $key) }}
{{- end }} }
{{- else if kindIs "slice" . -}}
[{{- range $i, $item := . }}{{ if $i }}, {{ end }}{{ include "etiage.toml.value" $item }}{{ end -}}]
{{- else -}}
{{ toRawJson . }}
{{- end -}}
{{- end -}}

{{- /* A table's own keys. */ -}}
{{- define "etiage.toml.keys" -}}
{{- range $key := (keys . | sortAlpha) }}
{{- $value := get $ $key }}
{{- if not (kindIs "invalid" $value) }}
{{ $key | toRawJson }} = {{ include "etiage.toml.value" $value }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "etiage.toml" -}}
# Made by Helm from the values under "config"; secrets are files beside it.
{{- range $section := (keys . | sortAlpha) }}
{{- $table := get $ $section }}
{{- if has $section (list "streams" "views") }}
{{- range $name := (keys $table | sortAlpha) }}
{{- if get $table $name }}

[{{ $section }}.{{ $name | toRawJson }}]
{{- include "etiage.toml.keys" (get $table $name) }}
{{- end }}
{{- end }}
{{- else }}

[{{ $section }}]
{{- include "etiage.toml.keys" $table }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Where the secrets of the values lie in a pod: files named by what they are for. */ -}}
{{- define "etiage.secretsDir" -}}/etc/etiage/secrets{{- end -}}

{{- /*
The configuration with what secrets add to it, as JSON. Takes { root, over, store }: the values, what is laid over
"config", and whose credentials the store gets ("store", or "migrate" where those are given).
*/ -}}
{{- define "etiage.config" -}}
{{- $root := .root -}}
{{- $config := mergeOverwrite (deepCopy $root.Values.config) (deepCopy (.over | default dict)) -}}
{{- range $key, $value := $config.kafka }}
{{- if and (regexMatch "password|secret|\\.pem$|jaas|credential" $key) (not (hasSuffix ".location" $key)) }}{{ fail (printf "config.kafka[%q]: a secret does not belong into values: name a Secret under secrets.kafka" $key) }}{{ end }}
{{- if eq $key "group.instance.id" }}{{ fail "config.kafka[\"group.instance.id\"]: all instances would have one name, and fence each other" }}{{ end }}
{{- end }}
{{- if get $config.store "password" }}{{ fail "config.store.password: a secret does not belong into values: name a Secret under secrets.store.password" }}{{ end -}}
{{- $dir := include "etiage.secretsDir" $root -}}
{{- $kafka := $root.Values.secrets.kafka -}}
{{- if $kafka.password.name }}{{ $_ := set $config.kafka "sasl.password" (dict "file" (printf "%s/kafka/password" $dir)) }}{{ end -}}
{{- if $kafka.ca.name }}{{ $_ := set $config.kafka "ssl.ca.location" (printf "%s/kafka/ca.pem" $dir) }}{{ end -}}
{{- if $kafka.certificate.name }}{{ $_ := set $config.kafka "ssl.certificate.location" (printf "%s/kafka/certificate.pem" $dir) }}{{ end -}}
{{- if $kafka.key.name }}{{ $_ := set $config.kafka "ssl.key.location" (printf "%s/kafka/key.pem" $dir) }}{{ end -}}
{{- if $kafka.keyPassword.name }}{{ $_ := set $config.kafka "ssl.key.password" (dict "file" (printf "%s/kafka/key-password" $dir)) }}{{ end -}}
{{- $store := $root.Values.secrets.store -}}
{{- $tls := dict -}}
{{- if $store.ca.name }}{{ $_ := set $tls "ca" (printf "%s/store/ca.pem" $dir) }}{{ end -}}
{{- if $store.certificate.name }}{{ $_ := set $tls "certificate" (printf "%s/store/certificate.pem" $dir) }}{{ end -}}
{{- if $store.key.name }}{{ $_ := set $tls "key" (printf "%s/store/key.pem" $dir) }}{{ end -}}
{{- if $store.keyPassword.name }}{{ $_ := set $tls "key_password" (dict "file" (printf "%s/store/key-password" $dir)) }}{{ end -}}
{{- if $tls }}{{ $_ := set $config.store "tls" $tls }}{{ end -}}
{{- if $store.password.name }}{{ $_ := set $config.store "password" (dict "file" (printf "%s/store/password" $dir)) }}{{ end -}}
{{- $migrate := $root.Values.migrate.store -}}
{{- if and (eq .store "migrate") $migrate.password.name -}}
{{- $_ := set $config.store "username" (required "migrate.store.username: whose password is migrate.store.password?" $migrate.username) -}}
{{- $_ := set $config.store "password" (dict "file" (printf "%s/migrate/password" $dir)) -}}
{{- end -}}
{{ toJson $config }}
{{- end -}}

{{- /* The file, of the same arguments. */ -}}
{{- define "etiage.file" -}}
{{ include "etiage.config" . | fromJson | include "etiage.toml" }}
{{- end -}}
