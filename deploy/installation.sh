# Sourced by bin/up and bin/down: which installation is meant, and how they speak.
# In: $root. Out: $state, POGO_STATE_DIR, POGO_CONFIG. The rule is told at the top of deploy/pogo.conf.

fail() {
    printf '\n !    %s\n' "$@" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "$(basename "$0") starts containers and changes this machine, so it has to run as root." \
    "Try: sudo $0"

default_state=/var/lib/pogo
if [ -z "${POGO_CONFIG:-}" ]; then
    if [ "$(realpath -ms "${POGO_STATE_DIR:-$default_state}")" = "$default_state" ]; then
        POGO_CONFIG=/etc/pogo/pogo.conf
    else
        POGO_CONFIG=$(realpath -ms "$POGO_STATE_DIR")/pogo.conf
    fi
fi
POGO_CONFIG=$(realpath -ms "$POGO_CONFIG")

# setting NAME DEFAULT: from the environment, else from the file.
setting() {
    local value=${!1:-}
    [ -n "$value" ] || [ ! -f "$POGO_CONFIG" ] || value=$(sed -n "s/^$1=['\"]\{0,1\}\([^'\"]*\).*/\1/p" "$POGO_CONFIG" | tail -n 1)
    printf '%s' "${value:-$2}"
}

state=$(realpath -ms "$(setting POGO_STATE_DIR "$default_state")")
export POGO_CONFIG POGO_STATE_DIR=$state

# Holds the installation for this process and what it starts: after a kill -9, the next call waits for the rest.
hold() {
    exec 9>"$state/.lock"
    if ! flock --nonblock 9; then
        printf '  waiting for another bin/up or bin/down of %s …\n' "$state"
        flock 9
    fi
}
