"""The parts of the HTTP API; `serving.api` puts them together.

Comes in: requests. Goes out: answers of the ticker with their provenance, as JSON, or a problem.
Touches: nothing but what it is given.
"""
