"""The collector: Segment's HTTP tracking API in front, a durable spool behind, nothing acknowledged that can be lost.

Here are the way in over HTTP and the spool with its shipping. Judging messages stays out: that is the gate's, the same
as for files.
"""
