"""`python -m likelihoods` is the command line."""

from likelihoods.cli import main

if __name__ == "__main__":
    main(prog_name="python -m likelihoods")
