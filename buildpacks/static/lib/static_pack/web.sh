# The web process: nginx on $PORT, configured by static.json and the config vars.
PYTHONPATH="$HOME/.heroku/static/lib" PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/env python3 -s -m static_pack.serve
