"""What every HTTP server of the product does alike: which hosts it answers to, its headers, its problems.

Comes in: heads of requests. Goes out: refusals and headers. Touches: the machine's name, nothing else.
"""
