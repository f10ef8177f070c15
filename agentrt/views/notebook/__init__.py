"""Views in a cell, as one file, and as a static picture."""
