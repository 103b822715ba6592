"""A pipeline's declaration: what its events mean, as checked data that says nothing about how it is counted."""
