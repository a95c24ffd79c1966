"""Certificates: the openssl commands that make and verify them."""
