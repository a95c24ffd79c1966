"""What a client meets: the behaviour of each endpoint and of the way out, from a configuration alone."""
