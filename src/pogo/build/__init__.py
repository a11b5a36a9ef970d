"""The builder: runs inside a build container, as uid 1000, with the standard library only.

Two containers, one after the other on the same files. `compile` runs the app's buildpacks. `pack`
starts with new processes and runs nothing of the app, so the images that the kernel later mounts
are written by our own mksquashfs and by nothing else. Both print what the person who pushes sees.

    PYTHONPATH=/pogo/lib python3 -sP -m pogo.build compile
    PYTHONPATH=/pogo/lib python3 -sP -m pogo.build pack

-P matters: without it Python would import modules from /app, which the app's code can write to.
Exit status: 0 done · 1 the app's fault, explained in the output · 2 the platform's fault.
"""
