# Sourced by bash before every process of the app.
export PATH="$HOME/.heroku/python/bin:$PATH"
export LANG="${LANG:-en_US.UTF-8}"
export PYTHONUNBUFFERED="${PYTHONUNBUFFERED:-1}"
export PYTHONPATH="${PYTHONPATH:-$HOME}"
# The router is the only one that reaches a dyno, so gunicorn may believe its X-Forwarded headers.
export FORWARDED_ALLOW_IPS="${FORWARDED_ALLOW_IPS:-*}"
export GUNICORN_CMD_ARGS="${GUNICORN_CMD_ARGS:---access-logfile -}"

# How many workers fit: one per 256 MB of the memory limit, at most two per processor and one more.
if [ -z "${WEB_CONCURRENCY:-}" ]; then
    for file in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do
        limit=$(cat "$file" 2> /dev/null) || continue
        case $limit in
            '' | *[!0-9]*) continue ;;
        esac
        workers=$((limit / 268435456))
        most=$(($(nproc) * 2 + 1))
        [ "$workers" -gt "$most" ] && workers=$most
        [ "$workers" -lt 1 ] && workers=1
        export WEB_CONCURRENCY=$workers
        break
    done
    unset file limit workers most
fi
