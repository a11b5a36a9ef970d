"""One page that shows which app, release and dyno answered."""

import os

from flask import Flask, render_template, request

app = Flask(__name__)


@app.get("/")
def index() -> str:
    host = request.host.partition(":")[0]
    return render_template(
        "index.html",
        name=os.environ.get("HEROKU_APP_NAME") or host.partition(".")[0],
        facts={
            "Release": os.environ.get("HEROKU_RELEASE_VERSION", "unknown"),
            "Dyno": os.environ.get("DYNO", "none"),
            "Address": host,
            "Greeting": os.environ.get("GREETING", "set it: pogo config:set GREETING=hello"),
        },
    )


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}
