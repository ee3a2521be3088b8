"""Reading the lake's bookkeeping. Needs no lease."""
