"""``python -m dynamo`` is the command `dynamo`."""

from dynamo.cli.main import main

main()
