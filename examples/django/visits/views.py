import os

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from visits.models import Visit


def index(request: HttpRequest) -> HttpResponse:
    Visit.objects.create()
    facts = {"visits": Visit.objects.count(), "dyno": os.environ.get("DYNO", "none")}
    return render(request, "index.html", facts)
