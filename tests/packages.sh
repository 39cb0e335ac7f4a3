#!/bin/sh
# tests/packages.sh build|test|long: installs what Debian 12 lacks of the packages for building, for testing too, or for all
# of tests/long.sh: a browser is large.
set -eu

build='gcc cmake ninja-build pkg-config libpcre2-dev libcurl4-gnutls-dev libcjson-dev libssl-dev libsqlite3-dev libpq-dev
  libconfuse-dev libcmocka-dev libetpan-dev python3 sqlite3
  ca-certificates'
test='clang clang-14 libclang-rt-14-dev llvm-14 clang-format clang-tidy procmail maildrop mandoc git util-linux
  openssl valgrind python3-icalendar python3-botocore python3-jwt python3-cryptography python3-dkim python3-nacl python3-authres libopendkim-dev libgmime-3.0-dev
  postfix dovecot-core dovecot-imapd dovecot-lmtpd dovecot-sieve fdm
  nsd mlmmj
  postgresql postgresql-client
  request-tracker5 rt5-db-sqlite rt5-standalone redmine redmine-sqlite dbconfig-no-thanks
  dpkg-dev adduser init-system-helpers systemd zsh fish'

case "${1-}" in
build) wanted=$build ;;
test) wanted="$build $test" ;;
long) wanted="$build $test chromium fonts-dejavu-core imapfilter npm python3-jsonschema" ;;
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
policy=/usr/sbin/policy-rc.d # the tests start their own servers: the packages' must not
if [ ! -e $policy ]; then
	trap '$as_root rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
	$as_root chmod 755 $policy
fi
case $missing in
*postfix*) # the machine's must not begin to take mail
	echo 'postfix postfix/main_mailer_type select No configuration' | $as_root debconf-set-selections
	;;
esac
# Redmine's installation asks Bundler for gems that Ruby's own, newer copy of Bundler does not find: Debian's package does.
# shellcheck disable=SC2086 # the list is words
$as_root env DEBIAN_FRONTEND=noninteractive BUNDLER_VERSION=2.3.15 \
	apt-get install -y -qq --no-install-recommends --no-remove $missing >/dev/null
