# The web process: nginx on $PORT with the configuration made at build time.
set -eu
sed -e "s/@PORT@/${PORT:?is not set}/" -e "s/@WORKERS@/${WEB_CONCURRENCY:-2}/" \
    "$HOME/.heroku/static/nginx.conf" > /tmp/nginx.conf
exec "$(PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v nginx)" -e stderr -c /tmp/nginx.conf
