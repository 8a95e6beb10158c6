"""Scientific modules: a contract, a command line and metrics around `dynamo.radar` and `dynamo.formats`."""
