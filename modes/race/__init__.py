"""The race: all modes on the same traffic, each watched from outside, and a report of what was measured."""
