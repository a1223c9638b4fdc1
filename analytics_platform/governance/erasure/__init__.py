"""Erasure: a person who asks for it is found in every place, approved by somebody else, erased, and searched for anew.

    person     the ids of one person, and where a text mentions any of them
    links      from what the requester gave to the ids that belong to it
    place      what erasure needs of a place that holds data, and what was found there
    lake, landing, tables, copies, records, files    the places
    plan       what is to be erased, and its hash
    requests   requests, plans and approvals as objects; what state a request is in
    desk       request, approve, run, verify
    survivors  the search afterwards, by a way of its own
    again      the same in a backup that was restored, by keyed hash alone
    receipt    what a privacy officer reads

Stays out: what keeps an erased person away (`identities.suppression`), legal holds and the lock, which are retention's,
and Dagster.
"""
