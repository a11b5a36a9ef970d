from django.db import models


class Visit(models.Model):
    """One request of the page."""

    at = models.DateTimeField(auto_now_add=True)
