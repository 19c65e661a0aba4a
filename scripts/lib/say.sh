# What a script tells the person who runs it. Sourced.
# shellcheck shell=bash

say() { printf '%s\n' "$*"; }

fail() { # fail WHAT REMEDY
  printf '\nsetup stopped: %s\n  remedy: %s\n' "$1" "$2" >&2
  exit 1
}

# step NAME COMMAND...: runs it with its output in the log; NAME and the seconds on one line; false when it failed.
step() {
  local name=$1 start=$SECONDS
  shift
  printf '== %s\n' "$name" >>"$log"
  if "$@" >>"$log" 2>&1; then
    printf '  %-46s %3d s\n' "$name" $((SECONDS - start))
  else
    printf '  %-46s %3d s  did not work\n' "$name" $((SECONDS - start))
    return 1
  fi
}

log_tail() { sed -n '/^== /h; /^== /!H; ${x;p}' "$log" | tail -n 12 | sed 's/^/    /' >&2; }
