import signal
import threading

from django.core.management.base import BaseCommand

from visits.models import Visit


class Command(BaseCommand):
    help = "Says every so often how many visits there are, until it is asked to stop."

    def add_arguments(self, parser):
        parser.add_argument("--every", type=float, default=60)

    def handle(self, *args, every: float, **options):
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        self.stdout.write("worker started")
        while not stop.wait(every):
            self.stdout.write(f"{Visit.objects.count()} visits")
        self.stdout.write("worker stopping")
