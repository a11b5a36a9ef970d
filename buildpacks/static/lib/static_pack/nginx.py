"""nginx.conf of a static site: a pure function of its settings and of what is known when it starts.

The order is that of the classic static buildpack: https, canonical host, files, clean URLs, proxies,
redirects, routes, 404. What is asked for is matched as nginx has normalised it, so no `..` gets through.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from static_pack.settings import Settings, check_origin, interpolate

_NOWHERE = "/.none/none"
"""A path that is no file, for places where nginx wants one."""


@dataclass(frozen=True)
class Start:
    """What is known when the process starts. home: of the app. users: file of names and passwords, or empty.

    nameservers: addresses. hosts: names that the machine itself knows → address.
    """

    port: str = "8080"
    workers: str = "2"
    home: str = "/app"
    env: Mapping[str, str] = field(default_factory=dict)
    users: str = ""
    nameservers: Sequence[str] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)


def escape(text: str) -> str:
    """Text between the quotes of nginx's configuration, that means exactly `text`."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "${dollar}")


def quote(text: str) -> str:
    return f'"{escape(text)}"'


def regular(expression: str) -> str:
    """A regular expression between quotes."""
    escaped = expression.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def translated(glob: str) -> str:
    """A path pattern of static.json as a regular expression: `**` any path, `*` within one name."""
    parts = re.split(r"(\*\*|\*)", "/" + glob.lstrip("/"))
    return "".join({"**": ".*", "*": "[^/]*"}.get(part) or re.escape(part) for part in parts)


def pattern(glob: str) -> str:
    """The same, for the whole path, between quotes."""
    return regular(f"^{translated(glob)}$")


def config(settings: Settings, start: Start) -> str:
    """The whole file. Raises InvalidSettings where a config var is missing or does not fit."""
    return "\n".join([_top(settings, start), *_maps(settings), *_server(settings, start), "}", ""])


def _top(settings: Settings, start: Start) -> str:
    level = "debug" if start.env.get("STATIC_DEBUG") else settings.error_log
    nameservers = " ".join(f"[{name}]" if ":" in name else name for name in start.nameservers)
    resolver = f"  resolver {nameservers} ipv6=off valid=30s;\n" if settings.proxies and nameservers else ""
    return f"""\
daemon off;
worker_processes {start.workers};
pid /tmp/nginx.pid;
error_log stderr {level};
events {{ worker_connections {settings.worker_connections}; }}
http {{
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  types {{ text/javascript mjs; application/manifest+json webmanifest; }}
  charset {settings.encoding};
  charset_types text/plain text/css text/xml text/javascript application/javascript application/json
    application/manifest+json;
  access_log {"/dev/stdout" if settings.access_log else "off"};
  uninitialized_variable_warn off;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 75;
  client_max_body_size 0;
  absolute_redirect off;
  gzip on;
  gzip_vary on;
  gzip_min_length 512;
  gzip_proxied any;
  gzip_types text/css text/plain text/xml text/javascript application/javascript application/json
    application/manifest+json application/xml application/rss+xml application/wasm image/svg+xml font/ttf;
  client_body_temp_path /tmp/nginx-body;
  proxy_temp_path /tmp/nginx-proxy;
  fastcgi_temp_path /tmp/nginx-fastcgi;
  uwsgi_temp_path /tmp/nginx-uwsgi;
  scgi_temp_path /tmp/nginx-scgi;
{resolver}\
  geo $dollar {{ default "$"; }}
  map $http_upgrade $upgrading {{ default upgrade; "" ""; }}
  map $http_x_forwarded_proto $scheme_asked {{ default http; https https; }}"""


def _maps(settings: Settings) -> list[str]:
    """What a path means beside the files: which headers, and where to go if there is no file."""
    fallbacks = [
        f"{regular(f'~^{_prefix(path)}')} @proxy_{number};" for number, path in _longest_first(settings.proxies)
    ]
    fallbacks += [
        f"{regular(f'~^{re.escape(_mount(path))}$')} @redirect_{number};"
        for number, path in enumerate(settings.redirects)
    ]
    lines = [f"  map $asked $fallback {{ default @missing; {' '.join(fallbacks)} }}"]
    if settings.routes:
        lines.append("  map $fallback $elsewhere { default 1; @missing 0; }")
    for number, target in enumerate(settings.routes.values()):
        file = _NOWHERE if target.endswith("/") else f"/{target.lstrip('/')}"
        lines.append(f"  map $elsewhere $route_{number} {{ default {quote(_NOWHERE)}; 0 {quote(file)}; }}")
    rules = [f'"~{pattern(path)[1:-1]}" {number};' for number, path in enumerate(settings.headers)]
    if rules:
        lines.append(f"  map $asked $rule {{ default none; {' '.join(reversed(rules))} }}")
    for index, name in enumerate(_header_names(settings)):
        values = [
            f"{number} {quote(pairs[name])};" for number, pairs in enumerate(settings.headers.values()) if name in pairs
        ]
        lines.append(f'  map $rule $header_{index} {{ default ""; {" ".join(values)} }}')
    return lines


