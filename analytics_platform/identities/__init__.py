"""Who people are, kept apart from what they did: keyed references, sealed values, and who must not come back.

    keys         each tenant's secrets, in versions, outside the lake
    references   what stands in the lake in an identifier's place, and whom a reference speaks of
    sealing      encryption of what is kept beside it: the identifier itself, a dead letter's bytes
    suppression  the erased, by keyed hash: applied wherever messages come in
    severing     a message with its person taken out

Stays out: which fields hold identifiers (`intake`), requests to be erased (`governance`), and Dagster.
"""
