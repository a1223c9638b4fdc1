"""What people read away from the graph: a document as content, rendered as HTML that opens offline and as PDF.

Belongs here: the parts that a document is made of, and their rendering; the same content gives the same numbers in every
form. Stays out: what a document says (`reporting.weekly`, `governance.review`) and the dashboards, which are pages of
their own.
"""
