"""What a client meets, in one output format a file."""
