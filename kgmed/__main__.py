"""`python -m kgmed` is the command line."""

from kgmed.cli import main

if __name__ == "__main__":
    main()
