"""Check the language of the project: plain words, and the field's own terms."""
