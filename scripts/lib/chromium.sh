# Debian's Chromium, for screenshots of the dashboard. Never a reason for setup to fail. Sourced.
# shellcheck shell=bash disable=SC2154

start_chromium() {
  chromium_pid=
  if [ "$(id -u)" = 0 ] && ! command -v chromium >/dev/null && command -v apt-get >/dev/null; then
    say "  Chromium: apt-get installs it meanwhile"
    install_chromium >"$tools/chromium.log" 2>&1 9>&- &
    chromium_pid=$!
  fi
}

# The lists of a fresh machine are missing, those of an old one name packages that are gone.
install_chromium() {
  local install=(apt-get install --yes --no-install-recommends chromium fonts-dejavu-core)
  export DEBIAN_FRONTEND=noninteractive
  "${install[@]}" || { apt-get update && "${install[@]}"; }
}

await_chromium() {
  local start=$SECONDS
  if [ -n "${chromium_pid:-}" ]; then
    if wait "$chromium_pid"; then
      printf '  %-46s %4d s more\n' "Chromium" $((SECONDS - start))
    else
      say "  Chromium could not be installed (see $tools/chromium.log)"
    fi
  fi
  command -v chromium >/dev/null ||
    say "  no Chromium: screenshots will be left out. To have them: as root, apt-get install chromium"
}
