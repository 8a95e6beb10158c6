"""The scientific steps: a contract, a command line and metrics around radar and formats."""
