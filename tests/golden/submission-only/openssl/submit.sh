#!/bin/sh
# mailcfg: certificates.submit (submission-only.toml)
# Verifies the certificate and key that the ACME client keeps.
# Safe to run again: a key is never replaced, and what is sound stays.
set -eu
umask 077

name='submit'
key='/etc/letsencrypt/live/submit.example.com/privkey.pem'
certificate='/etc/letsencrypt/live/submit.example.com/fullchain.pem'

say() { printf 'certificate %s: %s\n' "$name" "$1"; }
die() { say "$1" >&2; exit 1; }

command -v openssl >/dev/null 2>&1 || die 'openssl is not installed.'

# Names in the X509v3 text on standard input, one a line.
names_in() {
  sed -n '/X509v3 Subject Alternative Name/{n;s/^ *//;s/, */\
/g;p;q;}'
}

# The wanted names that are not among the lines of $1.
names_missing() {
  printf '%s\n' "$1" | grep -qixF -e 'DNS:submit.example.com' || printf ' %s' 'DNS:submit.example.com'
}

public_of_key() { openssl pkey -in "$1" -passin pass: -pubout 2>/dev/null </dev/null; }

# Verify against the authorities in file $1 alone: openssl also believes those of its own directory, unless a version
# that can be told so is told so.
verify_against() {
  authorities=$1
  shift
  for option in -no-CApath -no-CAstore; do
    if openssl verify -help 2>&1 | grep -q -e "$option"; then set -- "$option" "$@"; fi
  done
  openssl verify -CAfile "$authorities" "$@"
}

# Why the certificate in file $1 does not serve, in words; nothing if it does.
fault_of() {
  [ -r "$1" ] || { echo "$1 cannot be read"; return; }
  openssl x509 -in "$1" -noout 2>/dev/null || { echo "$1 is not a PEM certificate"; return; }
  [ "$(openssl x509 -in "$1" -noout -pubkey 2>/dev/null)" = "$(public_of_key "$key")" ] ||
    { echo "$1 does not belong to the key $key"; return; }
  missing=$(names_missing "$(openssl x509 -in "$1" -noout -text | names_in)")
  [ -z "$missing" ] || { echo "$1 lacks the names$missing"; return; }
  openssl x509 -in "$1" -noout -checkend 0 >/dev/null || { echo "$1 has expired or is about to"; return; }
  verify_against /etc/ssl/certs/ca-certificates.crt -untrusted "$1" "$1" >/dev/null 2>&1 || echo "the chain of $1 does not verify against /etc/ssl/certs/ca-certificates.crt"
}

fault_of_key() {
  [ -r "$key" ] || { echo "$key cannot be read"; return; }
  [ -n "$(public_of_key "$key")" ] || { echo "$key is not a private key, or has a passphrase that Postfix cannot enter"; return; }
  openssl pkey -in "$key" -passin pass: -noout -text_pub 2>/dev/null </dev/null | grep -q 'ASN1 OID: prime256v1' ||
    { echo "$key is not of type ecdsa-p256, which the policy wants; say in the policy which type it has"; return; }
  return 0
}

finish() {
  fault=$(fault_of "$certificate")
  [ -z "$fault" ] || die "$fault."
  say "key, names and chain are right; valid until $(openssl x509 -in "$certificate" -noout -enddate | cut -d= -f2)."
}

for file in "$key" "$certificate"; do
  [ -e "$file" ] || die "$file is not there: let the ACME client fetch the certificate first."
done
fault=$(fault_of_key)
[ -z "$fault" ] || die "$fault."
finish
