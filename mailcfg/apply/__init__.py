"""Making it so: what is to be changed, all or nothing, checked before and proven after, with a way back."""
