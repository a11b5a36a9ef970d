"""nginx.conf of a static site: a pure function of its settings."""

from __future__ import annotations

import re

from static_pack.settings import Settings

_TOP = """\
daemon off;
worker_processes @WORKERS@;
pid /tmp/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  types { text/javascript mjs; application/manifest+json webmanifest; }
  charset utf-8;
  access_log off;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 75;
  absolute_redirect off;
  gzip on;
  gzip_vary on;
  gzip_min_length 512;
  gzip_proxied any;
  gzip_types text/css text/plain text/javascript application/javascript application/json application/manifest+json
    application/xml application/wasm image/svg+xml font/ttf;
  client_body_temp_path /tmp/nginx-body;
  proxy_temp_path /tmp/nginx-proxy;
  fastcgi_temp_path /tmp/nginx-fastcgi;
  uwsgi_temp_path /tmp/nginx-uwsgi;
  scgi_temp_path /tmp/nginx-scgi;
  geo $dollar { default "$"; }
  map $request_uri $asked { "~^(?<path>[^?]*)" $path; }
"""


def quote(text: str) -> str:
    """A string of nginx's configuration that means exactly `text`."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "${dollar}")
    return f'"{escaped}"'


def pattern(glob: str) -> str:
    """A path pattern of static.json as a quoted regular expression: `**` any path, `*` within one name."""
    parts = re.split(r"(\*\*|\*)", "/" + glob.lstrip("/"))
    translated = "".join({"**": ".*", "*": "[^/]*"}.get(part) or re.escape(part) for part in parts)
    escaped = translated.replace("\\", "\\\\").replace('"', '\\"')
    return f'"^{escaped}$"'


def config(settings: Settings, home: str = "/app") -> str:
    """The whole file, with @PORT@ and @WORKERS@ left open for the start of the process."""
    lines = [_TOP.rstrip()]
    headers = [(path, name, value) for path, pairs in settings.headers.items() for name, value in pairs.items()]
    names = list(dict.fromkeys(name for _, name, _ in headers))
    for number, name in enumerate(names):
        rules = [f'"~{pattern(path)[1:-1]}" {quote(value)};' for path, known, value in headers if known == name]
        lines.append(f'  map $asked $header_{number} {{ default ""; {" ".join(rules)} }}')
    lines += ["  server {", "    listen @PORT@;", f"    root {quote(f'{home}/{settings.root}'.removesuffix('/.'))};"]
    lines += [f"    add_header {quote(name)} $header_{number} always;" for number, name in enumerate(names)]
    if settings.https_only:
        lines.append('    if ($http_x_forwarded_proto = "http") { return 301 https://$host$request_uri; }')
    if settings.error_page:
        lines.append(f"    error_page 403 404 =404 {quote('/' + settings.error_page)};")
    lines.append("    location ~ /\\.(?!well-known/) { return 404; }")
    if settings.root == ".":
        lines += [f"    location = /{name} {{ return 404; }}" for name in ("static.json", "Procfile", "app.json")]
    for path, redirect in settings.redirects.items():
        lines.append(
            f"    location = {quote('/' + path.lstrip('/'))} {{ return {redirect.status} {quote(redirect.url)}; }}"
        )
    pages = "$uri $uri.html" if settings.clean_urls else "$uri"
    for path, target in settings.routes.items():
        fallback = f" {quote('/' + target.lstrip('/'))}" if not target.endswith("/") else ""
        lines.append(f"    location ~ {pattern(path)} {{ try_files {pages} $uri/index.html{fallback} =404; }}")
    lines.append(f"    location / {{ try_files {pages} $uri/ =404; }}")
    return "\n".join([*lines, "  }", "}", ""])
