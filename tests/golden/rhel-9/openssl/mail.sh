#!/bin/sh
# mailcfg: certificates.mail (rhel-9.toml)
# Makes the key and a request for an authority, and verifies what the authority sent.
# Safe to run again: a key is never replaced, and what is sound stays.
set -eu
umask 077

name='mail'
key='/etc/pki/tls/private/mail.key'
certificate='/etc/pki/tls/certs/mail.pem'
csr='/etc/pki/tls/certs/mail.csr'

say() { printf 'certificate %s: %s\n' "$name" "$1"; }
die() { say "$1" >&2; exit 1; }

command -v openssl >/dev/null 2>&1 || die 'openssl is not installed.'

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
request=$here/$name.cnf
[ -r "$request" ] || die "$request is missing: it belongs beside this script."
work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# A directory that only we can enter, beside the file $1, so that a finished file moves into place in one step.
work_beside() {
  [ -z "$work" ] || rm -rf "$work"
  work=$1.new.$$
  mkdir -- "$work" || die "cannot write beside $1."
}

# Make the private key $1 of type rsa-3072, readable by its owner alone from the first byte; never replace one.
make_key() {
  [ -d "$(dirname -- "$1")" ] || mkdir -p -- "$(dirname -- "$1")" || die "cannot make the directory of $1."
  work_beside "$1"
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out "$work/key" >/dev/null 2>&1 || die "openssl could not make a key of type rsa-3072."
  ln -- "$work/key" "$1" || die "cannot place the key at $1."
  say "made the key $1."
}

# Move the finished file $1 to $2, readable by all.
place() {
  [ ! -d "$2" ] || die "$2 is a directory."
  [ ! -s "$2" ] || grep -q -e '-----BEGIN.* CERTIFICATE' "$2" ||
    die "$2 holds something else than a certificate or request, and would be lost: move it away."
  chmod 0644 "$1"
  mv -f -- "$1" "$2" || die "cannot place $2."
}

open_directory() { [ -d "$1" ] || (umask 022 && mkdir -p -- "$1") || die "cannot make the directory $1."; }

# Names in the X509v3 text on standard input, one a line.
names_in() {
  sed -n '/X509v3 Subject Alternative Name/{n;s/^ *//;s/, */\
/g;p;q;}'
}

# The wanted names that are not among the lines of $1.
names_missing() {
  printf '%s\n' "$1" | grep -qixF -e 'DNS:mail.example.com' || printf ' %s' 'DNS:mail.example.com'
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
  verify_against /etc/pki/tls/certs/ca-bundle.crt -untrusted "$1" "$1" >/dev/null 2>&1 || echo "the chain of $1 does not verify against /etc/pki/tls/certs/ca-bundle.crt"
}

fault_of_key() {
  [ -r "$key" ] || { echo "$key cannot be read"; return; }
  [ -n "$(public_of_key "$key")" ] || { echo "$key is not a private key, or has a passphrase that Postfix cannot enter"; return; }
  openssl pkey -in "$key" -passin pass: -noout -text_pub 2>/dev/null </dev/null | grep -q '(3072 bit' ||
    { echo "$key is not of type rsa-3072, which the policy wants; move it away to have a new one made"; return; }
  return 0
}

finish() {
  fault=$(fault_of "$certificate")
  [ -z "$fault" ] || die "$fault."
  say "key, names and chain are right; valid until $(openssl x509 -in "$certificate" -noout -enddate | cut -d= -f2)."
}

open_directory "$(dirname -- "$certificate")"
[ -e "$key" ] || [ -L "$key" ] || make_key "$key"
fault=$(fault_of_key)
[ -z "$fault" ] || die "$fault."
# Why the request does not serve, in words; nothing if it does.
fault_of_csr() {
  openssl req -in "$csr" -noout -verify >/dev/null 2>&1 || { echo "$csr is not a sound request"; return; }
  [ "$(openssl req -in "$csr" -noout -pubkey 2>/dev/null)" = "$(public_of_key "$key")" ] ||
    { echo "$csr does not belong to the key $key"; return; }
  missing=$(names_missing "$(openssl req -in "$csr" -noout -text | names_in)")
  [ -z "$missing" ] || echo "$csr lacks the names$missing"
}

if [ -e "$certificate" ]; then
  finish
  exit 0
fi
open_directory "$(dirname -- "$csr")"
fault=new
if [ -e "$csr" ]; then fault=$(fault_of_csr); fi
if [ -n "$fault" ]; then
  [ "$fault" = new ] || say "$fault: making it again."
  work_beside "$csr"
  openssl req -new -sha256 -config "$request" -key "$key" -out "$work/csr" >/dev/null 2>&1 ||
    die "openssl could not make a request from $request."
  place "$work/csr" "$csr"
fi
fault=$(fault_of_csr)
[ -z "$fault" ] || die "$fault."
say "send $csr to your authority, put the certificate with its chain at $certificate, and run this again."
