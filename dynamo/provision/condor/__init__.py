"""The pool of a fleet in HTCondor's terms: how workers join it, are seen in it, are emptied and leave."""
