"""``python -m upliftlens.benchmarks.cli`` is ``upliftlens``."""

import sys

from upliftlens.benchmarks.cli.main import main

sys.exit(main())
