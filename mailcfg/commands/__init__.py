"""The verbs, one a file; a verb imports what it needs inside `run`."""
