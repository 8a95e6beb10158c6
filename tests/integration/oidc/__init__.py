"""Logins at a real OpenID Connect provider."""
