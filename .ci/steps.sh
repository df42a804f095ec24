# Sourced by the scripts beside it: which PostgreSQL they work with, how a step is announced and
# timed, and how a missing tool is reported. It installs and builds nothing.

PG_MAJOR=${PG_MAJOR:-15}
PGRX_VERSION=0.18.1
# What `make install` builds and what the outside tests run against.
PROFILE=${PROFILE:-release}
# cargo-pgrx asks for it, and containers often have none.
USER=${USER:-$(id -un)}
export USER

# The pg_config of the server to build for: PG_CONFIG, else Debian's of that major, else the path's.
find_pg_config() {
    if [ -n "${PG_CONFIG:-}" ]; then
        echo "$PG_CONFIG"
    elif [ -x "/usr/lib/postgresql/$PG_MAJOR/bin/pg_config" ]; then
        echo "/usr/lib/postgresql/$PG_MAJOR/bin/pg_config"
    else
        command -v pg_config
    fi
}

# For the programs that these scripts start, too.
use_pg_config() {
    PG_CONFIG=$(find_pg_config) || give_up "pg_config is missing: run \`make setup\`, or name one in PG_CONFIG."
    [ -x "$(command -v "$PG_CONFIG")" ] || give_up "PG_CONFIG names $PG_CONFIG, which is not there."
    export PG_CONFIG
    PG_MAJOR=$("$PG_CONFIG" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
}

give_up() {
    printf '%s\n' "$*" >&2
    exit 1
}

need() { # tool, sentence
    command -v "$1" >/dev/null 2>&1 || give_up "$1 is missing: $2"
}

# As root where that is needed: directly, or through sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        need sudo "run this as root, or install sudo."
        sudo "$@"
    fi
}

step() { # title, command …
    printf '== %s\n' "$1"
    shift
    step_start=$(date +%s)
    step_status=0
    "$@" || step_status=$?
    if [ "$step_status" -eq 0 ]; then step_end=done; else step_end="failed ($step_status)"; fi
    printf '   %s in %s s\n' "$step_end" "$(($(date +%s) - step_start))"
    return "$step_status"
}
