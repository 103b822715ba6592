"""A program that runs the code of its first argument: a process for tests of what starts processes."""

import sys

if __name__ == "__main__":
    exec(sys.argv[1])
