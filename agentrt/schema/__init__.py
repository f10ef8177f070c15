"""Types: how a payload or a state is checked against an annotation, read from JSON, and described as a form."""
