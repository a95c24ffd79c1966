"""What a change of policies does to each host: two compiled sides compared, one concern a file."""
