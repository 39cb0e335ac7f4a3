#!/bin/sh
# tests/packages.sh build|test|long: installs what Debian 12 lacks of the packages for building, for testing too, or for all
# of tests/long.sh: a browser is large.
set -eu

build='gcc cmake ninja-build pkg-config libpcre2-dev libcurl4-gnutls-dev libcjson-dev libssl-dev libsqlite3-dev
  libconfuse-dev libcmocka-dev libetpan-dev python3 sqlite3
  ca-certificates'
test='clang clang-14 libclang-rt-14-dev llvm-14 clang-format clang-tidy procmail maildrop mandoc git util-linux
  openssl python3-icalendar python3-jwt python3-cryptography python3-dkim python3-nacl python3-authres libopendkim-dev
  postfix dovecot-core dovecot-imapd dovecot-lmtpd dovecot-sieve fdm
  nsd
  dpkg-dev adduser init-system-helpers systemd zsh fish'

case "${1-}" in
build) wanted=$build ;;
test) wanted="$build $test" ;;
long) wanted="$build $test chromium fonts-dejavu-core" ;;
*)
	echo 'usage: tests/packages.sh build|test|long' >&2
	exit 2
	;;
esac

missing=
for package in $wanted; do
	state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || state=
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	as_root='sudo -n'
fi
echo "installing:$missing"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
case $missing in
*postfix*) # the tests start their own: the machine's must not begin to take mail
	echo 'postfix postfix/main_mailer_type select No configuration' | $as_root debconf-set-selections
	;;
esac
# shellcheck disable=SC2086 # the list is words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
