"""The way in: one gate for everything that arrives, and the importer of files in front of it.

What belongs here: reading sources line by line (`reader`), judging a message (`gate`, which does no I/O), knowing what
was seen before (`seen`), and landing the outcome with an account of every line (`importer`). What stays out: how the
lake keeps objects, and everything after landing.
"""
