"""An SMTP client that observes an endpoint."""
