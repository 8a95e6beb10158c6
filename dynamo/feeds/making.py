"""Build a feed from its section of the configuration, whichever package its kind comes from."""

from __future__ import annotations

from dynamo.config.feeds import FeedSection
from dynamo.doors import FEEDS
from dynamo.feeds.base import Feed, FeedParts


def make_feed(section: FeedSection, parts: FeedParts) -> Feed:
    """Return a new feed.

    Raises
    ------
    InputError, BusyError
        If it cannot watch what it should.
    PluginError
        If its kind comes from another package and fails, or returns something else.
    """
    with FEEDS.blamed(section.kind):
        feed = FEEDS.load(section.kind).make(section, parts)
        if not isinstance(feed, Feed):
            raise TypeError(f"makes a {type(feed).__name__}, not a dynamo.feeds.base.Feed")
        return feed
