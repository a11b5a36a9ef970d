"""git over HTTP: pushes become builds; clones and fetches are served.

`bridge` hands requests to `git http-backend`. For a push that runs our `hook`, which asks `receive`
over pogod's own socket what to do and shows its answer to the pusher.
"""
