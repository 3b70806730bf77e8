"""Start `nmt translate` from a checkout, installed or not: `python translate.py --model RUN`."""

import sys

from nmt.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["translate", *sys.argv[1:]]))
