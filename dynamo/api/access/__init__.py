"""Who may ask without a token: the user of the server on the same machine, and no page of another site."""
