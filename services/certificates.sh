#!/usr/bin/env bash
# Certificates for development and tests, made once with openssl.
#   certificates.sh DIR
# In DIR: ca.pem (the authority); server.pem with its key, for localhost and 127.0.0.1 to .3; client.pem with
# client.key and, the same key under a passphrase, client.locked.key; and of an authority that nobody trusts,
# stranger.ca.pem, stranger.pem and stranger.key. CLIENT_KEY_PASSWORD (etiage-key) is the passphrase.
. "$(dirname "$0")/common.sh"
command -v openssl >/dev/null || die "openssl is missing: apt-get install openssl"
[ $# = 1 ] || { sed -n 2,7p "$0"; exit 2; }
[ ! -f "$1/complete" ] || exit 0
umask 077
mkdir -p "$1"
cd "$1"
DAYS=3650

authority() { # name subject
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days $DAYS -subj "/CN=$2" -keyout "$1.key" -out "$1.pem"
}

# A key in PKCS#8, as Java wants it, and a certificate by an authority.
signed() { # name subject authority extensions
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
  openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3.key" -CAcreateserial -days $DAYS -extfile <(printf '%s\n' "$4") -out "$1.pem"
  rm "$1.csr"
}

make_all() {
  authority ca 'etiage test authority'
  authority stranger.ca 'another authority'
  signed server localhost ca 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3'
  signed client etiage ca 'extendedKeyUsage=clientAuth'
  signed stranger etiage stranger.ca 'extendedKeyUsage=clientAuth'
  # Key, certificate and authority in one file: a key store for Java.
  cat server.key server.pem ca.pem >server.store.pem
  openssl pkcs8 -topk8 -v2 aes-256-cbc -in client.key -passout env:CLIENT_KEY_PASSWORD -out client.locked.key
  touch complete
}
export CLIENT_KEY_PASSWORD=${CLIENT_KEY_PASSWORD:-etiage-key}
make_all >openssl.log 2>&1 || { cat openssl.log >&2; die "openssl could not make the certificates in $1"; }
