# Finds or fetches uv (and patchelf) without asking for pip, venv or root. Sourced from the project's root.
# shellcheck shell=bash

tools=$PWD/.tools
log=$tools/setup.log
bootstrap=$tools/bootstrap
mkdir -p "$tools"

# Kept with the project, so that removing the folder removes everything and an empty or missing HOME does not matter.
export UV_CACHE_DIR=${UV_CACHE_DIR:-$tools/cache}
export UV_PYTHON_INSTALL_DIR=$tools/uv-python
# Trust what this machine trusts: a company's proxy signs with its own certificate.
export UV_SYSTEM_CERTS=1
unset VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH

find_uv() {
  local candidate
  for candidate in "$bootstrap/bin/uv" "$(type -P uv || true)"; do
    case $candidate in "" | "$PWD"/.venv*) continue ;; esac
    # 0.9 is the first that builds with uv_build as pyproject.toml asks.
    if "$candidate" --version 2>/dev/null | grep -Eq '^uv (0\.(9|[1-9][0-9])|[1-9])\b'; then
      uv=$candidate
      return
    fi
  done
  step "uv, from the Python package index" fetch_bootstrap ||
    fail "uv could not be fetched (see $log)" "install uv (python3 -m pip install uv), or check the network and run scripts/setup again"
  uv=$bootstrap/bin/uv
}

find_patchelf() {
  patchelf=$(type -P patchelf || true)
  [ -z "$patchelf" ] || return 0
  patchelf=$bootstrap/bin/patchelf
  [ -x "$patchelf" ] || fetch_bootstrap
}

# Installs what bootstrap.lock names into .tools/bootstrap with the first pip that there is.
fetch_bootstrap() {
  local pip=() arguments=(install --require-hashes --only-binary :all: --upgrade --target "$bootstrap" -r scripts/lib/bootstrap.lock)
  if [ -n "${uv:-}" ]; then
    "$uv" pip "${arguments[@]}"
    return
  fi
  if python3 -m pip --version; then
    pip=(python3 -m pip)
  elif python3 -m venv "$tools/pip"; then
    pip=("$tools/pip/bin/python" -m pip)
  else
    fetch_pip_wheel || return 1
    pip=(python3 "$(find "$tools/pip-wheel" -name 'pip-*.whl' | head -n 1)/pip")
  fi
  PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 "${pip[@]}" --disable-pip-version-check "${arguments[@]}"
}

# Debian ships pip as a wheel that runs from its file; `apt-get download` needs no root.
fetch_pip_wheel() {
  local folder=$tools/pip-wheel state=$tools/pip-wheel/apt
  rm -rf "$folder"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  local private=(-o "Dir::State::lists=$state/lists" -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root)
  (
    cd "$folder"
    apt-get download python3-pip-whl ||
      { apt-get "${private[@]}" update && apt-get "${private[@]}" download python3-pip-whl; }
  ) || return 1
  dpkg-deb -x "$folder"/python3-pip-whl_*.deb "$folder"
}
