# Sourced by bash before every process of the app.
export PATH="$HOME/.heroku/node/bin:$HOME/.heroku/yarn/bin:$HOME/.heroku/pnpm/bin:$PATH:$HOME/bin:$HOME/node_modules/.bin"
export NODE_HOME="$HOME/.heroku/node"
export NODE_ENV="${NODE_ENV:-production}"

# Memory in MB that the process may use, and how many workers of WEB_MEMORY (512) each fit into it.
for file in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do
    limit=$(cat "$file" 2> /dev/null) || continue
    case $limit in
        '' | *[!0-9]* | ?????????????*) continue ;;
    esac
    export MEMORY_AVAILABLE="${MEMORY_AVAILABLE:-$((limit / 1048576))}"
    break
done
export WEB_MEMORY="${WEB_MEMORY:-512}"
if [ -z "${WEB_CONCURRENCY:-}" ]; then
    WEB_CONCURRENCY=$((${MEMORY_AVAILABLE:-512} / WEB_MEMORY))
    [ "$WEB_CONCURRENCY" -lt 1 ] && WEB_CONCURRENCY=1
    export WEB_CONCURRENCY
fi
unset file limit
