"""The roles one by one, as compose and the supervisor run them.

A module each, imported by the command that runs it: a role loads what it needs, and no more.
"""
