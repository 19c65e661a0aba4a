# Finds or fetches a Python that Home Assistant accepts, touching nothing outside the project. Sourced after uv.sh.
# shellcheck shell=bash disable=SC2154

debian_python=$tools/python

# 3.14 only: the locks' compiled wheels are made for it. Home Assistant refuses 3.14.0 and 3.14.1.
suits() {
  [ -n "$1" ] && "$1" -c 'import sys, ssl, sqlite3; sys.exit(not (3, 14, 2) <= sys.version_info[:3] < (3, 15))' 2>/dev/null
}

# Sets $python. The system's own first, then the newest of Python's own builds by uv, then Debian's next suite.
find_python() {
  local candidate
  for candidate in "$(type -P python3.14 || true)" "$(type -P python3 || true)" \
    "$UV_PYTHON_INSTALL_DIR"/cpython-3.14*/bin/python3.14 "$debian_python/usr/bin/python3.14"; do
    case $candidate in "$PWD"/.venv*) continue ;; esac
    if suits "$candidate"; then
      # Past a version manager's shim, another virtual environment or a link, to the program itself.
      python=$("$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))')
      return
    fi
  done
  if step "Python 3.14, uv's build" uv_python; then
    python=$(find "$UV_PYTHON_INSTALL_DIR" -path '*/cpython-3.14*/bin/python3.14' | head -n 1)
  elif step "Python 3.14, from Debian testing, kept private" debian_python; then
    python=$debian_python/usr/bin/python3.14
  fi
  suits "${python:-}" || {
    log_tail
    fail "no Python 3.14.2 or newer 3.14 could be found or fetched (see $log)" \
      "install Python 3.14 so that 'python3.14' is on the PATH, or check the network, and run scripts/setup again"
  }
}

# Gives up early where the download site cannot be reached; a slow line may take its minutes.
uv_python() {
  UV_HTTP_CONNECT_TIMEOUT=5 UV_HTTP_TIMEOUT=20 UV_HTTP_RETRIES=0 timeout 300 \
    "$uv" python install --no-bin 3.14
}

# Python as Debian's next suite has it, below .tools/python. libstdc++6 is for compiled packages: theirs must match this C
# library. The old names of the C library's parts are loaded at the start, so that no compiled package picks the system's.
debian_python() {
  debian_program "$debian_python" usr/bin/python3.14 python3.14 libstdc++6 &&
    "$patchelf" --add-needed libpthread.so.0 --add-needed libdl.so.2 --add-needed librt.so.1 --add-needed libutil.so.1 \
      "$debian_python/usr/bin/python3.14"
}

# debian_program FOLDER PROGRAM PACKAGE...: packages of Debian's next suite and every library they need, C library included,
# unpacked in FOLDER. PROGRAM there is told to use that folder's loader and libraries, so that nothing of the system is replaced.
debian_program() {
  local folder=$1 program=$2 apt=$tools/apt new=$1.new libraries package
  shift 2
  rm -rf "$new" "$folder" "$apt"
  mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$new"
  python3 scripts/lib/testing_source.py >"$apt/testing.sources" || return 1
  : >"$apt/state/status" # nothing counts as installed: every dependency is fetched
  local private=(
    -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/state/status" -o "Dir::Cache=$apt/cache"
    -o "Dir::Etc::sourcelist=$apt/testing.sources" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferences=/dev/null
    -o Dir::Etc::preferencesparts=/dev/null -o APT::Sandbox::User=root -o APT::Install-Recommends=false
    -o Acquire::Languages=none -o Acquire::Retries=2 -o Acquire::http::Timeout=20
  )
  apt-get "${private[@]}" update || return 1
  apt-get "${private[@]}" --yes --download-only install "$@" || return 1
  for package in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$package" "$new" || return 1; done
  rm -rf "$new"/usr/share/doc "$new"/usr/share/man "$apt"
  find_patchelf || return 1
  libraries=$(dirname "$(find "$new/usr/lib" -name libc.so.6 | head -n 1)")
  PATH=$PATH:/usr/sbin:/sbin ldconfig -n "$libraries" || return 1 # some packages leave their links to it
  libraries=$folder${libraries#"$new"}
  mv "$new" "$folder" || return 1
  # RPATH, not RUNPATH: it also holds for the libraries that libraries ask for.
  "$patchelf" --set-interpreter "$(find "$libraries" -name 'ld-linux-*.so.*' | head -n 1)" --force-rpath --set-rpath "$libraries" \
    "$folder/$program"
}
