"""The demonstration: a feed is written, the daemon sees it, and products appear.

Everything in it is the real thing: the simulator or real composites, the watch daemon, an engine, publication.
"""