def _server(settings: Settings, start: Start) -> list[str]:
    lines = ["  server {", f"    listen {start.port};", f"    root {quote(_root(settings, start))};"]
    lines.append('    if ($asked = "") { set $asked $uri; }')
    lines += [f"    add_header {quote(name)} $header_{at} always;" for at, name in enumerate(_header_names(settings))]
    if settings.https_only:
        lines.append('    if ($http_x_forwarded_proto != "https") { return 301 https://$host$request_uri; }')
    if settings.canonical_host:
        host = interpolate(settings.canonical_host, start.env, "canonical_host")
        lines.append(f"    if ($host != {quote(host)}) {{ return 301 $scheme_asked://{escape(host)}$request_uri; }}")
    if start.users:
        lines += ['    auth_basic "Restricted";', f"    auth_basic_user_file {quote(start.users)};"]
    if settings.error_page:
        page = quote(f"/{settings.error_page}")
        lines += [f"    error_page 404 500 {page};", f"    error_page 403 =404 {page};"]
    else:
        lines.append("    error_page 403 =404 @missing;")
    lines.append(f"    location ~ /\\.(?!well-known/) {{ try_files {_NOWHERE} $fallback; }}")
    if settings.root == ".":
        lines += [f"    location = /{name} {{ return 404; }}" for name in ("static.json", "Procfile", "app.json")]
    if settings.clean_urls:
        lines.append('    location ~ "\\.html$" { try_files $uri $fallback; }')
    pages = "$uri.html $uri" if settings.clean_urls else "$uri"
    for number, path in enumerate(settings.routes):
        lines.append(
            f"    location ~ {pattern(path)} {{ try_files {pages} $uri/index.html $route_{number} $fallback; }}"
        )
    lines.append(f"    location / {{ try_files {pages} $uri/ $fallback; }}")
    lines.append("    location @missing { return 404; }")
    for number, redirect in enumerate(settings.redirects.values()):
        url = interpolate(redirect.url, start.env, "redirects")
        lines.append(f"    location @redirect_{number} {{ return {redirect.status} {quote(url)}; }}")
    for number, (path, origin) in enumerate(settings.proxies.items()):
        lines += _proxy(number, path, origin, start)
    return [*lines, "  }"]


def _proxy(number: int, path: str, origin: str, start: Start) -> list[str]:
    """Pass on what begins with `path`, without it. Redirects that the origin answers with stay below `path`."""
    where = f"proxies: {path}: origin"
    parts = urlsplit(check_origin(interpolate(origin, start.env, where), where))
    mount = _mount(path)
    name = parts.hostname or ""
    address = start.hosts.get(name, name)
    address = f"[{address}]" if ":" in address else address
    port = f":{parts.port}" if parts.port else ""
    below = parts.path.rstrip("/")
    stripped = regular(f"^{re.escape(mount.rstrip('/'))}/?(.*)$")
    lines = [
        f"    location @proxy_{number} {{",
        f"      set $origin_{number} {quote(f'{parts.scheme}://{address}{port}')};",
        f'      rewrite {stripped} "{escape(below)}/$1" break;',
        f"      proxy_pass $origin_{number};",
        "      proxy_http_version 1.1;",
        f"      proxy_set_header Host {quote(parts.netloc)};",
        "      proxy_set_header Upgrade $http_upgrade;",
        "      proxy_set_header Connection $upgrading;",
        "      proxy_buffering off;",
        "      proxy_request_buffering off;",
        "      proxy_read_timeout 1h;",
        "      proxy_send_timeout 1h;",
    ]
    if parts.scheme == "https":
        lines += ["      proxy_ssl_server_name on;", f"      proxy_ssl_name {quote(name)};"]
    slash = "/" if mount.endswith("/") else ""
    for scheme in ("http", "https"):
        moved = f"{scheme}://{parts.netloc}{below}{slash}"
        lines.append(f"      proxy_redirect {quote(moved)} {quote(mount)};")
    return [*lines, "    }"]


def _mount(path: str) -> str:
    return "/" + path.lstrip("/")


def _prefix(path: str) -> str:
    """What a path of a proxy matches: all below it; without a slash at its end, itself as well."""
    mount = _mount(path)
    return re.escape(mount) if mount.endswith("/") else f"{re.escape(mount)}(?:/|$)"


def _longest_first(paths: Mapping[str, object]) -> list[tuple[int, str]]:
    return sorted(enumerate(paths), key=lambda entry: -len(entry[1]))


def _header_names(settings: Settings) -> list[str]:
    return list(dict.fromkeys(name for pairs in settings.headers.values() for name in pairs))


def _root(settings: Settings, start: Start) -> str:
    return f"{start.home}/{settings.root}".removesuffix("/.")


def is_address(name: str) -> bool:
    """Whether a host is given by its address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
