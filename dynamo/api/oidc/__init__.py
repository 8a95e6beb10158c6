"""Log in with an account of an OpenID Connect provider: from a click on its button to who somebody is here."""
