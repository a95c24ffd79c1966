"""The policy language: one pydantic model per table; the string under a field is its documentation."""
