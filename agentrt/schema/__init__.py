"""Types of payloads and states: check a value against an annotation, read it from JSON, describe it as a form.

annotations    read an annotation: what it stands for, whether it can be checked
recursion      types that contain themselves
constraints    bounds such as `ge=0` or `max_length=80` in `Annotated[...]`
typecheck      find what is wrong with a value
convert        plain data and JSON to a type and back
records        the members of dataclasses, Structs, pydantic models, TypedDicts and NamedTuples
choices        the values that an enum or a Literal allows
redefinition   objects of a class that a cell has defined again
samples        a JSON text to start editing from
fields, form   what a form asks for, and the payload that it makes
immutability   whether a value can be changed in place, and copies of values that can
bounded        a dict bounded by count and by bytes
equality       whether two values are the same, in a bounded time
numbers        checks of durations, counts and other numbers that are given as arguments
preview        the beginning of a value's repr, in a bounded time
size           about how many bytes a value keeps alive, in a bounded time
"""
