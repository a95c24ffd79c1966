"""The answer of `drift` in one output format a file: `render(comparison, color)` gives its text."""
