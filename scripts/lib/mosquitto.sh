# Debian's Mosquitto, the broker that tests of a utility's push run against. A copy of its own, so that no service starts. Sourced
# after python.sh. Never a reason for setup to fail: without it those tests say that they were left out.
# shellcheck shell=bash disable=SC2154

private_mosquitto=$tools/mosquitto

find_mosquitto() {
  type -P mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || [ -x "$private_mosquitto/usr/sbin/mosquitto" ] ||
    step "Mosquitto, from Debian testing, kept private" debian_program "$private_mosquitto" usr/sbin/mosquitto mosquitto ||
    say "  no Mosquitto (see $log): tests of push will be left out. To have them: as root, apt-get install mosquitto"
}
