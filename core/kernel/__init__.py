"""The rules of counting, made from a declaration: each exists once, for every layer."""
