"""The exercises of the lessons, by subject: each is tried on agents of its own, on a clock that does not wait."""
