"""``netkit discover``: which feeds are announced on the network, by DNS-SD.

===========  ==================================================
`found`      a feed that was found, and how to hear it from here
`browsing`   hears the announcements on each link
===========  ==================================================
"""
