"""The demo: write a feed, let the daemon process it, and publish products.

Every part is real: the simulator or real composites, the watch daemon, an engine, publication.
"""
