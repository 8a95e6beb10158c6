"""A fleet's HTCondor pool: how workers join, are monitored, drain and leave."""
