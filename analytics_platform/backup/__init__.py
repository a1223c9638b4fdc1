"""Backups: what a home holds at one moment, kept in a folder or a bucket, and laid down in an empty home again.

``target`` is the place: pieces by their hash, and of each backup a list of contents and a summary that is put last.
``contents`` is what stands in them, ``create`` and ``restore`` go one way and the other, ``keys`` seals what names
people, ``journal`` keeps what says who and what may not come back, and ``prune`` forgets old backups. All of them may
be killed anywhere and begun again. Stays out: what a home holds and in which order it is read (`defs.backing_up`), and
forgetting anew in what was restored (`defs.restoring`).
"""
