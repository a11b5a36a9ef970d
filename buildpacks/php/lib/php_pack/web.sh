#!/usr/bin/env bash
# heroku-php-apache2 [options] [document root]: Apache on $PORT, in the foreground.
set -euo pipefail
shopt -s nullglob

usage() {
    cat <<USAGE
usage: heroku-php-apache2 [options] [document root]

  -C FILE   Apache directives to include
  -i FILE   php.ini to use
  -l FILE   log file whose lines are shown with those of the app; may be given several times, may be a pattern
  -p PORT   port to listen on, instead of \$PORT
  -t        test the configuration
  -h        this text
Files and the document root are relative to the app's top directory.
USAGE
}

fail() {
    echo "heroku-php-apache2: $*" >&2
    exit 2
}

file() {
    [ -f "$APP_HOME/$2" ] || fail "-$1 '$2': there is no such file in the app"
    printf %s "$APP_HOME/$2"
}

export APP_HOME=/app PHP_HOME=/app/.heroku/php HEROKU_APP_DIR=/app
cd "$APP_HOME"
include='' test='' logs=()
export PHP_INI=$PHP_HOME/etc/php.ini
while getopts ':-:C:c:F:f:i:l:p:vth' option; do
    case $option in
        C) include=$(file C "$OPTARG") ;;
        i) PHP_INI=$(file i "$OPTARG") ;;
        l) logs+=("$OPTARG") ;;
        p) PORT=$OPTARG ;;
        t) test=-t ;;
        v) ;;
        h) usage; exit ;;
        c) fail "-c is not supported, since Apache runs PHP itself; put the directives that differ into a file for -C" ;;
        F | f) fail "-$option is not supported, since there is no PHP-FPM; put PHP settings into .user.ini or php.ini" ;;
        -) case $OPTARG in
            test) test=-t ;;
            help) usage; exit ;;
            verbose) ;;
            *) fail "there is no option --$OPTARG; see -h" ;;
        esac ;;
        :) fail "option -$OPTARG needs an argument; see -h" ;;
        *) fail "there is no option -$OPTARG; see -h" ;;
    esac
done
shift $((OPTIND - 1))
[ $# -le 1 ] || fail "too many arguments; options go before the document root"
[ $# = 0 ] || [ -d "$1" ] || fail "document root '$1' does not exist"
DOCUMENT_ROOT=$(realpath -- "${1:-.}")
export DOCUMENT_ROOT PORT="${PORT:-8080}"
RUN=$(mktemp -d "/tmp/apache.$PORT.XXXXXX")
export RUN
export LD_LIBRARY_PATH="@libraries@${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" PHP_INI_SCAN_DIR=$PHP_HOME/etc/conf.d

# The router's requests come from the gateway of this container's network.
gateway=$(awk '$2 == "00000000" { print $3; exit }' /proc/net/route 2>/dev/null || true)
PROXY=127.0.0.1
[ -z "$gateway" ] || PROXY=$(printf '%d.%d.%d.%d' "0x${gateway:6:2}" "0x${gateway:4:2}" "0x${gateway:2:2}" "0x${gateway:0:2}")
export PROXY

if [ -f "$PHP_INI" ]; then
    php "$PHP_HOME/libexec/start.php" "$DOCUMENT_ROOT" > "$RUN/start.conf"
else
    : > "$RUN/start.conf"
fi
limit=$(sed -n 's/^# memory_limit //p' "$RUN/start.conf")
{
    compgen -e | grep -vE '^(HTTP_|_$|PATH$|PWD$|OLDPWD$|SHLVL$|RUN$|PROXY$|PHP_HOME$|PHP_INI|APP_HOME$|DOCUMENT_ROOT$)' |
        xargs -r echo PassEnv
    [ -z "$include" ] || echo "Include \"$include\""
} >> "$RUN/start.conf"

# As many workers as fit: PHP may use memory_limit in each, which few requests do; other files need workers, too.
if [ -z "${WEB_CONCURRENCY:-}" ]; then
    available=536870912
    for path in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do
        read -r found 2>/dev/null < "$path" || continue
        case $found in
            '' | *[!0-9]* | ?????????????*) continue ;;
        esac
        available=$found
        break
    done
    WEB_CONCURRENCY=$((2 * available / (${limit:-0} > 0 ? limit : 134217728)))
    [ "$WEB_CONCURRENCY" -ge 2 ] || WEB_CONCURRENCY=2
    [ "$WEB_CONCURRENCY" -le 256 ] || WEB_CONCURRENCY=256
fi
export WEB_CONCURRENCY

apache=("$PHP_HOME/root/usr/sbin/apache2" -f "$PHP_HOME/etc/apache.conf")
[ -z "$test" ] || exec "${apache[@]}" -t
for pattern in ${logs[@]+"${logs[@]}"}; do
    # shellcheck disable=SC2206  # patterns are meant
    for path in $pattern; do
        mkdir -p "$(dirname "$path")" && touch "$path"
        (trap '' TERM; exec tail -q -n 0 -F "$path" >&2) &
    done
done

# A dyno that stops gets TERM in every process. Apache's own would drop what it is working on, so it runs with TERM
# blocked and is told by WINCH to finish; in a process group of its own, since it signals its group in the end.
perl -MPOSIX -e 'setpgid(0, 0); sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM)); exec @ARGV or die "$!"' \
    "${apache[@]}" -D FOREGROUND &
pid=$!
stopping=''
stop() {
    [ "$stopping" ] || echo "Stopping: requests that are being answered are finished first" >&2
    stopping=yes
}
trap stop TERM INT
echo "Apache listens on port $PORT with $WEB_CONCURRENCY workers, document root $DOCUMENT_ROOT"
status=0
while kill -0 $pid 2>/dev/null; do
    if [ "$stopping" ]; then
        kill -WINCH $pid 2>/dev/null || true
        sleep 0.5 &
        wait -n $! $pid || true
    else
        status=0
        wait $pid || status=$?
    fi
done
[ "$stopping" ] || exit $status
