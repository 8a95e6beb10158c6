"""The watch daemon: feeds to arrivals, arrivals to runs, runs to products.

`dynamo.watch.watcher.Watcher` is the daemon as an object, for use inside another process.
"""
