# What a script tells the person who runs it. Sourced.
# shellcheck shell=bash disable=SC2154

say() { printf '%s\n' "$*"; }

fail() { # fail WHAT REMEDY
  printf '\nsetup stopped: %s\n  remedy: %s\n' "$1" "$2" >&2
  exit 1
}

# step NAME COMMAND...: runs it with its output in the log; NAME before, the seconds after it; false when it failed.
step() {
  local name=$1 start=$SECONDS
  shift
  printf '  %-46s ' "$name"
  printf '== %s\n' "$name" >>"$log"
  if "$@" >>"$log" 2>&1; then
    printf '%4d s\n' $((SECONDS - start))
  else
    printf '%4d s  not available\n' $((SECONDS - start))
    return 1
  fi
}

# The end of what the last step wrote.
# shellcheck disable=SC2016
log_tail() { sed -n '/^== /h; /^== /!H; ${x;p}' "$log" | tail -n 12 | sed 's/^/    /' >&2; }
