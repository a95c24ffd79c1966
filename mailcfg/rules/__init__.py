"""Rules: what is wrong with a configuration and what it lets happen, one rule a file."""
