"""What producers and the gate share: the tracking plan in the form that messages are judged by.

Usable without the platform: this room needs the catalogue and nothing else of ours.
"""
