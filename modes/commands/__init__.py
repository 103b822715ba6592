"""The commands of `fourfold`, a module for each noun; `modes/cli.py` says which command is where.

A module has an `app`, whose commands join the others. What only one of its commands needs, that command loads.
"""
